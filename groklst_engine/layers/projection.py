"""Back-projection between the coarse and the fine grid.

Reference: Haris et al., Deep Back-Projection Networks for Super-Resolution, CVPR 2018.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

Direction = Literal["up", "down"]

# scale: kernel, stride, padding. The grids then nest exactly: h to scale·h and back.
PROJECTION_GEOMETRY = {2: (6, 2, 2), 4: (8, 4, 2), 8: (12, 8, 2)}


def projection(in_channels: int, out_channels: int, scale: int, direction: Direction) -> nn.Module:
    """A transposed (``up``) or strided (``down``) convolution by exactly ``scale``."""
    kernel_size, stride, padding = PROJECTION_GEOMETRY[scale]
    layer = nn.ConvTranspose2d if direction == "up" else nn.Conv2d
    return layer(in_channels, out_channels, kernel_size, stride, padding)


class DenseProjection(nn.Module):
    """Project to the other grid, project back, and correct by what the round trip lost.

    Args:
        in_channels: Width of the input and of its reconstruction.
        out_channels: Width of the result.
        scale: A key of ``PROJECTION_GEOMETRY``.
        direction: ``up`` to the fine grid, ``down`` to the coarse one.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int, direction: Direction) -> None:
        super().__init__()
        opposite: Direction = "down" if direction == "up" else "up"
        self.project = nn.Sequential(projection(in_channels, out_channels, scale, direction), nn.PReLU(out_channels))
        self.reconstruct = nn.Sequential(projection(out_channels, in_channels, scale, opposite), nn.PReLU(in_channels))
        self.correct = nn.Sequential(projection(in_channels, out_channels, scale, direction), nn.PReLU(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` to ``(B, out_channels, scale·h, scale·w)``, or the other way with ``down``."""
        projected: Tensor = self.project(x)
        correction: Tensor = self.correct(self.reconstruct(projected) - x)
        return projected + correction
