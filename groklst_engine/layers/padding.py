"""Sizes that a network cannot take are extended first; the caller crops its result."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def padded(x: Tensor, multiple: int, mode: str = "reflect") -> Tensor:
    """Extend at the right and the bottom until height and width are multiples of ``multiple``.

    The two grids of a guided network are padded alike when the guidance's multiple is ``scale`` times the LST's.

    Args:
        x: ``(B, C, H, W)``.
        multiple: Of the height and the width.
        mode: As in ``torch.nn.functional.pad``; ``reflect`` needs an image larger than what is added.

    Returns:
        ``(B, C, H', W')``; ``[..., :H, :W]`` is ``x``.
    """
    height, width = x.shape[-2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple), mode)
