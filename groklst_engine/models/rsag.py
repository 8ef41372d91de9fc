"""RSAG: the LST is split into structure and rest; guidance enters where an attention sees common structure, twice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import ChannelAttention, SpatialMap
from groklst_engine.layers.conv import conv_prelu, same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.resample import PixelShuffleUpsampler, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

_SLOPE = 0.2


class StructureSplit(nn.Module):
    """How much structure a pixel has: three contrasts in turn, each between a wide and a narrow neighbourhood.

    A contrast is at least a half, so that without learning everything else is that much too cold.

    Args:
        reference_compat: As published, with parameters that nothing uses.
    """

    def __init__(self, reference_compat: bool) -> None:
        super().__init__()

        def convs(*sizes: int) -> nn.ModuleList:
            return nn.ModuleList(same_conv(1, 1, size, bias=False) for size in sizes)

        self.wide, self.narrow = convs(7, 5, 3), convs(5, 3, 1)
        self.wide_slope, self.narrow_slope = nn.PReLU(), nn.PReLU()  # of the first two contrasts
        self.last_wide_slope, self.last_narrow_slope = nn.PReLU(), nn.PReLU()
        if reference_compat:
            self.unused = nn.ModuleList([nn.PReLU(), nn.PReLU(), same_conv(2, 1, bias=False)])

    def forward(self, x: Tensor) -> Tensor:
        """``(B, 1, H, W)`` to the same shape, from 0.5 to 1."""
        early, last = (self.wide_slope, self.narrow_slope), (self.last_wide_slope, self.last_narrow_slope)
        for wide, narrow, slopes in zip(self.wide, self.narrow, (early, early, last), strict=True):
            wide_slope, narrow_slope = slopes
            x = torch.sigmoid((wide_slope(wide(x)) - narrow_slope(narrow(x))).abs())
        return x


class StructureAttention(nn.Module):
    """Common structure of LST and guidance, plus a share of the guidance, which is 0 at the start.

    Args:
        channels: Width C of all features.
        reduction: Of the channel attention.
        reference_compat: As published, with parameters that nothing uses.
    """

    def __init__(self, channels: int, reduction: int, reference_compat: bool) -> None:
        super().__init__()
        self.guidance_pixel = conv_prelu(channels, channels, 1)
        self.guidance_surroundings = conv_prelu(channels, channels)
        self.lst_pixel = conv_prelu(channels, channels, 1)
        self.lst_surroundings = conv_prelu(channels, channels)
        self.attention = ChannelAttention(channels, reduction)
        self.pixel_gates = SpatialMap(3)
        self.guidance_share = conv_prelu(channels, channels, 1)
        self.share_weight = nn.Parameter(torch.zeros(1))
        if reference_compat:
            self.unused = nn.ModuleList(
                [same_conv(channels, channels, 5), ChannelAttention(channels, reduction), SpatialMap(3)]
            )

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """LST and guidance features, ``(B, C, H, W)`` each, to the same shape."""
        guidance_edges = (self.guidance_pixel(guidance) - self.guidance_surroundings(guidance)).abs()
        lst_edges = (self.lst_pixel(lst) - self.lst_surroundings(lst)).abs()
        edges = self.attention(guidance_edges + lst_edges)
        share = self.share_weight * self.guidance_share(guidance)
        structure: Tensor = edges * self.pixel_gates(edges) + share
        return structure


class CBAMResBlock(nn.Module):
    """Residual block of two 3×3 convolutions and attention for channels, then for pixels.

    Reference: Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.

    Args:
        channels: Width C in and out.
        reduction: Of the channel attention.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = same_conv(channels, channels)
        self.conv2 = same_conv(channels, channels)
        self.attention = ChannelAttention(channels, reduction)
        self.pixel_gates = SpatialMap(3)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual = self.attention(self.conv2(F.relu(self.conv1(x))))
        result: Tensor = x + residual * self.pixel_gates(residual)
        return result


def strided_down(in_channels: int, out_channels: int) -> nn.Sequential:
    """``(B, in_channels, H, W)`` to ``(B, out_channels, H/2, W/2)``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride=2, padding=1, bias=False),
        nn.LeakyReLU(_SLOPE),
        same_conv(in_channels, out_channels, bias=False),
    )


class RSAG(nn.Module):
    """From the coarse grid to the fine one in steps of 2, once with the LST and once more with the first result.

    Levels are counted from the fine grid, 0, to the coarse one, P. At x2, an extension, there is no step but the last:
    the coarse structure stands in for the result of the one before.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width on the fine grid; each coarser grid has twice as many.
        n_resblocks: Residual blocks per step.
        reduction: Of the channel attention; at most ``num_feats``.
        reference_compat: As published, with parameters that nothing uses.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 16,
        n_resblocks: int = 30,
        reduction: int = 16,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        n_levels = scale.bit_length() - 1
        widths = [num_feats * 2**level for level in range(n_levels + 1)]

        def step_up(level: int) -> nn.Sequential:
            width = widths[level] if level == n_levels else 4 * widths[level]
            blocks = (CBAMResBlock(width, reduction) for _ in range(n_resblocks))
            return nn.Sequential(*blocks, PixelShuffleUpsampler(width, 2), nn.Conv2d(width, widths[level - 1], 1))

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.split = StructureSplit(reference_compat)
        self.lst_head = same_conv(1, num_feats)
        self.guidance_head = same_conv(guidance_bands, num_feats)
        self.downs = nn.ModuleList(strided_down(width, 2 * width) for width in widths[:-1])
        coarse_to_fine = range(n_levels, 0, -1)
        self.ups = nn.ModuleList(step_up(level) for level in coarse_to_fine)
        self.lifts = nn.ModuleList(same_conv(1, widths[level - 1]) for level in coarse_to_fine)
        self.attentions = nn.ModuleList(
            StructureAttention(widths[level - 1], reduction, reference_compat) for level in coarse_to_fine
        )
        self.rest_down = strided_down(num_feats, 2 * num_feats)
        self.rest_up = nn.Sequential(
            nn.ConvTranspose2d(4 * num_feats, num_feats, 5, 2, 2, output_padding=1), nn.PReLU()
        )
        self.tail = same_conv(4 * num_feats, 1)
        self.rest_tail = same_conv(2 * num_feats, 1)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``: the interpolated LST is added in it,
            whatever the type of the weights.
        """
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        upsampled = up_bicubic(lst, self.scale)
        structure: Tensor = self.split(upsampled.to(coarse.dtype))
        rest = upsampled - structure.to(lst.dtype)
        structure_pyramid = self._pyramid(self.lst_head(structure), len(self.downs))
        guidance_pyramid = self._pyramid(self.guidance_head(fine), len(self.downs) - 1)
        rest_features = self.rest_down(self.lst_head(rest.to(coarse.dtype)))
        first_step = self.ups[0](structure_pyramid[-1])

        def climb(lst_pyramid: Sequence[Tensor]) -> Tensor:
            before = result = joined = structure_pyramid[-1]
            for step, (up, attend) in enumerate(zip(self.ups, self.attentions, strict=True)):
                before, result = result, up(joined) if step else first_step
                level = len(self.ups) - 1 - step
                x = lst_pyramid[level]
                joined = torch.cat([result, structure_pyramid[level], attend(x, guidance_pyramid[level]), x], dim=1)
            rest_fine = self.rest_up(torch.cat([rest_features, before], dim=1))
            detail: Tensor = self.tail(joined) + self.rest_tail(torch.cat([rest_fine, result], dim=1))
            return rest + detail.to(lst.dtype)

        first_result = climb(self._lift(coarse))
        return climb(self._pyramid(self.lst_head(first_result.to(coarse.dtype)), len(self.downs) - 1))

    def _pyramid(self, finest: Tensor, n_steps: int) -> list[Tensor]:
        """Features of ``n_steps`` + 1 levels, the finest first."""
        levels = [finest]
        for down in self.downs[:n_steps]:
            levels.append(down(levels[-1]))
        return levels

    def _lift(self, lst: Tensor) -> list[Tensor]:
        """The LST ``(B, 1, h, w)``, enlarged by 2 again and again, to features of all levels, the finest first."""
        levels: list[Tensor] = []
        for lift in self.lifts:
            lst = up_bicubic(lst, 2)
            levels.insert(0, lift(lst))
        return levels


SPEC = ModelSpec(
    name="rsag",
    label="RSAG",
    description="Very large: takes guidance where it shares the LST's structure, in two passes (x2: an extension).",
    build=RSAG,
    guided=True,
    scales=(2, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 4, "n_resblocks": 1, "reduction": 2}},
    paper=Paper(
        authors="J. Yuan, H. Jiang, X. Li, J. Qian, J. Li, J. Yang",
        title="Recurrent Structure Attention Guidance for Depth Super-Resolution",
        venue="AAAI",
        year=2023,
    ),
)
