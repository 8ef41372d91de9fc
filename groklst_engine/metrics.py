"""The five scores of the GrokLST benchmark, accumulated in float64 so that any number of tiles gives one result.

Definitions (Dai et al. 2024, arXiv 2409.19835), p prediction, t truth, N valid pixels: RMSE = √(Σ(p−t)²/N),
MAE = Σ|p−t|/N, BIAS = Σ(p−t)/N, CC = Pearson correlation, RSD = |σₚ − σₜ| / σₜ with σ over N−1.
The published tables average each score over the test images; a map's own report pools its pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Scores of one comparison; kelvin where a unit applies.

    Attributes:
        rmse: Root mean square error, K.
        mae: Mean absolute error, K.
        bias: Mean of prediction minus truth, K.
        cc: Pearson correlation, −1 to 1; NaN where either field is constant.
        rsd: Relative difference of the standard deviations, ≥ 0; NaN where the truth is constant.
        n: Number of pixels.
    """

    rmse: float
    mae: float
    bias: float
    cc: float
    rsd: float
    n: int

    def to_json(self) -> dict[str, float]:
        """The scores by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class ScoreAccumulator:
    """Collects pixels tile by tile; merging is exact to float64 rounding (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self._n = 0
        self._mean = np.zeros(2)  # prediction, truth
        self._moment = np.zeros((2, 2))  # sums of products of deviations
        self._absolute = 0.0
        self._square = 0.0
        self._signed = 0.0

    def update(
        self, prediction: NDArray[np.floating], truth: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
    ) -> None:
        """Add pixels.

        Args:
            prediction: Kelvin, any shape.
            truth: Kelvin, the same shape.
            mask: True where a pixel counts; pixels that are not finite in both never count.
        """
        valid = np.isfinite(prediction) & np.isfinite(truth)
        if mask is not None:
            valid &= mask
        pair = np.stack([prediction[valid], truth[valid]]).astype(np.float64)
        n = pair.shape[1]
        if n == 0:
            return
        difference = pair[0] - pair[1]
        self._absolute += float(np.abs(difference).sum())
        self._square += float(np.square(difference).sum())
        self._signed += float(difference.sum())
        mean = pair.mean(axis=1)
        deviation = pair - mean[:, None]
        shift = mean - self._mean
        total = self._n + n
        self._moment += deviation @ deviation.T + np.outer(shift, shift) * (self._n * n / total)
        self._mean += shift * (n / total)
        self._n = total

    def scores(self) -> Scores:
        """Scores over all pixels so far, pooled.

        Raises:
            ValueError: There was no pixel to compare.
        """
        if self._n == 0:
            raise ValueError("no valid pixel to compare")
        covariance = self._moment / max(1, self._n - 1)
        sigma = np.sqrt(covariance.diagonal())
        # rounding leaves even a constant field a trace of variance
        sigma_p, sigma_t = np.where(sigma > 1e-13 * np.abs(self._mean), sigma, np.nan)
        return Scores(
            rmse=float(np.sqrt(self._square / self._n)),
            mae=self._absolute / self._n,
            bias=self._signed / self._n,
            cc=float(covariance[0, 1] / (sigma_p * sigma_t)),
            rsd=float(abs(np.nan_to_num(sigma_p) - sigma_t) / sigma_t),
            n=self._n,
        )


def score(
    prediction: NDArray[np.floating], truth: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> Scores:
    """Scores of one image; see ``ScoreAccumulator.update``."""
    accumulator = ScoreAccumulator()
    accumulator.update(prediction, truth, mask)
    return accumulator.scores()


def average(per_image: Iterable[Scores]) -> Scores:
    """Each score averaged over images, as in the published tables; ``n`` is the sum."""
    rows = list(per_image)
    means = {
        name: float(np.mean([getattr(row, name) for row in rows])) for name in ("rmse", "mae", "bias", "cc", "rsd")
    }
    return Scores(**means, n=sum(row.n for row in rows))
