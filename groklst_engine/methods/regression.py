"""Sharpening by regression: what the guidance explains of the LST, and the rest interpolated.

All such sharpeners share one road: a regression of the LST on the guidance is fitted to the coarse pixels and applied
to the fine ones; what it does not explain at the coarse scale, the residual, is interpolated and added, so that
nothing of the coarse LST is lost (Kustas, Norman, Anderson and French 2003). They differ in the regression and in the
interpolation of the residual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groklst_engine.degrade import masked_block_mean
from groklst_engine.events import CancelToken, OnEvent, part
from groklst_engine.inference.gaps import REACH as GAP_REACH
from groklst_engine.inference.gaps import fill_gaps
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.methods.samples import Features, Samples, coarse_samples, planes, require_guidance, rows
from groklst_engine.resample import REACH, upsample

Array = NDArray[np.float32]


class Regressor(Protocol):
    """Learns LST from features."""

    least: int
    """Samples it needs."""

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Learn."""

    def predict(self, x: Array) -> Array:
        """``(n, F)`` features to ``(n,)`` kelvin."""


class Interpolator(Protocol):
    """Brings coarse residuals to the fine grid."""

    reach: int
    """Coarse pixels it looks at to either side."""

    def fit(self, residuals: list[Tensor], cancel: CancelToken) -> None:
        """Learn from the scene's ``(B, 1, h, w)`` residuals, NaN where there is none."""

    def __call__(self, residual: Tensor) -> Tensor:
        """``(B, 1, h, w)`` without gaps to ``(B, 1, s·h, s·w)``."""


class Bicubic:
    """Interpolates residuals by cubic convolution.

    Args:
        scale: Coarse pixel divided by fine pixel.
    """

    reach = REACH["bicubic"]

    def __init__(self, scale: int) -> None:
        self._scale = scale

    def fit(self, residuals: list[Tensor], cancel: CancelToken) -> None:
        """Nothing to learn."""

    def __call__(self, residual: Tensor) -> Tensor:
        """``(B, 1, h, w)`` to ``(B, 1, s·h, s·w)``."""
        return upsample(residual, self._scale, "bicubic")


class RegressionSharpener:
    """A regression on fine features, and its interpolated residual.

    Args:
        label: For messages.
        scale: Coarse pixel divided by fine pixel.
        regressor: Learns the LST.
        interpolator: Of the residual.
        features: What explains the LST, by default the guidance as it is.
    """

    def __init__(
        self,
        label: str,
        scale: int,
        regressor: Regressor,
        interpolator: Interpolator,
        features: Features = lambda batch: batch.guidance,
    ) -> None:
        self.radius: int | None = interpolator.reach + GAP_REACH
        self._label = label
        self._scale = scale
        self._regressor = regressor
        self._interpolator = interpolator
        self._features = features

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit the regression to the coarse pixels, and the interpolator to its residuals.

        Raises:
            InputError: Too few coarse pixels are valid.
            Cancelled: ``cancel`` was raised.
        """
        samples = coarse_samples(scene, self._features, self._regressor.least, self._label, cancel)
        self._regressor.fit(samples, part(on_event, 0.1, 0.9), cancel)
        self._interpolator.fit(self._residuals(scene, cancel), cancel)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        explained = self._explained(self._features(batch))
        residual = self._residual(batch, explained)
        return explained + self._interpolator(fill_gaps(residual, residual.new_zeros(1)))

    def _explained(self, features: Tensor) -> Tensor:
        return planes(self._regressor.predict(rows(features)), features)

    def _residual(self, batch: Batch, explained: Tensor) -> Tensor:
        mean, share = masked_block_mean(explained, batch.mask, self._scale)
        return (batch.lst - mean).where(share > 0, torch.nan)

    def _residuals(self, scene: Scene, cancel: CancelToken) -> list[Tensor]:
        """At the coarse scale, from the coarse features: that is as good for statistics, and s² times cheaper."""
        found = []
        for batch in scene.tiles:
            cancel.check()
            mean, share = masked_block_mean(self._features(batch), batch.mask, self._scale)
            found.append((batch.lst - self._explained(mean)).where(share > 0, torch.nan))
        return found


class LeastSquares:
    """Ordinary least squares, in float64 on z-scores.

    Args:
        terms: What enters linearly: ``(n, F)`` features to ``(n, T)``.
        ridge: Penalty on the squared coefficients, in z-scores; a slight one bears bands that repeat each other.
    """

    least = 12

    def __init__(self, terms: Callable[[Array], Array] = lambda x: x, ridge: float = 1e-6) -> None:
        self._terms = terms
        self._ridge = ridge
        self._slopes = np.zeros(0, np.float32)
        self._intercept = 0.0

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Solve the normal equations."""
        x, y = self._terms(samples.x).astype(np.float64), samples.y.astype(np.float64)
        mean, spread = x.mean(0), x.std(0)
        spread[spread < 1e-9 * (1 + np.abs(mean))] = 1.0
        z = (x - mean) / spread
        normal = z.T @ z + self._ridge * len(z) * np.eye(z.shape[1])
        slopes = np.linalg.solve(normal, z.T @ (y - y.mean())) / spread
        self._slopes = slopes.astype(np.float32)
        self._intercept = float(y.mean() - mean @ slopes)

    def predict(self, x: Array) -> Array:
        """``(n, F)`` features to ``(n,)`` kelvin."""
        # band by band: a matrix product's rounding would depend on the size of the tile
        terms = self._terms(x)
        total = np.full(len(terms), np.float32(self._intercept))
        for column, slope in zip(terms.T, self._slopes, strict=True):
            total += slope * column
        return total


def _linear(options: BuildOptions) -> RegressionSharpener:
    require_guidance(options, "Linear regression")
    return RegressionSharpener("Linear regression", options.scale, LeastSquares(), Bicubic(options.scale))


SPECS = (
    MethodSpec(
        "linear",
        "Linear regression",
        "Linear regression of the LST on all guidance bands, residual interpolated; fast, one relation for all.",
        "sharpener",
        True,
        _linear,
        reference="Kustas et al. 2003, Remote Sensing of Environment 85: 429–440",
        fit_share=0.3,
    ),
)
