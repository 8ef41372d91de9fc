"""Filling gaps, so that no network or filter ever meets a NaN; filled pixels are nodata again in the result."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 4
"""Pixels into a gap that are filled from its rim; the rest gets the fallback. Local, so that tiles agree."""


def fill_gaps(values: Tensor, fallback: Tensor) -> Tensor:
    """Fill NaN from the rim inwards by the mean of the valid neighbours, then by a fallback.

    Args:
        values: ``(B, C, H, W)``, NaN where missing.
        fallback: ``(C,)``, e.g. the scene's means.

    Returns:
        ``(B, C, H, W)`` without NaN; valid pixels unchanged.
    """
    known = torch.isfinite(values)
    if bool(known.all()):
        return values
    # a margin of one, so that every pixel has eight neighbours, at the same distances in memory
    filled, known = F.pad(torch.where(known, values, 0.0), (1,) * 4), F.pad(known, (1,) * 4)
    flat, flat_known, line = filled.view(-1), known.view(-1), filled.shape[-1]
    steps = [down * line + right for down in (-1, 0, 1) for right in (-1, 0, 1)]
    inner = (..., slice(1, -1), slice(1, -1))
    for _ in range(REACH):
        beside = known[..., :-2] | known[..., 1:-1] | known[..., 2:]
        near = beside[..., :-2, :] | beside[..., 1:-1, :] | beside[..., 2:, :]
        rim = F.pad(near & ~known[inner], (1,) * 4).view(-1).nonzero()[:, 0]
        total, count = torch.zeros_like(flat[rim]), torch.zeros_like(flat[rim])
        for step in steps:  # only where there is something to fill: a filter of all would take most of a run's time
            total += flat[rim + step]
            count += flat_known[rim + step]
        flat[rim] = total / count
        flat_known[rim] = True
    return torch.where(known[inner], filled[inner], fallback.to(values)[:, None, None])
