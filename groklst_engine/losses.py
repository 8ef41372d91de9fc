"""What training makes small: distances between a downscaled LST and the truth, or the coarse input.

All take a result, the truth, the coarse input, a mask and the scale, in z-scored units, and ignore what the mask leaves
out. The mask must hold at least one whole block of valid pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from pytorch_msssim import ms_ssim, ssim
from torch import Tensor, nn

from groklst_engine.degrade import WHOLE, masked_block_mean
from groklst_engine.errors import InputError
from groklst_engine.models.spec import closest

Measure = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
"""From fine ``(B, 1, H, W)``, target ``(B, 1, H, W)``, coarse ``(B, 1, h, w)``, mask ``(B, 1, H, W)`` bool and scale to
a scalar."""

DEFAULT_LOSS = "smooth-l1"

SMOOTH = 0.1
"""Errors below this count quadratically in smooth L1: it ends between the best MAE and the best RMSE."""

CHARBONNIER = 1e-3
"""Errors far below this count quadratically in the Charbonnier loss."""

SSIM_RANGE = 6.0
"""Z-scored values lie within ±3: the range to which structural similarity relates them."""

_SSIM_WINDOW = 11  # pixels, as published
_SSIM_HALVINGS = 4  # between the five scales


def l1(fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """Mean absolute error."""
    return F.l1_loss(fine[mask], target[mask])


def smooth_l1(fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """Mean absolute error, but quadratic for errors below ``SMOOTH`` (Huber 1964)."""
    return F.smooth_l1_loss(fine[mask], target[mask], beta=SMOOTH)


def charbonnier(fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """Mean of ``√(error² + ε²)``, an absolute error without a kink (Charbonnier et al. 1994; Lai et al. 2017)."""
    return (fine - target)[mask].square().add(CHARBONNIER**2).sqrt().mean()


def multi_scale_ssim(fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """One minus the structural similarity at five scales (Wang et al. 2003).

    Its window shrinks with the crop, and a crop of 32 pixels or less, too small for five scales, is compared at one.
    """
    # Where there is nothing to compare, both are alike; and the similarity is made for values from 0 upwards.
    x, y = (values.where(mask, target) + SSIM_RANGE / 2 for values in (fine, target))
    side = min(x.shape[-2:])
    window = _odd(min(_SSIM_WINDOW, 1 + (side - 1) // 2**_SSIM_HALVINGS))
    similarity: Tensor
    if window >= 3:
        similarity = ms_ssim(x, y, data_range=SSIM_RANGE, win_size=window)
    else:
        similarity = ssim(x, y, data_range=SSIM_RANGE, win_size=_odd(min(_SSIM_WINDOW, side)))
    return 1 - similarity


def _odd(number: int) -> int:
    return number - 1 + number % 2


def degradation(fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """Mean absolute difference of the block means of the result and the coarse input; it needs no truth."""
    mean, share = masked_block_mean(fine, mask, scale)
    whole = share > WHOLE
    return F.l1_loss(mean[whole], coarse[whole])


def gradient(fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
    """Mean absolute error of the differences between neighbouring pixels, along rows and columns."""
    error = fine - target
    down = error.diff(dim=-2)[mask[..., 1:, :] & mask[..., :-1, :]]
    right = error.diff(dim=-1)[mask[..., 1:] & mask[..., :-1]]
    return torch.cat([down, right]).abs().mean()


class Loss(nn.Module):
    """One measure as it is.

    Args:
        measure: The measure.
    """

    def __init__(self, measure: Measure) -> None:
        super().__init__()
        self.measure = measure

    def forward(self, fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
        """A scalar."""
        return self.measure(fine, target, coarse, mask, scale)


class LearnedWeights(nn.Module):
    """Several measures, each with a weight that is learned along: ``Σ exp(−sᵢ) · Lᵢ + sᵢ``.

    ``sᵢ`` is the logarithm of the uncertainty of measure i: what is small anyway gets a large weight, so that no
    measure drowns the others, and the sum of the ``sᵢ`` keeps the weights from vanishing.

    Reference: Kendall, Gal and Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses, CVPR 2018.

    Args:
        *measures: The measures.
    """

    def __init__(self, *measures: Measure) -> None:
        super().__init__()
        self.measures = measures
        self.uncertainties = nn.Parameter(torch.zeros(len(measures)))

    def forward(self, fine: Tensor, target: Tensor, coarse: Tensor, mask: Tensor, scale: int) -> Tensor:
        """A scalar, which can be negative."""
        values = torch.stack([measure(fine, target, coarse, mask, scale) for measure in self.measures])
        return (values * torch.exp(-self.uncertainties) + self.uncertainties).sum()


LOSSES: Mapping[str, Callable[[], nn.Module]] = {
    "l1": partial(Loss, l1),
    "smooth-l1": partial(Loss, smooth_l1),
    "charbonnier": partial(Loss, charbonnier),
    "ms-ssim": partial(Loss, multi_scale_ssim),
    "degradation": partial(Loss, degradation),
    "gradient": partial(Loss, gradient),
    "adaptive": partial(LearnedWeights, degradation, charbonnier, multi_scale_ssim),  # after SRDA-Net
}


def build_loss(name: str) -> nn.Module:
    """A loss by its name in ``LOSSES``; called like a ``Measure``.

    Raises:
        InputError: There is no such loss; the message suggests the nearest name.
    """
    if name not in LOSSES:
        near = closest(name, LOSSES)
        suggestion = f"did you mean '{near}'?" if near else f"choose of {', '.join(LOSSES)}."
        raise InputError(f"Unknown loss '{name}': {suggestion}")
    return LOSSES[name]()
