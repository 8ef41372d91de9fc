"""TsHARP: the LST that the vegetation explains, and the rest interpolated.

Agam, Kustas, Anderson, Li and Neale (2007), after Kustas, Norman, Anderson and French (2003, DisTrad): the LST is
regressed at the coarse scale on the NDVI, by a polynomial, or on the fractional cover that follows from it, by a
straight line, and the relation is applied at the fine scale; what it does not explain is interpolated and added.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec
from groklst_engine.methods.regression import Array, Bicubic, LeastSquares, RegressionSharpener
from groklst_engine.methods.samples import Features, Samples
from groklst_engine.physics.indices import available, select

ORDER = 2

EXPONENT = 0.625
"""Of the fractional cover (Choudhury, Ahmed, Idso, Reginato and Daughtry 1994)."""

EXTREMES = (0.01, 0.99)
"""Quantiles of the coarse NDVI that stand for bare soil and full cover; outliers would shift the true extremes."""


class CoverRegression:
    """A straight line of the LST on the fractional vegetation cover."""

    least = LeastSquares.least

    def __init__(self) -> None:
        self._bare, self._full = 0.0, 1.0
        self._line = LeastSquares(self._cover)

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Find the scene's bare soil and full cover, then the line."""
        self._bare, self._full = np.quantile(samples.x[:, 0], EXTREMES).tolist()
        self._line.fit(samples, on_event, cancel)

    def predict(self, x: Array) -> Array:
        """``(n, 1)`` NDVI to ``(n,)`` kelvin."""
        return self._line.predict(x)

    def _cover(self, ndvi: Array) -> Array:
        bareness = (self._full - ndvi) / max(self._full - self._bare, 1e-6)
        return np.asarray(1 - np.clip(bareness, 0, 1) ** np.float32(EXPONENT), np.float32)


def _powers(ndvi: Array) -> Array:
    return np.concatenate([ndvi**order for order in range(1, ORDER + 1)], axis=1)


def _ndvi_of(options: BuildOptions) -> Features:
    if "ndvi" not in available(options.roles):
        raise InputError(
            "TsHARP needs a guidance band with the role ndvi, or red and nir: add one or set the bands' roles."
        )

    def ndvi_of(batch: Batch) -> Tensor:
        (ndvi,) = select(batch.guidance, options.roles, ["ndvi"])
        assert ndvi is not None  # made sure above
        return ndvi

    return ndvi_of


def _quadratic(options: BuildOptions) -> RegressionSharpener:
    return RegressionSharpener(
        "TsHARP", options.scale, LeastSquares(_powers), Bicubic(options.scale), _ndvi_of(options)
    )


def _with_cover(options: BuildOptions) -> RegressionSharpener:
    return RegressionSharpener("TsHARP", options.scale, CoverRegression(), Bicubic(options.scale), _ndvi_of(options))


SPECS = (
    MethodSpec(
        "tsharp",
        "TsHARP",
        "Quadratic regression of LST on NDVI at the coarse scale, residual interpolated; for vegetated land.",
        "sharpener",
        True,
        _quadratic,
        reference="Agam et al. 2007, Remote Sensing of Environment 107: 545–558",
        roles=("ndvi", "red", "nir"),
        fit_share=0.3,
    ),
    MethodSpec(
        "tsharp-cover",
        "TsHARP, fractional cover",
        "Linear regression of LST on the vegetation cover that follows from NDVI; for land from bare to overgrown.",
        "sharpener",
        True,
        _with_cover,
        reference="Agam et al. 2007, Remote Sensing of Environment 107: 545–558",
        roles=("ndvi", "red", "nir"),
        fit_share=0.3,
    ),
)
