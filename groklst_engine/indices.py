"""Spectral indices from band roles, so that users need not compute them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from groklst_engine.bands import Role

NORMALISED_DIFFERENCES: dict[Role, tuple[Role, Role]] = {
    "ndvi": ("nir", "red"),  # Rouse et al. 1974
    "ndwi": ("green", "nir"),  # McFeeters 1996
    "ndbi": ("swir1", "nir"),  # Zha et al. 2003
}
"""Index: (a, b) of (a − b) / (a + b), from reflectances."""


def available(roles: Sequence[Role]) -> set[Role]:
    """The given roles and the indices that can be computed from them."""
    return set(roles) | {index for index, (a, b) in NORMALISED_DIFFERENCES.items() if a in roles and b in roles}


def select(guidance: Tensor, roles: Sequence[Role], wanted: Sequence[Role]) -> list[Tensor | None]:
    """The wanted bands, indices computed where only their reflectances are there.

    Args:
        guidance: ``(B, C, H, W)`` in physical units.
        roles: Of the C bands; the first of several with one role counts.
        wanted: Roles asked for.

    Returns:
        For each wanted role ``(B, 1, H, W)``, or None where it is absent.
    """
    if tuple(roles) == tuple(wanted):  # also where several bands share a role
        return [guidance[:, index : index + 1] for index in range(guidance.shape[1])]
    band = {role: guidance[:, index : index + 1] for index, role in reversed(list(enumerate(roles)))}
    found: list[Tensor | None] = []
    for role in wanted:
        pair = NORMALISED_DIFFERENCES.get(role)
        if role in band:
            found.append(band[role])
        elif pair and pair[0] in band and pair[1] in band:
            a, b = band[pair[0]], band[pair[1]]
            total = a + b
            index = torch.where(total.abs() > 1e-6, (a - b) / torch.where(total.abs() > 1e-6, total, 1.0), 0.0)
            found.append(index.clamp(-1, 1))
        else:
            found.append(None)
    return found
