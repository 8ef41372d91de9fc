"""From fine to coarse: the block means of Wald's protocol, and a sensor's point spread function.

Wald, Ranchin and Mangolini (1997): degrade real data by the scale, restore them, compare with the original.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


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


def gaussian_blur(fine: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian point spread function of ``sigma`` pixels, edges reflected: shape unchanged.

    A sensor's modulation transfer at its Nyquist frequency m and pixel p corresponds to
    sigma = p/π · √(−2·ln m) (Gaussian optics).
    """
    if sigma <= 0:
        return fine
    reach = max(1, math.ceil(3 * sigma))
    x = torch.arange(-reach, reach + 1, dtype=fine.dtype, device=fine.device)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(fine.shape[1], 1, 1, -1)
    fine = F.pad(fine, (reach, reach, reach, reach), mode="replicate")
    fine = F.conv2d(fine, kernel, groups=fine.shape[1])
    return F.conv2d(fine, kernel.transpose(2, 3), groups=fine.shape[1])
