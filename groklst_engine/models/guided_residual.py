"""``guided-residual``: GrokLST's own small network, made for CPUs, any set of bands and any whole scale.

It learns what bicubic interpolation misses. Beside the interpolated LST and the guidance it sees the guidance's
detail (the guidance without its own coarse part) and a local regression of LST on guidance, so that the sign of the
relation, which changes with season, water and relief, is given by the scene and not by the training data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.degrade import block_mean
from groklst_engine.grid import NO_MARGINS, Margins
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.local_regression import GuidanceWindows, applied, reach
from groklst_engine.models.spec import ModelSpec
from groklst_engine.resample import REACH, upsample

Sides = tuple[int, int, int, int]


class DilatedBlock(nn.Module):
    """Two 3×3 convolutions, the first dilated, with a skip: ``(B, C, H, W)`` to the same."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.merge = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block finds to what it was given."""
        found: Tensor = self.merge(self.activation(self.spread(x)))
        return x + found


@dataclass(frozen=True)
class GuidanceFeatures:
    """What the network makes of the guidance alone.

    Attributes:
        scale: Coarse pixel divided by fine pixel.
        coarse: ``(B, C, h, w)`` aggregated guidance.
        detail: ``(B, C, s·h, s·w)`` guidance without its own coarse part.
        windows: Of the local regressions.
    """

    scale: int
    coarse: Tensor
    detail: Tensor
    windows: tuple[GuidanceWindows, ...]


@dataclass(frozen=True)
class Nearby:
    """What the local regressions find around each coarse pixel.

    Attributes:
        lst: ``(B, 1, h, w)`` coarse LST.
        of_guidance: Of the guidance.
        slopes: ``(B, C, h, w)`` coefficients, one per window.
        details: ``(B, 1, s·h, s·w)`` LST detail that they predict, one per window.
        left_out: Fine pixels on the left and right, at the top and bottom, that the stem's features lack.
    """

    lst: Tensor
    of_guidance: GuidanceFeatures
    slopes: tuple[Tensor, ...]
    details: tuple[Tensor, ...]
    left_out: Sides


class GuidedResidual(nn.Module):
    """Residual over bicubic from guidance, its detail and a local regression.

    Args:
        scale: Coarse pixel divided by fine pixel where no guidance tells it; the weights serve every scale.
        guidance_bands: C, 0 or more.
        width: Feature channels.
        dilations: One block each.
        windows: Radii, in coarse pixels, of the local regressions.
        ridge: Penalty of the local regressions, in z-scored units.
    """

    def __init__(
        self,
        scale: int,
        guidance_bands: int,
        width: int = 48,
        dilations: Sequence[int] = (1, 2, 4, 2),
        windows: Sequence[int] = (2, 5),
        ridge: float = 0.02,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.windows = tuple(windows) if guidance_bands else ()
        self.ridge = ridge
        self.stem = nn.Conv2d(2 + 2 * guidance_bands + len(self.windows), width, 3, padding=1)
        self.blocks = nn.Sequential(*[DilatedBlock(width, dilation) for dilation in dilations])
        self.head = nn.Conv2d(width, 1, 3, padding=1)
        self.reach = fine_reach(dilations)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, lst: Tensor, guidance: Tensor | None = None, spare: Margins = NO_MARGINS) -> Tensor:
        """Downscale in z-scored units.

        Args:
            lst: ``(B, 1, h, w)``.
            guidance: ``(B, C, s·h, s·w)``; an absent band is 0 everywhere. None: all are absent.
            spare: Margins whose results do not count; where the local regressions alone look at them, they are left
                as interpolated.

        Returns:
            ``(B, 1, s·h, s·w)``.
        """
        scale = self.scale if guidance is None else guidance.shape[-1] // lst.shape[-1]
        interpolated = upsample(lst, scale, "bicubic")
        if guidance is None:
            guidance = interpolated.new_zeros(len(lst), self.guidance_bands, *interpolated.shape[-2:])
        of_guidance = self._of_guidance(guidance, scale)
        slopes = tuple(window.slopes(lst) for window in of_guidance.windows)
        details = tuple(applied(slope, of_guidance.detail, scale) for slope in slopes)
        octaves = torch.full_like(interpolated, math.log2(scale) / 3)
        seen = [interpolated, octaves, guidance, of_guidance.detail, *details]
        left_out = _in_fine_pixels(spare.less(math.ceil(self.reach / scale)), scale)
        features = self.stem(torch.cat([without(values, left_out) for values in seen], dim=1))
        residual = self.residual(features, Nearby(lst, of_guidance, slopes, details, left_out))
        return interpolated + F.pad(residual, left_out).to(interpolated.dtype)

    def residual(self, features: Tensor, nearby: Nearby) -> Tensor:
        """What bicubic misses, ``(B, 1, H, W)``, from the stem's features ``(B, width, H, W)``."""
        residual: Tensor = self.head(self.blocks(features))
        return residual

    @of_guidance
    def _of_guidance(self, guidance: Tensor, scale: int) -> GuidanceFeatures:
        coarse = block_mean(guidance, scale)
        windows = tuple(GuidanceWindows.of(coarse, window, self.ridge) for window in self.windows)
        detail = guidance - upsample(coarse, scale, "bicubic") if self.guidance_bands else guidance
        return GuidanceFeatures(scale, coarse, detail, windows)


def without(values: Tensor, left_out: Sides) -> Tensor:
    """Less some pixels at each side: what ``F.pad`` adds again."""
    left, right, top, bottom = left_out
    height, width = values.shape[-2:]
    return values[..., top : height - bottom, left : width - right]


def _in_fine_pixels(margins: Margins, scale: int) -> Sides:
    return margins.left * scale, margins.right * scale, margins.top * scale, margins.bottom * scale


def fine_reach(dilations: Sequence[int]) -> int:
    """Fine pixels to either side at which the convolutions look."""
    return 2 + sum(dilation + 1 for dilation in dilations)


def radius(scale: int, dilations: Sequence[int] = (1, 2, 4, 2), windows: Sequence[int] = (2, 5)) -> int:
    """Coarse pixels to either side on which an output pixel depends."""
    inputs = max(REACH["bicubic"], *(reach(window) for window in windows), 0)
    return math.ceil(fine_reach(dilations) / scale) + inputs


SPEC = ModelSpec(
    name="guided-residual",
    label="Guided residual",
    description="GrokLST's own small network: any set of bands, any whole scale, made for CPUs.",
    build=GuidedResidual,
    guided=True,
    min_guidance_bands=0,
    scales=range(2, 65),
    receptive_radius=lambda arguments: radius(arguments["scale"], arguments["dilations"], arguments["windows"]),
    licence="GPL-3.0-or-later",
    paper=None,
)
