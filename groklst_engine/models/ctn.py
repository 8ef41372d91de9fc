"""CTN: cheap layers that gate features by their context."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.attention import EnhancedSpatialAttention
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.pooling import CellMeans
from groklst_engine.layers.resample import up_bilinear
from groklst_engine.models.spec import ModelSpec, Paper, require

_SLOPE = 0.2


def _pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


class ContextualLayer(nn.Module):
    """Half of the channels from a gate on the context of 2 × 2 pixels, half of them from their neighbours.

    Args:
        in_channels: Width C.
        out_channels: Width D; even.
        activation: Applied to the halves and to the shortcut.
        reference_compat: As published, with two convolutions that nothing uses; and where height or width is odd, the
            context is stretched over the image.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: nn.Module, *, reference_compat: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.local = _pointwise(in_channels, half)
        self.context = CellMeans(2, _pointwise(in_channels, half), stretch=reference_compat)
        self.neighbours = nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False)
        self.shortcut = _pointwise(in_channels, out_channels)
        self.activation = activation
        if reference_compat:
            self.unused = nn.ModuleList([_pointwise(in_channels, half), _pointwise(half, half)])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, D, H, W)``."""
        local = self.local(x)
        gated = self.activation(local * torch.sigmoid(local + self.context(x)))
        around = self.activation(self.neighbours(gated))
        shortcut: Tensor = self.activation(self.shortcut(x))
        return torch.cat([gated, around], dim=1) + shortcut


class ContextualBlock(nn.Module):
    """Contextual layers to half the width and back, added to the input.

    Args:
        channels: Width C in and out; a multiple of 4.
        reference_compat: As in ``ContextualLayer``.
    """

    def __init__(self, channels: int, *, reference_compat: bool) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = ContextualLayer(channels, half, nn.ReLU(), reference_compat=reference_compat)
        self.widen = ContextualLayer(half, channels, nn.Identity(), reference_compat=reference_compat)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.widen(self.narrow(x))
        return x + residual


class PixelAttention(nn.Module):
    """Scale every pixel of every channel by a gate computed from the pixel's channels.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return x * torch.sigmoid(self.gate(x))


def _enlarge(in_channels: int, out_channels: int, factor: int) -> nn.Sequential:
    """Nearest-neighbour interpolation by ``factor``, refined."""
    return nn.Sequential(
        nn.Upsample(scale_factor=factor),
        same_conv(in_channels, out_channels),
        PixelAttention(out_channels),
        nn.LeakyReLU(_SLOPE),
        same_conv(out_channels, out_channels),
        nn.LeakyReLU(_SLOPE),
    )


class CTN(nn.Module):
    """Contextual blocks and spatial attention in turns, a few channels tapped from each block, and a bilinear skip.

    Args:
        scale: 3 or a power of two. 8 is our extension: a third step of 2.
        num_feats: Width of the features on the coarse grid; a multiple of 4 and of ``n_blocks``.
        up_feats: Width of the features on finer grids.
        n_blocks: Number of contextual blocks.
        reference_compat: As in ``ContextualLayer``.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 64,
        up_feats: int = 24,
        n_blocks: int = 16,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        usable_width = num_feats % 4 == 0 and num_feats % n_blocks == 0
        require(usable_width, "ctn", f"num_feats is {num_feats}: choose a multiple of 4 and of n_blocks, {n_blocks}")
        tapped = num_feats // n_blocks
        factors = [3] if scale == 3 else [2] * (scale.bit_length() - 1)
        widths = [num_feats] + [up_feats] * (len(factors) - 1)
        self.scale = scale
        self.head = same_conv(1, num_feats)
        self.blocks = nn.ModuleList(
            ContextualBlock(num_feats, reference_compat=reference_compat) for _ in range(n_blocks)
        )
        self.attentions = nn.ModuleList(
            [nn.Identity(), *(EnhancedSpatialAttention(num_feats, num_feats // 4) for _ in range(n_blocks - 1))]
        )
        self.taps = nn.ModuleList(
            nn.Conv2d(num_feats, tapped, 3, padding=1, groups=tapped, bias=False) for _ in range(n_blocks)
        )
        self.fusion = nn.Conv2d(num_feats, num_feats, 1)
        self.upsampler = nn.Sequential(
            *(_enlarge(width, up_feats, factor) for width, factor in zip(widths, factors, strict=True))
        )
        self.tail = same_conv(up_feats, 1)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised; h and w 15 or more.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = features = self.head(lst.to(self.head.weight.dtype))
        tapped = []
        for attention, block, tap in zip(self.attentions, self.blocks, self.taps, strict=True):
            features = block(attention(features))
            tapped.append(tap(features))
        deep = shallow + self.fusion(torch.cat(tapped, dim=1))
        detail: Tensor = self.tail(self.upsampler(deep))
        return up_bilinear(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="ctn",
    label="CTN",
    description="Very light single-image network for remote sensing; ×8 is an extension of the published scales.",
    build=CTN,
    guided=False,
    scales=(2, 3, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 32, "up_feats": 16, "n_blocks": 8}},
    paper=Paper(
        authors="S. Wang, T. Zhou, Y. Lu, H. Di",
        title="Contextual Transformation Network for Lightweight Remote-Sensing Image Super-Resolution",
        venue="IEEE Transactions on Geoscience and Remote Sensing",
        year=2022,
    ),
)
