"""From coarse to fine: separable interpolation whose weights depend on the phase only.

Written as shifted sums instead of a library call so that a tile gives the very bits of the whole raster: each output
value is the same expression of the same inputs wherever the tile begins, at any whole scale.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kernel = Literal["nearest", "bilinear", "bicubic"]
REACH: dict[Kernel, int] = {"nearest": 0, "bilinear": 1, "bicubic": 2}
"""Coarse pixels each kernel looks at to either side."""

_CUBIC = -0.75  # the sharpness most deep-learning work and OpenCV use; Keys (1981) derives -0.5


def _weight(kernel: Kernel, distance: float) -> float:
    x = abs(distance)
    if kernel == "bilinear":
        return max(0.0, 1.0 - x)
    if x <= 1:
        return (_CUBIC + 2) * x**3 - (_CUBIC + 3) * x**2 + 1
    return _CUBIC * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@lru_cache(maxsize=64)
def _phase_weights(kernel: Kernel, scale: int) -> tuple[tuple[float, ...], ...]:
    """For each of the ``scale`` phases, the weights of the coarse pixels −reach … +reach; each row sums to 1."""
    reach = REACH[kernel]
    rows = []
    for phase in range(scale):
        centre = (phase + 0.5) / scale - 0.5
        row = [_weight(kernel, tap - centre) for tap in range(-reach, reach + 1)]
        rows.append(tuple(weight / sum(row) for weight in row))
    return tuple(rows)


def _upsample_rows(coarse: Tensor, scale: int, kernel: Kernel) -> Tensor:
    reach = REACH[kernel]
    height = coarse.shape[-2]
    padded = F.pad(coarse, (0, 0, reach, reach), mode="replicate")
    phases = []
    for weights in _phase_weights(kernel, scale):
        terms = (weight * padded[..., tap : tap + height, :] for tap, weight in enumerate(weights) if weight)
        phases.append(reduce(torch.add, terms))
    return torch.stack(phases, dim=-2).flatten(-3, -2)


def upsample(coarse: Tensor, scale: int, kernel: Kernel) -> Tensor:
    """Interpolate ``(B, C, h, w)`` to ``(B, C, s·h, s·w)``, pixel areas aligned, edges repeated.

    Args:
        coarse: Values without gaps.
        scale: Whole number ≥ 1.
        kernel: ``nearest``, ``bilinear`` or ``bicubic`` (A = −0.75).
    """
    if kernel == "nearest":
        return coarse.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    # along the rows first, where there is least to turn around; contiguous() makes the second pass as fast as it can be
    columns = _upsample_rows(coarse.transpose(-1, -2).contiguous(), scale, kernel).transpose(-1, -2).contiguous()
    return _upsample_rows(columns, scale, kernel)
