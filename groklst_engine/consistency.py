"""Coarse consistency: the fine field must aggregate back to the coarse LST it came from.

Iterative back-projection (Irani and Peleg 1991): aggregate, compare, add the interpolated difference. How strict that
should be depends on the sensor: box means are right where the coarse LST was made by averaging, a point spread
function and less than full strength where a radiometer measured it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from groklst_engine.degrade import aggregate
from groklst_engine.physics.psf import BOX, Psf
from groklst_engine.physics.radiance import to_kelvin, to_radiance
from groklst_engine.physics_jobs import Domain, Physics
from groklst_engine.resample import REACH, upsample

ITERATIONS = 2
"""Smooth steps before the block-constant one; more gain little and widen the halo of every tile."""

RADIUS = ITERATIONS * REACH["bicubic"]
"""Coarse pixels the correction with a box looks at to either side."""

PSF_ITERATIONS = 4
"""Steps through a point spread function that is no box."""

PSF_SPECTRUM = 0.2, 1.1
"""Between which lie the factors by which aggregation after interpolation damps the patterns of the coarse grid."""


def back_project(fine: Tensor, coarse: Tensor, mask: Tensor, scale: int, psf: Psf = BOX) -> Tensor:
    """Correct a fine field so that, seen through the point spread function, it is the coarse one.

    For a box, a last block-constant step makes the block means exact. Any other function sees hardly anything of the
    finest patterns of the coarse grid; the steps' lengths then follow Chebyshev (Richardson's iteration), which brings
    every pattern that the function passes to the coarse value in few steps, and leaves alone those it does not.

    Args:
        fine: ``(B, 1, s·h, s·w)`` kelvin or radiance.
        coarse: ``(B, 1, h, w)`` in the same unit.
        mask: ``(B, 1, s·h, s·w)`` bool, the fine pixels that will be in the result.
        scale: Coarse pixel divided by fine pixel.
        psf: Of the coarse sensor.

    Returns:
        ``(B, 1, s·h, s·w)``; blocks without a valid pixel get the correction of their neighbours only.
    """
    box = psf.shape == "box"
    for length in [1.0] * ITERATIONS if box else _chebyshev_steps():
        fine = fine + length * upsample(_difference(fine, coarse, mask, scale, psf), scale, "bicubic")
    if box:
        fine = fine + upsample(_difference(fine, coarse, mask, scale, psf), scale, "nearest")
    return fine


def _difference(fine: Tensor, coarse: Tensor, mask: Tensor, scale: int, psf: Psf) -> Tensor:
    mean, share = aggregate(fine, mask, scale, psf)
    return (coarse - mean).where(share > 0, 0.0)


def _chebyshev_steps() -> list[float]:
    """The inverse roots of the Chebyshev polynomial on the spectrum, the shortest step first."""
    low, high = PSF_SPECTRUM
    angles = [math.pi * (index + 0.5) / PSF_ITERATIONS for index in range(PSF_ITERATIONS)]
    return [1 / (0.5 * (high + low) + 0.5 * (high - low) * math.cos(angle)) for angle in angles]


@dataclass(frozen=True)
class Correction:
    """The correction of a run.

    Attributes:
        strength: Share of the difference that is removed, 0 to 1.
        psf: Of the coarse sensor.
        domain: What averages: temperature, or the radiance ε σ T⁴.
    """

    strength: float = 1.0
    psf: Psf = BOX
    domain: Domain = "temperature"

    @classmethod
    def of(cls, job: Physics) -> Correction:
        """The correction that a job asks for."""
        return cls(1.0 if job.consistency is None else job.consistency, Psf(job.psf, job.mtf), job.domain)

    @property
    def radius(self) -> int:
        """Coarse pixels the correction looks at to either side."""
        if self.strength == 0:
            return 0
        if self.psf.shape == "box":
            return RADIUS
        return PSF_ITERATIONS * (REACH["bicubic"] + self.psf.reach)

    def __call__(
        self, fine: Tensor, coarse: Tensor, mask: Tensor, scale: int, emissivity: Tensor | None = None
    ) -> Tensor:
        """Correct a fine field.

        Args:
            fine: ``(B, 1, s·h, s·w)`` kelvin.
            coarse: ``(B, 1, h, w)`` kelvin.
            mask: ``(B, 1, s·h, s·w)`` bool, the fine pixels that will be in the result.
            scale: Coarse pixel divided by fine pixel.
            emissivity: ``(B, 1, s·h, s·w)``, for the radiance; None takes 1.

        Returns:
            ``(B, 1, s·h, s·w)`` kelvin.
        """
        if self.strength == 0:
            return fine
        if self.domain == "temperature":
            corrected = back_project(fine, coarse, mask, scale, self.psf)
        else:
            emitting = torch.ones_like(fine) if emissivity is None else emissivity
            seen = to_radiance(coarse, aggregate(emitting, mask, scale, self.psf)[0])
            there = back_project(to_radiance(fine, emitting), seen, mask, scale, self.psf)
            corrected = to_kelvin(there, emitting)
        return corrected if self.strength == 1 else fine + self.strength * (corrected - fine)
