"""Back-projection between the coarse and the fine grid.

Reference: Haris et al., Deep Back-Projection Networks for Super-Resolution, CVPR 2018.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

Direction = Literal["up", "down"]

# scale: kernel, stride, padding. The grids then nest exactly: h to scale·h and back.
PROJECTION_GEOMETRY = {2: (6, 2, 2), 3: (7, 3, 2), 4: (8, 4, 2), 8: (12, 8, 2)}


def projection(in_channels: int, out_channels: int, scale: int, direction: Direction) -> nn.Module:
    """A transposed (``up``) or strided (``down``) convolution by exactly ``scale``."""
    kernel_size, stride, padding = PROJECTION_GEOMETRY[scale]
    layer = nn.ConvTranspose2d if direction == "up" else nn.Conv2d
    return layer(in_channels, out_channels, kernel_size, stride, padding)


def round_trip_reach(scale: int) -> int:
    """Coarse pixels to either side on which a coarse pixel depends after one projection up and one down."""
    kernel_size, stride, _ = PROJECTION_GEOMETRY[scale]
    return math.ceil((kernel_size - stride) / stride)


class DenseProjection(nn.Module):
    """Project to the other grid, project back, and correct by what the round trip lost.

    Args:
        in_channels: Width of the input and, without a bottleneck, of its reconstruction.
        out_channels: Width of the result.
        scale: A key of ``PROJECTION_GEOMETRY``.
        direction: ``up`` to the fine grid, ``down`` to the coarse one.
        bottleneck: Bring the input to the width of the result first, by a 1×1 convolution.
        one_slope: All channels of a PReLU share their slope.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int,
        direction: Direction,
        *,
        bottleneck: bool = False,
        one_slope: bool = False,
    ) -> None:
        super().__init__()

        def activated(layer: nn.Module, channels: int) -> nn.Module:
            return nn.Sequential(layer, nn.PReLU(1 if one_slope else channels))

        def project(from_channels: int) -> nn.Module:
            return activated(projection(from_channels, out_channels, scale, direction), out_channels)

        opposite: Direction = "down" if direction == "up" else "up"
        width = out_channels if bottleneck else in_channels
        self.entry = activated(nn.Conv2d(in_channels, width, 1), width) if bottleneck else nn.Identity()
        self.project = project(width)
        self.reconstruct = activated(projection(out_channels, width, scale, opposite), width)
        self.correct = project(width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` to ``(B, out_channels, scale·h, scale·w)``, or the other way with ``down``."""
        x = self.entry(x)
        projected: Tensor = self.project(x)
        correction: Tensor = self.correct(self.reconstruct(projected) - x)
        return projected + correction
