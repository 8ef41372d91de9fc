"""Random forest and gradient boosting: many regression trees of scikit-learn, and their residual interpolated.

Hutengs and Vohland (2016) for the forest (Breiman 2001); the boosting is Friedman's (2001) on histograms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from groklst_engine.events import CancelToken, OnEvent, progress
from groklst_engine.methods.base import BuildOptions, MethodSpec
from groklst_engine.methods.regression import Array, Bicubic, RegressionSharpener
from groklst_engine.methods.samples import Samples, require_guidance

SAMPLES = 40_000
"""Coarse pixels a model learns from at most; more take longer and change little."""

TREES = 100
GROUP = 10
"""Trees fitted between two looks at the cancel token."""

LEAF = 5
BOOSTED_LEAF = 20
"""Samples in a leaf at least; of the forest, and of boosting, which does not average its trees' noise away."""


class TreeEnsemble:
    """Trees of scikit-learn, fitted in groups.

    Args:
        model: A regressor with ``warm_start``.
        size: Its parameter for the number of trees.
        seed: For drawing the samples.
    """

    least = 30

    def __init__(self, model: Any, size: str, seed: int) -> None:
        self._model = model
        self._size = size
        self._seed = seed

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit group after group.

        Raises:
            Cancelled: Between two groups.
        """
        samples = samples.drawn(SAMPLES, self._seed)
        for trees in range(GROUP, TREES + 1, GROUP):
            cancel.check()
            self._model.set_params(**{self._size: trees}).fit(samples.x, samples.y)
            progress(on_event, trees / TREES, f"Growing tree {trees} of {TREES}")

    def predict(self, x: Array) -> Array:
        """``(n, F)`` features to ``(n,)`` kelvin."""
        return np.asarray(self._model.predict(x), np.float32)


def forest(seed: int) -> TreeEnsemble:
    """A random forest."""
    from sklearn.ensemble import RandomForestRegressor  # here: slow to import, and most runs do without

    model = RandomForestRegressor(
        min_samples_leaf=LEAF, max_features=0.5, warm_start=True, n_jobs=torch.get_num_threads(), random_state=seed
    )
    return TreeEnsemble(model, "n_estimators", seed)


def boosting(seed: int) -> TreeEnsemble:
    """Gradient boosting on histograms."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        learning_rate=0.05,
        min_samples_leaf=BOOSTED_LEAF,
        early_stopping=False,
        warm_start=True,
        random_state=seed,
    )
    return TreeEnsemble(model, "max_iter", seed)


def _random_forest(options: BuildOptions) -> RegressionSharpener:
    require_guidance(options, "Random forest")
    return RegressionSharpener("Random forest", options.scale, forest(options.seed), Bicubic(options.scale))


def _gradient_boosting(options: BuildOptions) -> RegressionSharpener:
    require_guidance(options, "Gradient boosting")
    return RegressionSharpener("Gradient boosting", options.scale, boosting(options.seed), Bicubic(options.scale))


SPECS = (
    MethodSpec(
        "random-forest",
        "Random forest",
        "Random forest of the LST on all guidance bands, residual interpolated; for bent relations, from x4 on.",
        "sharpener",
        True,
        _random_forest,
        reference="Hutengs and Vohland 2016, Remote Sensing of Environment 178: 127–141",
        fit_share=0.3,
    ),
    MethodSpec(
        "gradient-boosting",
        "Gradient boosting",
        "Boosted trees of the LST on all guidance bands, residual interpolated; like the forest, and faster.",
        "sharpener",
        True,
        _gradient_boosting,
        reference="Friedman 2001, Annals of Statistics 29: 1189–1232",
        fit_share=0.3,
    ),
)
