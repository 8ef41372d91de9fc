"""Sizes that a network cannot take."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def padded(x: Tensor, multiple: int, fill: Literal["reflect", "zeros"] = "reflect", at_least: int = 0) -> Tensor:
    """Extend an image to the right and to the bottom until its height and width are multiples of a number.

    The result of a network is cropped with ``result[..., : scale * height, : scale * width]``. Guidance is padded to
    ``scale * multiple``, so that both modalities grow alike.

    Args:
        x: ``(B, C, H, W)``.
        multiple: What height and width shall be multiples of.
        fill: Mirror the image (its last pixel not doubled; where it is too small for that, the last pixel is
            repeated), or put zeros.
        at_least: Least height and width, a multiple of ``multiple``.

    Returns:
        ``(B, C, H', W')`` with ``H' >= H`` and ``W' >= W``; ``x`` itself where nothing is to be done.
    """
    height, width = x.shape[-2:]
    below, right = (max(at_least, -(-size // multiple) * multiple) - size for size in (height, width))
    if not below and not right:
        return x
    if fill == "zeros":
        return F.pad(x, (0, right, 0, below))
    mirrored = below < height and right < width
    return F.pad(x, (0, right, 0, below), mode="reflect" if mirrored else "replicate")
