"""Coarse consistency: the fine field must aggregate back to the coarse LST it came from.

Iterative back-projection (Irani and Peleg 1991): aggregate, compare, add the interpolated difference. A last
block-constant step makes the block means exact, which holds for a coarse pixel that is a box average; sensors whose
pixel is no box want it off (their block means differ from what they measured).
"""

from __future__ import annotations

from torch import Tensor

from groklst_engine.degrade import masked_block_mean
from groklst_engine.resample import REACH, upsample

ITERATIONS = 2
"""Smooth steps before the block-constant one; more gain little and widen the halo of every tile."""

RADIUS = ITERATIONS * REACH["bicubic"]
"""Coarse pixels the correction looks at to either side."""


def back_project(fine: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """Correct a fine field so that the mean over the valid pixels of each block equals the coarse value.

    Args:
        fine: ``(B, 1, s·h, s·w)`` kelvin.
        coarse: ``(B, 1, h, w)`` kelvin.
        mask: ``(B, 1, s·h, s·w)`` bool, the fine pixels that will be in the result.
        scale: Coarse pixel divided by fine pixel.

    Returns:
        ``(B, 1, s·h, s·w)`` kelvin; blocks without a valid pixel get the correction of their neighbours only.
    """
    for step in range(ITERATIONS + 1):
        mean, share = masked_block_mean(fine, mask, scale)
        difference = (coarse - mean).where(share > 0, 0.0)
        fine = fine + upsample(difference, scale, "bicubic" if step < ITERATIONS else "nearest")
    return fine
