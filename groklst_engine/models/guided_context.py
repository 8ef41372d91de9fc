"""``guided-context``: the guided residual network with a second branch, over coarse pixels.

Whether guidance tells anything of the LST differs from place to place. The branch sees, at the cost of a few
convolutions over coarse pixels, how well the local regressions fit there and how much they would add; what it makes of
that joins the features of the fine branch and weighs them before the last layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from groklst_engine.degrade import block_mean
from groklst_engine.models.guided_residual import DilatedBlock, GuidedResidual, Nearby, without
from groklst_engine.models.guided_residual import radius as radius_without_context
from groklst_engine.models.spec import ModelSpec
from groklst_engine.resample import REACH, upsample

_CONTEXT_BLOCKS = 2


class GuidedContext(GuidedResidual):
    """``GuidedResidual`` that knows how far to trust the guidance here.

    Args:
        scale: Coarse pixel divided by fine pixel where no guidance tells it; the weights serve every scale.
        guidance_bands: C, 0 or more.
        width: Feature channels of the fine branch.
        dilations: One block of the fine branch each.
        windows: Radii, in coarse pixels, of the local regressions.
        ridge: Penalty of the local regressions, in z-scored units.
        context: Feature channels of the coarse branch.
    """

    def __init__(
        self,
        scale: int,
        guidance_bands: int,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 4, 8, 4, 2),
        windows: Sequence[int] = (2, 5),
        ridge: float = 0.02,
        context: int = 64,
    ) -> None:
        super().__init__(scale, guidance_bands, width, dilations, windows, ridge)
        self.context = nn.Sequential(
            nn.Conv2d(2 + guidance_bands + 4 * len(self.windows), context, 3, padding=1),
            nn.LeakyReLU(0.1),
            *[DilatedBlock(context, 1) for _ in range(_CONTEXT_BLOCKS)],
        )
        self.shift = nn.Conv2d(context, width, 1)
        self.gain = nn.Conv2d(context, width, 1)
        for layer in (self.shift, self.gain):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def residual(self, features: Tensor, nearby: Nearby) -> Tensor:
        """What bicubic misses, ``(B, 1, H, W)``, from the stem's features ``(B, width, H, W)``."""
        scale = nearby.of_guidance.scale
        context = self.context(_coarse_features(nearby))

        def on_fine_grid(values: Tensor) -> Tensor:
            return without(upsample(values, scale, "bilinear"), nearby.left_out)

        features = self.blocks(features + on_fine_grid(self.shift(context)))
        residual: Tensor = self.head(features * (1 + on_fine_grid(self.gain(context))))
        return residual


def _coarse_features(nearby: Nearby) -> Tensor:
    """What the coarse branch sees: ``(B, 2 + C + 4·windows, h, w)``."""
    lst, of_guidance = nearby.lst, nearby.of_guidance
    seen = [lst, torch.full_like(lst, math.log2(of_guidance.scale) / 3), of_guidance.coarse]
    for window, slopes, detail in zip(of_guidance.windows, nearby.slopes, nearby.details, strict=True):
        seen += [window.misfit(lst, slopes), block_mean(detail**2, of_guidance.scale).sqrt()]
    return torch.cat(seen, dim=1)


def radius(scale: int, dilations: Sequence[int], windows: Sequence[int]) -> int:
    """Coarse pixels to either side on which an output pixel depends."""
    context = 1 + 2 * _CONTEXT_BLOCKS + REACH["bilinear"]
    return radius_without_context(scale, dilations, windows) + max(windows) + context


SPEC = ModelSpec(
    name="guided-context",
    label="Guided residual with context",
    description="GrokLST's own larger network: any set of bands, any whole scale; weighs guidance by how well it fits.",
    build=GuidedContext,
    guided=True,
    min_guidance_bands=0,
    scales=range(2, 65),
    receptive_radius=lambda arguments: radius(arguments["scale"], arguments["dilations"], arguments["windows"]),
    licence="GPL-3.0-or-later",
    paper=None,
)
