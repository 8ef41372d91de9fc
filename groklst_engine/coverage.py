"""Whether standard errors tell the truth: how many real errors they cover, and whether they are large where errors are.

For errors that are normally distributed and standard errors that are right, 68 % of the errors lie within one standard
error and 95 % within two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

SAMPLE = 1000
"""Pixels of a scene that count in figures pooled over scenes, so that a large one does not outweigh the others."""


@dataclass(frozen=True)
class Coverage:
    """How standard errors and real errors go together.

    Attributes:
        within_1_sigma: Share of errors no larger than the standard error, 0 to 1.
        within_2_sigma: Share of errors no larger than twice that, 0 to 1.
        sigma_correlation: Spearman's rank correlation of standard error and size of the error, −1 to 1; NaN where
            either is constant.
    """

    within_1_sigma: float
    within_2_sigma: float
    sigma_correlation: float

    def to_json(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


@dataclass(frozen=True)
class ErrorSample:
    """Real errors beside their standard errors.

    Attributes:
        errors: ``(N,)`` kelvin.
        sigmas: ``(N,)`` kelvin.
    """

    errors: NDArray[np.floating]
    sigmas: NDArray[np.floating]

    @classmethod
    def of(
        cls,
        result: NDArray[np.floating],
        sigma: NDArray[np.floating],
        truth: NDArray[np.floating],
        counted: NDArray[np.bool_],
    ) -> ErrorSample:
        """The pixels that count, and where the result and its standard error are there.

        Args:
            result: ``(H, W)`` kelvin.
            sigma: ``(H, W)`` kelvin.
            truth: ``(H, W)`` kelvin.
            counted: ``(H, W)`` bool.
        """
        taken = counted & np.isfinite(result) & np.isfinite(sigma)
        return cls((result - truth)[taken], sigma[taken])

    def drawn(self) -> ErrorSample:
        """At most ``SAMPLE`` of them, drawn evenly; equal samples give equal draws."""
        if self.errors.size <= SAMPLE:
            return self
        drawn = np.random.default_rng(0).choice(self.errors.size, SAMPLE, replace=False)
        return ErrorSample(self.errors[drawn], self.sigmas[drawn])


def coverage(samples: Sequence[ErrorSample]) -> Coverage:
    """Coverage over the pixels of one or more scenes."""
    sizes = np.abs(np.concatenate([sample.errors for sample in samples]))
    sigmas = np.concatenate([sample.sigmas for sample in samples])
    varied = sizes.size > 1 and np.ptp(sizes) > 0 and np.ptp(sigmas) > 0
    return Coverage(
        float(np.mean(sizes <= sigmas)),
        float(np.mean(sizes <= 2 * sigmas)),
        float(spearmanr(sigmas, sizes)[0]) if varied else float("nan"),
    )
