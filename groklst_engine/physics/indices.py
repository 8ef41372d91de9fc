"""Spectral indices from band roles, so that users need not compute them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from groklst_engine.bands import Role


@dataclass(frozen=True)
class Index:
    """An index of reflectances.

    Attributes:
        bands: What it is computed from.
        formula: From these bands, each ``(B, 1, H, W)``, to the index.
    """

    bands: tuple[Role, ...]
    formula: Callable[..., Tensor]


def normalised_difference(a: Tensor, b: Tensor) -> Tensor:
    """(a − b) / (a + b), −1 to 1; 0 where both are 0."""
    return ratio(a - b, a + b).clamp(-1, 1)


def ratio(a: Tensor, b: Tensor) -> Tensor:
    """A / b, 0 where b is 0."""
    there = b.abs() > 1e-6
    return torch.where(there, a / torch.where(there, b, 1.0), 0.0)


def _savi(nir: Tensor, red: Tensor) -> Tensor:
    return 1.5 * ratio(nir - red, nir + red + 0.5)


def _albedo(blue: Tensor, red: Tensor, nir: Tensor, swir1: Tensor, swir2: Tensor) -> Tensor:
    return (0.356 * blue + 0.130 * red + 0.373 * nir + 0.085 * swir1 + 0.072 * swir2 - 0.0018).clamp(0, 1)


INDICES: dict[Role, Index] = {
    "ndvi": Index(("nir", "red"), normalised_difference),  # Rouse et al. 1974
    "ndwi": Index(("green", "nir"), normalised_difference),  # McFeeters 1996
    "ndbi": Index(("swir1", "nir"), normalised_difference),  # Zha et al. 2003
    "savi": Index(("nir", "red"), _savi),  # Huete 1988, L = 0.5
    "albedo": Index(("blue", "red", "nir", "swir1", "swir2"), _albedo),  # Liang 2001, Landsat, shortwave
}
"""Indices that a pixel's own reflectances (0 to 1) give."""


def ndmvi(nir: Tensor, red: Tensor, darkest_nir: float, darkest_red: float) -> Tensor:
    """Normalised difference mountain vegetation index (Wu and Xu 2011), −1 to 1.

    An NDVI of what a band shows above the scene's darkest pixels: what shaded slopes still receive, the light of the
    sky and of the air, is taken off before the ratio, so that sunlit and shaded slopes of one cover agree.

    Args:
        nir: Reflectance.
        red: Reflectance.
        darkest_nir: Of the scene.
        darkest_red: Of the scene.
    """
    return normalised_difference((nir - darkest_nir).clamp(min=0), (red - darkest_red).clamp(min=0))


def available(roles: Sequence[Role]) -> set[Role]:
    """The given roles and the indices that can be computed from them."""
    return set(roles) | {name for name, index in INDICES.items() if set(index.bands) <= set(roles)}


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
    there = available(roles)
    found: list[Tensor | None] = []
    for role in wanted:
        if role in band:
            found.append(band[role])
        elif role in there:
            found.append(INDICES[role].formula(*(band[name] for name in INDICES[role].bands)))
        else:
            found.append(None)
    return found
