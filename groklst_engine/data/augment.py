"""Augmentation: what a new scene may look like, so that the network does not learn the training scenes by heart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from groklst_engine.training_jobs import Augmentation

NO_GUIDANCE = 0.3
"""Share of band dropping that hides all bands at once: the network must also serve without guidance."""

ONE_BAND = 0.7
"""Share of band dropping that leaves a single band, as users with only an NDVI have."""


SHIFTED = 0.25
"""Share of samples whose guidance lies beside the LST."""

BLURRED = 0.25
"""Share of batches whose coarse LST an unsharp sensor made."""

WIDEST = 0.55
"""Largest standard deviation of a sensor's optics, in coarse pixels: a tenth of the contrast is left at the coarse
pixel's Nyquist frequency, as with the poorest thermal sensors; a box keeps 0.64 of it."""


def augment(
    sample: tuple[Tensor, Tensor, Tensor, Tensor],
    present: Tensor,
    names: Sequence[Augmentation],
    band_dropping: float,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Turn, mirror, drop bands, change gains and offsets, add noise to the guidance.

    Args:
        sample: Coarse LST ``(1, h, w)``, guidance ``(C, H, W)``, fine LST ``(1, H, W)`` and mask, z-scored.
        present: ``(C,)`` bool, bands the scene has.
        names: What to do; blur and shift are done when a sample is drawn, before its coarse LST is made.
        band_dropping: Strength, 0 to 1.
        random: Source of randomness.

    Returns:
        The same four, changed consistently.
    """
    lst, guidance, target, mask = sample
    bands = len(guidance)
    if "gains" in names:
        gain, offset = float(np.exp(random.normal(0, 0.2))), float(random.normal(0, 0.3))
        lst, target = lst * gain + offset, target * gain + offset
    if "gains" in names and bands:
        gains = torch.from_numpy(np.exp(random.normal(0, 0.15, (bands, 1, 1)))).float()
        offsets = torch.from_numpy(random.normal(0, 0.2, (bands, 1, 1))).float()
        guidance = guidance * gains + offsets
    if "noise" in names and bands and random.random() < 0.3:
        guidance = guidance + torch.from_numpy(random.normal(0, 0.03, guidance.shape)).float()
    if bands:  # also hides what a gain's offset put into an absent band
        guidance = guidance * _kept(present, band_dropping, random)[:, None, None]
    turns = int(random.integers(4)) if "turns" in names else 0
    mirror = "flips" in names and random.random() < 0.5
    turned = [torch.rot90(part, turns, (-2, -1)) for part in (lst, guidance, target, mask)]
    lst, guidance, target, mask = (part.flip(-1) if mirror else part for part in turned)
    return lst, guidance, target, mask


def blurred(fine: Tensor, mask: Tensor, sigma: float) -> Tensor:
    """What unsharp optics make of a field: a Gaussian mean over its valid pixels.

    Args:
        fine: ``(1, H, W)``.
        mask: ``(1, H, W)`` bool.
        sigma: Standard deviation in pixels, > 0.

    Returns:
        ``(1, H, W)``; pixels that are not valid keep their value.
    """
    reach = math.ceil(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weight = mask.to(fine.dtype)
    both = torch.stack([fine * weight, weight])  # channels as a batch: each is blurred by itself
    both = F.conv2d(both, kernel[:, None][None, None], padding=(reach, 0))
    both = F.conv2d(both, kernel[None][None, None], padding=(0, reach))
    return torch.where(mask, both[0] / both[1].clamp(min=1e-6), fine)


def _kept(present: Tensor, band_dropping: float, random: np.random.Generator) -> Tensor:
    draw = random.random()
    if draw < NO_GUIDANCE * band_dropping:
        return torch.zeros_like(present)
    if draw < ONE_BAND * band_dropping:
        one = torch.zeros_like(present)
        there = np.flatnonzero(present.numpy())
        if len(there):
            one[int(random.choice(there))] = True
        return one
    if draw < 2 * ONE_BAND * band_dropping:
        dropped = random.random(len(present)) < random.random() * 0.7
        return present & torch.from_numpy(~dropped)
    return present
