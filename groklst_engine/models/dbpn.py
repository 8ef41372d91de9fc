"""D-DBPN: up to the fine grid and back, again and again, each time corrected by what the round trip lost."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.init import init_he
from groklst_engine.layers.projection import DenseProjection, Direction, round_trip_reach
from groklst_engine.models.spec import ModelSpec, Paper


class DBPN(nn.Module):
    """Up- and down-projections in turn, each reading all earlier results of its grid; no interpolated skip.

    Args:
        scale: 2, 4 or 8.
        num_feats: Width of every projection.
        stem_feats: Width of the first convolution.
        num_stages: Number of up-projections.
    """

    def __init__(self, *, scale: int, num_feats: int = 64, stem_feats: int = 256, num_stages: int = 7) -> None:
        super().__init__()

        def project(n_inputs: int, direction: Direction) -> DenseProjection:
            dense = n_inputs > 1
            return DenseProjection(n_inputs * num_feats, num_feats, scale, direction, bottleneck=dense, one_slope=True)

        self.stem = nn.Sequential(same_conv(1, stem_feats), nn.PReLU(), nn.Conv2d(stem_feats, num_feats, 1), nn.PReLU())
        self.first_up = project(1, "up")
        self.downs = nn.ModuleList(project(n, "down") for n in range(1, num_stages))
        self.ups = nn.ModuleList(project(n, "up") for n in range(1, num_stages))
        self.tail = same_conv(num_stages * num_feats, 1)
        init_he(self)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        coarse: list[Tensor] = []  # newest first, as are the fine ones
        fine = [self.first_up(self.stem(lst.to(self.tail.weight.dtype)))]
        for down, up in zip(self.downs, self.ups, strict=True):
            coarse.insert(0, down(torch.cat(fine, dim=1)))
            fine.insert(0, up(torch.cat(coarse, dim=1)))
        result: Tensor = self.tail(torch.cat(fine, dim=1))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="dbpn",
    label="D-DBPN",
    description="Single-image network that checks itself on the coarse grid: strong at large factors.",
    build=DBPN,
    guided=False,
    scales=(2, 4, 8),
    # Stem 1; tail and last projection ⌈3/s⌉; one round trip in the first up-projection and three in each further pair.
    receptive_radius=lambda arguments: (
        1 + math.ceil(3 / arguments["scale"]) + (3 * arguments["num_stages"] - 2) * round_trip_reach(arguments["scale"])
    ),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 12, "stem_feats": 64, "num_stages": 3}},
    paper=Paper(
        authors="M. Haris, G. Shakhnarovich, N. Ukita",
        title="Deep Back-Projection Networks for Super-Resolution",
        venue="CVPR",
        year=2018,
        doi="arXiv:1803.02735",
    ),
)
