"""Augmentation: what a new scene may look like, so that the network does not learn the training scenes by heart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

NO_GUIDANCE = 0.3
"""Share of band dropping that hides all bands at once: the network must also serve without guidance."""

ONE_BAND = 0.7
"""Share of band dropping that leaves a single band, as users with only an NDVI have."""


def augment(
    sample: tuple[Tensor, Tensor, Tensor, Tensor], present: Tensor, band_dropping: float, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Turn, mirror, drop bands, change gains and offsets, add noise to the guidance.

    Args:
        sample: Coarse LST ``(1, h, w)``, guidance ``(C, H, W)``, fine LST ``(1, H, W)`` and mask, z-scored.
        present: ``(C,)`` bool, bands the scene has.
        band_dropping: Strength, 0 to 1.
        random: Source of randomness.

    Returns:
        The same four, changed consistently.
    """
    lst, guidance, target, mask = sample
    bands = len(guidance)
    gain, offset = float(np.exp(random.normal(0, 0.2))), float(random.normal(0, 0.3))
    lst, target = lst * gain + offset, target * gain + offset
    if bands:
        gains = torch.from_numpy(np.exp(random.normal(0, 0.15, (bands, 1, 1)))).float()
        offsets = torch.from_numpy(random.normal(0, 0.2, (bands, 1, 1))).float()
        guidance = guidance * gains + offsets
        if random.random() < 0.3:
            guidance = guidance + torch.from_numpy(random.normal(0, 0.03, guidance.shape)).float()
        guidance = guidance * _kept(present, band_dropping, random)[:, None, None]
    turns, mirror = int(random.integers(4)), random.random() < 0.5
    turned = [torch.rot90(part, turns, (-2, -1)) for part in (lst, guidance, target, mask)]
    lst, guidance, target, mask = (part.flip(-1) if mirror else part for part in turned)
    return lst, guidance, target, mask


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
