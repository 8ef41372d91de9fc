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
    valid = torch.isfinite(values)
    if bool(valid.all()):
        return values
    filled = torch.where(valid, values, 0.0)
    known = valid.to(values.dtype)
    for _ in range(REACH):
        count = F.avg_pool2d(known, 3, 1, 1)
        mean = F.avg_pool2d(filled * known, 3, 1, 1) / count.clamp(min=1e-6)
        rim = (known == 0) & (count > 0)
        filled = torch.where(rim, mean, filled)
        known = torch.where(rim, 1.0, known)
    return torch.where(known > 0, filled, fallback.to(values)[:, None, None])
