"""From fine to coarse: the block means of Wald's protocol.

Wald, Ranchin and Mangolini (1997): degrade real data by the scale, restore them, compare with the original.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

WHOLE = 0.999
"""Share of valid pixels from which a block counts as whole; below 1, because the share is rounded."""


def block_mean(fine: Tensor, scale: int) -> Tensor:
    """Mean of each ``scale`` × ``scale`` block: ``(B, C, s·h, s·w)`` to ``(B, C, h, w)``."""
    if fine.shape[1] == 0:  # no guidance, which pooling refuses
        return fine[..., ::scale, ::scale]
    return F.avg_pool2d(fine, scale)


def masked_block_mean(fine: Tensor, mask: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Mean of the valid pixels of each block, and the share of them that is valid.

    Args:
        fine: ``(B, C, s·h, s·w)``, finite.
        mask: ``(B, 1, s·h, s·w)`` bool.
        scale: Block side in pixels.

    Returns:
        ``(B, C, h, w)`` means, 0 where a block has no valid pixel, and ``(B, 1, h, w)`` shares, 0 to 1.
    """
    weight = mask.to(fine.dtype)
    share = F.avg_pool2d(weight, scale)
    return F.avg_pool2d(fine * weight, scale) / share.clamp(min=0.5 / scale**2), share
