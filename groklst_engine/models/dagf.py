"""DAGF: guided filtering from coarse to fine, with kernels that both modalities predict and an attention mixes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import conv_prelu, same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.layers.residual import ConvResAct
from groklst_engine.models.spec import ModelSpec, Paper

_DILATION = 2


class AdaptiveNorm(nn.Module):
    """A learned mixture of the input and its batch normalisation; the input alone at the start.

    Reference: Chen et al., Fast Image Processing with Fully-Convolutional Networks, ICCV 2017.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.keep = nn.Parameter(torch.ones(1))
        self.normalise = nn.Parameter(torch.zeros(1))
        # Published with momentum 0.999: its statistics are then those of the last batch.
        self.norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        mixture: Tensor = self.keep * x + self.normalise * self.norm(x)
        return mixture


def conv_norm_prelu(in_channels: int, out_channels: int) -> nn.Sequential:
    """A 3×3 convolution, adaptive normalisation, and a PReLU."""
    return nn.Sequential(same_conv(in_channels, out_channels), AdaptiveNorm(out_channels), nn.PReLU())


class TinyUNet(nn.Module):
    """A U-Net of two levels that loses no pixel on the way down.

    Args:
        channels: Width C in and out; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down1 = nn.Sequential(conv_norm_prelu(channels, channels // 2), nn.PixelUnshuffle(2))
        self.down2 = nn.Sequential(conv_norm_prelu(2 * channels, channels), nn.PixelUnshuffle(2))
        self.middle = nn.Sequential(*(conv_norm_prelu(4 * channels, 4 * channels) for _ in range(2)))
        self.up2 = nn.Sequential(conv_norm_prelu(4 * channels, 8 * channels), nn.PixelShuffle(2))
        self.up1 = nn.Sequential(conv_norm_prelu(2 * channels, 4 * channels), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape; H and W are multiples of 4."""
        half = self.down1(x)
        quarter = self.down2(half)
        quarter = self.middle(quarter) + quarter
        result: Tensor = self.up1(self.up2(quarter) + half) + x
        return result


def filter_per_pixel(x: Tensor, kernels: Tensor, dilation: int) -> Tensor:
    """Filter each pixel with its own kernel, one for all channels; zeros outside the image.

    Args:
        x: ``(B, C, H, W)``.
        kernels: ``(B, k², H, W)`` with odd k, row by row.
        dilation: Distance of the pixels that a kernel touches.

    Returns:
        ``(B, C, H, W)``.
    """
    height, width = x.shape[-2:]
    side = math.isqrt(kernels.shape[1])
    surroundings = F.pad(x, [dilation * (side // 2)] * 4)
    result = torch.zeros_like(x)
    for tap in range(side**2):
        top, left = dilation * (tap // side), dilation * (tap % side)
        neighbours = surroundings[..., top : top + height, left : left + width]
        result = result + kernels[:, tap : tap + 1] * neighbours
    return result


class GuidedFilter(nn.Module):
    """Filter LST features, enlarged by 2, with a kernel per pixel that both modalities predict.

    Args:
        channels: Width C of all features; even.
        filter_size: Side k of the kernels; odd.
        n_blocks: Residual blocks on the LST features before they are enlarged.
    """

    def __init__(self, channels: int, filter_size: int, n_blocks: int) -> None:
        super().__init__()

        def predict_kernels() -> nn.Sequential:
            return nn.Sequential(
                conv_prelu(channels, channels, 1), nn.Conv2d(channels, filter_size**2, 1), nn.Softmax(dim=1)
            )

        self.attention = nn.Sequential(
            conv_norm_prelu(2 * channels, channels), TinyUNet(channels), conv_norm_prelu(channels, 1)
        )
        self.lst_kernels = predict_kernels()
        self.guidance_kernels = predict_kernels()
        self.temperature = nn.Parameter(torch.tensor([filter_size**2 / 2]))
        self.refine = nn.Sequential(*(ConvResAct(channels) for _ in range(n_blocks)))

    def forward(self, lst: Tensor, guidance: Tensor, filtered: Tensor) -> Tensor:
        """Filter.

        Args:
            lst: ``(B, C, H, W)``, a source of kernels.
            guidance: ``(B, C, H, W)``, the other source of kernels.
            filtered: ``(B, C, H/2, W/2)``, what is filtered.

        Returns:
            ``(B, C, H, W)``.
        """
        attention = self.attention(torch.cat([lst, guidance], dim=1))
        kernels = attention * self.lst_kernels(lst) + (1 - attention) * self.guidance_kernels(guidance)
        kernels = torch.tanh(kernels) / (self.temperature + 1e-8)
        kernels = kernels / (kernels.abs().sum(dim=1, keepdim=True) + 1e-4).clamp(min=1)
        enlarged = F.interpolate(self.refine(filtered), scale_factor=2, mode="nearest")
        return filter_per_pixel(enlarged, kernels, _DILATION)


class Refinement(nn.Module):
    """Features of one level, corrected by the result of the next coarser one.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv_prelu(channels, channels)
        self.conv2 = conv_prelu(channels, channels)
        self.coarser_weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        """``(B, C, H, W)`` and ``(B, C, H/2, W/2)`` to ``(B, C, H, W)``."""
        enlarged = F.interpolate(coarser, scale_factor=2, mode="nearest")
        result: Tensor = self.conv2(self.coarser_weight * enlarged + self.conv1(x))
        return result


class DAGF(nn.Module):
    """Pyramids of both modalities on the fine grid, a guided filter per level, and a bicubic skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features; even.
        num_levels: Levels of the pyramids.
        filter_size: Side of the predicted kernels; odd.
        n_resblocks: Residual blocks per guided filter.
        reference_compat: As published, with many parameters that nothing uses.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 32,
        num_levels: int = 3,
        filter_size: int = 3,
        n_resblocks: int = 2,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()

        def head(bands: int) -> nn.Sequential:
            return nn.Sequential(same_conv(bands, num_feats), conv_prelu(num_feats, num_feats, 1))

        def coarsen() -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(
                    conv_prelu(num_feats, num_feats), nn.PixelUnshuffle(2), conv_prelu(4 * num_feats, num_feats, 1)
                )
                for _ in range(num_levels - 1)
            )

        def merge(level: int) -> nn.Conv2d:
            return same_conv(2 * num_feats if level else num_feats, num_feats)

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.size_multiple = max(1, 2 ** (num_levels + 1) // scale)
        self.lst_head = head(1)
        self.guidance_head = head(guidance_bands)
        self.lst_coarsen = coarsen()
        self.guidance_coarsen = coarsen()
        self.lst_levels = nn.ModuleList(conv_prelu(1, num_feats) for _ in range(num_levels))
        self.merge = nn.ModuleList(merge(level) for level in range(num_levels))
        self.filters = nn.ModuleList(GuidedFilter(num_feats, filter_size, n_resblocks) for _ in range(num_levels))
        self.coarsest = conv_prelu(num_feats, num_feats)
        self.refinements = nn.ModuleList(Refinement(num_feats) for _ in range(num_levels - 1))
        self.tail = conv_prelu(num_feats, 1)
        if reference_compat:
            self.unused = _unused(num_feats, num_levels)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``: the skip is added in it, whatever the
            type of the weights.
        """
        upsampled = up_bicubic(lst, self.scale)
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        coarse = padded(coarse, self.size_multiple)
        lst_pyramid = _pyramid(self.lst_head(up_bicubic(coarse, self.scale)), self.lst_coarsen)
        filtered: list[Tensor] = []
        for level, (x, g) in enumerate(zip(lst_pyramid, self._of_guidance(fine), strict=True)):
            height, width = x.shape[-2:]
            resized = F.interpolate(coarse, size=(height // 2, width // 2), mode="nearest")
            start = [self.lst_levels[level](resized), *filtered[-1:]]
            filtered.append(self.filters[level](x, g, self.merge[level](torch.cat(start, dim=1))))

        result = self.coarsest(filtered[0])
        for refine, x in zip(self.refinements, filtered[1:], strict=True):
            result = refine(x, result)
        height, width = upsampled.shape[-2:]
        detail: Tensor = self.tail(result)[..., :height, :width]
        return upsampled + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        fine = padded(guidance, self.scale * self.size_multiple)
        return _pyramid(self.guidance_head(fine), self.guidance_coarsen)


def _pyramid(finest: Tensor, coarsen: nn.ModuleList) -> list[Tensor]:
    """Features of all levels, the coarsest first."""
    levels = [finest]
    for step in coarsen:
        levels.append(step(levels[-1]))
    return levels[::-1]


def _unused(channels: int, num_levels: int) -> nn.Module:
    """What the published network has and does not use: more heads, coarser predictions, another tail."""
    unused = nn.ModuleList([conv_prelu(channels, channels), conv_prelu(channels, channels), conv_prelu(channels, 1)])
    for _ in range(num_levels):
        unused.append(nn.Sequential(conv_prelu(1, channels), same_conv(channels, channels)))
    for _ in range(num_levels - 1):
        unused.append(conv_prelu(channels, 1))
    unused.register_parameter("coarser_weight", nn.Parameter(torch.zeros(1)))
    unused.register_parameter("output_weight", nn.Parameter(torch.zeros(1)))
    return unused


SPEC = ModelSpec(
    name="dagf",
    label="DAGF",
    description="Predicts a small filter for every pixel from both modalities, on grids from coarse to fine.",
    build=DAGF,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=None,  # local, but what a pixel sees depends on where it lies in the pyramids' cells
    presets={"paper": {}, "small": {"num_feats": 8}},
    paper=Paper(
        authors="Z. Zhong, X. Liu, J. Jiang, D. Zhao, X. Ji",
        title="Deep Attentional Guided Image Filtering",
        venue="IEEE Transactions on Neural Networks and Learning Systems",
        year=2023,
        doi="10.1109/TNNLS.2023.3253472",
    ),
)
