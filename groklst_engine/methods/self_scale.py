"""Train on this scene: learn one octave up, where the truth is known, and apply octave by octave below.

What bicubic interpolation misses of the coarse LST is known one octave up: degrade the LST once more, interpolate it
back, and compare. The guidance, aggregated to the same pixels, explains part of that. The relation is learned there,
applied between the coarse LST and the next finer grid, and so on down to the fine one, each step corrected to
aggregate to the one before (Wald's protocol turned into a teacher; Irani and Peleg 1991 for the correction). It needs
no other data and takes any band of any sensor, but assumes that the relation is alike at neighbouring scales. The
octaves are the prime factors of the scale, mostly 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from groklst_engine.consistency import RADIUS, back_project
from groklst_engine.degrade import WHOLE, block_mean, masked_block_mean
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, part, progress
from groklst_engine.inference.gaps import fill_gaps
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.methods.ensembles import boosting
from groklst_engine.methods.local import RIDGE, SIGMA, explained_detail, gaussian_window
from groklst_engine.methods.network import scene_normalizers
from groklst_engine.methods.regression import Array, LeastSquares, Regressor
from groklst_engine.methods.samples import Samples, planes, require_guidance, rows
from groklst_engine.normalize import Normalizer
from groklst_engine.resample import upsample

WINDOW = gaussian_window(SIGMA)

STEP_RADIUS = len(WINDOW) // 2 + 2 + RADIUS
"""Coarse pixels of a step on which it depends to either side: local regression and correction."""

RIDGE_SHARE, RIDGE_COUNT = 0.01, 20
"""Ridge of the linear model in z-scores: a share of the samples, and as many more, which a small scene feels."""

PRIOR = {"local": 0.5, "lost": 1.0}
"""What the linear model shrinks to: half the local regression's detail, and one whole step of back-projection."""


class LinearModel:
    """A linear model of the details, which shrinks to a local regression with back-projection.

    Args:
        columns: Features that enter, the first ones; the last two of them are the local regression's detail and what
            interpolation loses.
        seed: Not used; nothing is drawn.
    """

    least = 12

    def __init__(self, columns: int, seed: int) -> None:
        self._columns = columns
        self._model = LeastSquares(self._terms)

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit what the prior leaves."""
        self._model = LeastSquares(self._terms, RIDGE_SHARE + RIDGE_COUNT / len(samples))
        left = samples.y - self._expected(samples.x)
        self._model.fit(Samples(samples.x, left, samples.spread), on_event, cancel)

    def predict(self, x: Array) -> Array:
        """``(n, F)`` features to ``(n,)``."""
        return self._expected(x) + self._model.predict(x)

    def _terms(self, x: Array) -> Array:
        return x[:, : self._columns]

    def _expected(self, x: Array) -> Array:
        local, lost = x[:, self._columns - 2], x[:, self._columns - 1]
        return np.asarray(PRIOR["local"] * local + PRIOR["lost"] * lost, np.float32)


class LinearThenTrees:
    """The linear model, and boosted trees on what it leaves.

    Args:
        columns: See ``LinearModel``; the trees see all features.
        seed: For the trees.
    """

    least = 100

    def __init__(self, columns: int, seed: int) -> None:
        self._linear = LinearModel(columns, seed)
        self._trees = boosting(seed)

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit one after the other.

        Raises:
            Cancelled: Between two groups of trees.
        """
        self._linear.fit(samples, on_event, cancel)
        left = samples.y - self._linear.predict(samples.x)
        self._trees.fit(Samples(samples.x, left, samples.spread), on_event, cancel)

    def predict(self, x: Array) -> Array:
        """``(n, F)`` features to ``(n,)``."""
        return self._linear.predict(x) + self._trees.predict(x)


class SelfScale:
    """Learns the bicubic residual one octave up and adds it octave by octave.

    Args:
        options: Scale, roles, seed.
        regressor: Makes what learns, from the number of features that enter linearly and a seed.

    Raises:
        InputError: There is no guidance.
    """

    def __init__(self, options: BuildOptions, regressor: Callable[[int, int], Regressor]) -> None:
        require_guidance(options, "Training on the scene")
        self._roles = options.roles
        self._steps = prime_factors(options.scale)
        self._models = {step: regressor(len(options.roles) + 2, options.seed) for step in set(self._steps)}
        self._lst = Normalizer((0.0,), (1.0,))
        self._guidance = Normalizer((), ())
        radius, pixel = 0.0, 1.0
        for step in self._steps:
            radius += pixel * STEP_RADIUS
            pixel /= step
        self.radius: int | None = math.ceil(radius)

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Learn each kind of step.

        Raises:
            InputError: The scene is too small.
            Cancelled: ``cancel`` was raised.
        """
        self._lst, self._guidance = scene_normalizers(scene, self._roles, cancel)
        for number, (step, model) in enumerate(self._models.items()):
            listen = part(on_event, number / len(self._models), (number + 1) / len(self._models))
            progress(listen, 0.0, "Learning one octave up")
            found = []
            for batch in scene.tiles:
                cancel.check()
                found.append(self._one_octave_up(batch, scene.scale, step))
            x, y = (np.concatenate(values) for values in zip(*found, strict=True))
            if len(y) < model.least:
                raise InputError(
                    f"Training on the scene at scale {scene.scale} found only {len(y)} coarse pixels with valid "
                    f"neighbours and needs {model.least}: use a larger extent or a method without guidance."
                )
            model.fit(Samples(x, y, np.zeros(len(y), np.float32)), listen, cancel)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        guidance, lst = self._guidance.apply(batch.guidance), self._lst.apply(batch.lst)
        scale = guidance.shape[-1] // lst.shape[-1]
        for step in self._steps:
            scale //= step
            bands, share = masked_block_mean(guidance, batch.mask, scale)
            bands = torch.where(share > 0, bands, block_mean(guidance, scale))
            features = _features(lst, bands, share > 0, step)
            missed = planes(self._models[step].predict(rows(features)), features)
            fine = upsample(lst, step, "bicubic") + missed
            # the last step is corrected with all other methods' results, by the sensor's own rule
            lst = fine if scale == 1 else back_project(fine, lst, share > 0, step)
        return self._lst.invert(lst)

    def _one_octave_up(self, batch: Batch, scale: int, step: int) -> tuple[Array, Array]:
        """Features and targets at the coarse pixels whose block of ``step`` is whole."""
        lst, guidance = self._lst.apply(batch.lst), self._guidance.apply(batch.guidance)
        bands, share = masked_block_mean(guidance, batch.mask, scale)
        height, width = (size - size % step for size in lst.shape[-2:])
        if min(height, width) == 0:
            return np.empty((0, 2 * bands.shape[1] + 3), np.float32), np.empty(0, np.float32)
        lst, bands, mask = (plane[..., :height, :width] for plane in (lst, bands, share > WHOLE))
        bands = fill_gaps(bands.where(mask, torch.nan), bands.new_zeros(bands.shape[1]))
        coarse, known = masked_block_mean(lst, mask, step)
        whole = known > WHOLE
        coarse = fill_gaps(coarse.where(known > 0, torch.nan), coarse.new_zeros(1))
        chosen = upsample(whole, step, "nearest").flatten().numpy()
        target = rows(lst - upsample(coarse, step, "bicubic"))[chosen, 0]
        return rows(_features(coarse, bands, mask, step))[chosen], target


def _features(lst: Tensor, guidance: Tensor, mask: Tensor, step: int) -> Tensor:
    """What explains the bicubic residual; the details, which enter linearly, first.

    The guidance's detail, the LST detail that follows from it by a local regression, what bicubic interpolation
    itself loses (a step of back-projection); then the guidance and the LST as they are, for trees.
    """
    detail, local = explained_detail(lst, guidance, mask, step, WINDOW, RIDGE)
    smooth = upsample(lst, step, "bicubic")
    lost = upsample(lst - block_mean(smooth, step), step, "bicubic")
    return torch.cat([detail, local, lost, guidance, smooth], dim=1)


def prime_factors(scale: int) -> list[int]:
    """In ascending order, e.g. 2, 2, 3 of 12."""
    factors = []
    factor = 2
    while scale > 1:
        while scale % factor == 0:
            factors.append(factor)
            scale //= factor
        factor += 1
    return factors


def _linear(options: BuildOptions) -> SelfScale:
    return SelfScale(options, LinearModel)


def _boosted(options: BuildOptions) -> SelfScale:
    return SelfScale(options, LinearThenTrees)


SPECS = (
    MethodSpec(
        "self-scale",
        "Train on this scene",
        "Learns on your own rasters, one octave up, what bicubic misses; for bands that no trained network knows.",
        "trained on the scene",
        True,
        _linear,
        fit_share=0.3,
    ),
    MethodSpec(
        "self-scale-boosted",
        "Train on this scene, boosted",
        "The same with boosted trees on what the linear model leaves; for large scenes with bent relations.",
        "trained on the scene",
        True,
        _boosted,
        fit_share=0.4,
    ),
)
