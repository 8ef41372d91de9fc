"""SRFBN: one block of projections whose result goes back into it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.projection import projection, round_trip_reach
from groklst_engine.layers.resample import up_bilinear
from groklst_engine.models.spec import ModelSpec, Paper


def _activated(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, nn.PReLU(init=0.2))


def _merge(n_inputs: int, channels: int) -> nn.Module:
    """Several concatenated feature maps to one; a single one stays as it is."""
    return _activated(nn.Conv2d(n_inputs * channels, channels, 1)) if n_inputs > 1 else nn.Identity()


class FeedbackBlock(nn.Module):
    """Projections up and down in turn, each reading all earlier results of its grid.

    Args:
        channels: Width C of everything.
        n_groups: Number of pairs of projections.
        scale: Fine pixels per coarse pixel.
    """

    def __init__(self, channels: int, n_groups: int, scale: int) -> None:
        super().__init__()
        groups = range(1, n_groups + 1)
        self.entry = _merge(2, channels)
        self.merge_coarse = nn.ModuleList(_merge(n, channels) for n in groups)
        self.ups = nn.ModuleList(_activated(projection(channels, channels, scale, "up")) for _ in groups)
        self.merge_fine = nn.ModuleList(_merge(n, channels) for n in groups)
        self.downs = nn.ModuleList(_activated(projection(channels, channels, scale, "down")) for _ in groups)
        self.exit = _merge(n_groups, channels)

    def forward(self, x: Tensor, feedback: Tensor) -> Tensor:
        """Features and the result of the step before, ``(B, C, h, w)`` each, to the same shape."""
        coarse = [self.entry(torch.cat([x, feedback], dim=1))]
        fine: list[Tensor] = []
        for merge_coarse, up, merge_fine, down in zip(
            self.merge_coarse, self.ups, self.merge_fine, self.downs, strict=True
        ):
            fine.append(up(merge_coarse(torch.cat(coarse, dim=1))))
            coarse.append(down(merge_fine(torch.cat(fine, dim=1))))
        result: Tensor = self.exit(torch.cat(coarse[1:], dim=1))
        return result


class SRFBN(nn.Module):
    """A feedback block unrolled over time with the same weights, then one projection up, and a bilinear skip.

    Args:
        scale: 2, 3, 4 or 8.
        num_feats: Width of the features; the stem is four times as wide.
        n_steps: How often the block is applied.
        n_groups: Pairs of projections in the block.
    """

    def __init__(self, *, scale: int, num_feats: int = 32, n_steps: int = 4, n_groups: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.n_steps = n_steps
        self.stem = nn.Sequential(
            _activated(same_conv(1, 4 * num_feats)), _activated(nn.Conv2d(4 * num_feats, num_feats, 1))
        )
        self.block = FeedbackBlock(num_feats, n_groups, scale)
        self.up = _activated(projection(num_feats, num_feats, scale, "up"))
        self.tail = same_conv(num_feats, 1)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``: the skip is added in it.
        """
        features = self.stem(lst.to(self.tail.weight.dtype))
        state = features
        for _ in range(self.n_steps):
            state = self.block(features, state)
        detail: Tensor = self.tail(self.up(state))
        return up_bilinear(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="srfbn",
    label="SRFBN",
    description="Small recurrent single-image network: it refines its features in several passes.",
    build=SRFBN,
    guided=False,
    scales=(2, 3, 4, 8),
    # Stem 1; tail and last projection ⌈3/s⌉; one round trip per pair of projections, in every step.
    receptive_radius=lambda arguments: (
        1
        + math.ceil(3 / arguments["scale"])
        + arguments["n_steps"] * arguments["n_groups"] * round_trip_reach(arguments["scale"])
    ),
    presets={"paper": {}, "small": {"num_feats": 16, "n_steps": 3}},
    paper=Paper(
        authors="Z. Li, J. Yang, Z. Liu, X. Yang, G. Jeon, W. Wu",
        title="Feedback Network for Image Super-Resolution",
        venue="CVPR",
        year=2019,
        doi="arXiv:1903.09814",
    ),
)
