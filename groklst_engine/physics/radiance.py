"""Temperature and the radiance that averages: what mixes within a pixel is the radiance its parts emit."""

from __future__ import annotations

from torch import Tensor

STEFAN_BOLTZMANN = 5.670374419e-8
"""W m⁻² K⁻⁴, CODATA 2018."""


def to_radiance(kelvin: Tensor, emissivity: Tensor | float = 1.0) -> Tensor:
    """Radiant exitance of a grey body, ε σ T⁴, in W m⁻²."""
    return emissivity * STEFAN_BOLTZMANN * kelvin.pow(4)


def to_kelvin(radiance: Tensor, emissivity: Tensor | float = 1.0) -> Tensor:
    """Temperature of a grey body from its radiant exitance in W m⁻²; negative ones count as 0."""
    return (radiance.clamp(min=0) / (emissivity * STEFAN_BOLTZMANN)).pow(0.25)
