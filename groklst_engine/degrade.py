"""From fine to coarse: the block means of Wald's protocol, and what a sensor with a point spread function sees.

Wald, Ranchin and Mangolini (1997): degrade real data by the scale, restore them, compare with the original.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from groklst_engine.physics.psf import BOX, Psf

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
    return block_mean(fine * weight, scale) / share.clamp(min=0.5 / scale**2), share


def aggregate(fine: Tensor, mask: Tensor, scale: int, psf: Psf = BOX) -> tuple[Tensor, Tensor]:
    """What a coarse sensor sees of a fine field: the mean of the valid pixels, weighted by its point spread function.

    Args:
        fine: ``(B, C, s·h, s·w)``, finite.
        mask: ``(B, 1, s·h, s·w)`` bool.
        scale: Coarse pixel divided by fine pixel.
        psf: Of the sensor; the box gives ``masked_block_mean``.

    Returns:
        ``(B, C, h, w)`` means, 0 where no pixel under the function is valid, and ``(B, 1, h, w)``, how much of the
        function's weight within the raster falls on valid pixels, 0 to 1.
    """
    if psf.shape == "box":
        return masked_block_mean(fine, mask, scale)
    weight = mask.to(fine.dtype)
    seen = _filtered(weight, scale, psf)
    share = seen / _filtered(torch.ones_like(weight), scale, psf)
    mean = _filtered(fine * weight, scale, psf) / seen.clamp(min=1e-6)
    return mean.where(share > 1e-3, 0.0), share


def _filtered(fine: Tensor, scale: int, psf: Psf) -> Tensor:
    """Weighted sums around each coarse pixel, 0 beyond the edges."""
    down, along = psf.weights(scale)
    columns = _strided_sums(fine.transpose(-1, -2), scale, down).transpose(-1, -2)
    return _strided_sums(columns, scale, along)


def _strided_sums(fine: Tensor, scale: int, weights: Sequence[float]) -> Tensor:
    """Along the last axis. As shifted sums, like the interpolation, so that a tile has the bits of the whole raster."""
    pad = (len(weights) - scale) // 2
    size = fine.shape[-1]
    padded = F.pad(fine, (pad, pad))
    total = torch.zeros_like(fine[..., ::scale])
    for tap, weight in enumerate(weights):
        if weight:
            total = total + weight * padded[..., tap : tap + size : scale]
    return total
