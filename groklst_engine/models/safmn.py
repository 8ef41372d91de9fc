"""SAFMN: features modulated by what is seen at four resolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.resample import PixelShuffleHead, up_bilinear
from groklst_engine.models.spec import ModelSpec, Paper, require

_LEVELS = 4


class GlobalResponseNorm(nn.Module):
    """Scale every channel by its share in the energy of the image, added to the input; nothing at the start.

    Reference: Woo et al., ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders, CVPR 2023.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        energy: Tensor = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        share = energy / (energy.mean(dim=1, keepdim=True) + 1e-6)
        return x + self.gain * (x * share) + self.bias


class FeatureModulation(nn.Module):
    """Multiply the features by what a quarter of their channels shows at each of four resolutions.

    Args:
        channels: Width C in and out; a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // _LEVELS
        self.levels = nn.ModuleList(
            nn.Conv2d(quarter, quarter, 3, padding=1, groups=quarter, bias=False) for _ in range(_LEVELS)
        )
        self.merge = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        height, width = x.shape[-2:]
        full, *others = x.chunk(_LEVELS, dim=1)
        conv, *coarser_convs = self.levels
        views = [conv(full)]
        for conv, chunk, shrink in zip(coarser_convs, others, (4, 8, 16), strict=True):
            size = max(1, height // shrink), max(1, width // shrink)
            views.append(F.interpolate(conv(F.adaptive_max_pool2d(chunk, size)), size=(height, width)))
        return x * F.gelu(self.merge(torch.cat(views, dim=1)))


class ConvolutionalMixer(nn.Sequential):
    """A 3×3 convolution to twice the width and a 1×1 convolution back, ``(B, C, H, W)`` to the same shape.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False),
            nn.GELU(),
            nn.Conv2d(2 * channels, channels, 1, bias=False),
        )


class ModulationBlock(nn.Module):
    """Modulation, then mixing, either added to its input.

    Args:
        channels: Width C in and out; a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.modulate = FeatureModulation(channels)
        self.mix = ConvolutionalMixer(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        x = x + self.modulate(x)
        mixed: Tensor = self.mix(x)
        return x + mixed


class SAFMN(nn.Module):
    """A chain of modulation blocks, one sub-pixel convolution, and a bilinear skip.

    It is the benchmark's variant: features are normalised once, by their global response, instead of in every block.

    Args:
        scale: Any whole number.
        num_feats: Width of all features; a multiple of 4.
        n_blocks: Number of modulation blocks.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(self, *, scale: int, num_feats: int = 36, n_blocks: int = 8) -> None:
        super().__init__()
        require(num_feats % _LEVELS == 0, "safmn", f"num_feats is {num_feats}: choose a multiple of {_LEVELS}")
        self.scale = scale
        self.head = same_conv(1, num_feats)
        self.body = nn.Sequential(GlobalResponseNorm(num_feats), *(ModulationBlock(num_feats) for _ in range(n_blocks)))
        self.tail = PixelShuffleHead(num_feats, 1, scale)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        features = self.body(self.head(lst.to(self.head.weight.dtype)))
        detail: Tensor = self.tail(features)
        return up_bilinear(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="safmn",
    label="SAFMN",
    description="Tiny and fast single-image network that looks at four resolutions.",
    build=SAFMN,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # products of features amplify their rounding: 0.08 K in the published size
    presets={"paper": {}, "small": {"n_blocks": 4}},
    paper=Paper(
        authors="L. Sun, J. Dong, J. Tang, J. Pan",
        title="Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution",
        venue="ICCV",
        year=2023,
    ),
)
