"""The data mining sharpener: bagged regression trees with linear leaves, of the whole scene and of moving windows.

Gao, Kustas and Anderson (2012): trees split the guidance into regimes, and in each leaf the LST is linear in the
guidance. Homogeneous coarse pixels count more. One ensemble learns from the whole scene, others from windows that move
over it; each counts by the inverse of its squared error at the coarse scale. What both leave unexplained is
interpolated and added (the residual analysis).

Unlike the paper, homogeneity is a weight without a threshold, and trees are bagged and windows blended, so that the
result has no seams.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groklst_engine.degrade import masked_block_mean
from groklst_engine.events import CancelToken, OnEvent, ignore, part, progress
from groklst_engine.inference.gaps import fill_gaps
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.methods.regression import Array, Bicubic, RegressionSharpener
from groklst_engine.methods.samples import Samples, batch_samples, coarse_samples, planes, require_guidance, rows
from groklst_engine.resample import upsample

SAMPLES = 40_000
"""Coarse pixels an ensemble learns from at most."""

TREES = 8
LOCAL_TREES = 3
"""In the ensemble of the whole scene, and in that of a window."""

SHARE = 0.8
"""Of the samples each tree is given, drawn without replacement."""

BANDS = 0.8
"""Of the features each split of a tree may choose from."""

LEAVES = 30
LOCAL_LEAVES = 10
"""At most in a tree of the whole scene, and in one of a window (section 2.3 of the paper)."""

LEAF = 10
"""Samples in a leaf at least."""

RIDGE = 0.01
"""Of the linear models in the leaves, in z-scores."""

EXTRAPOLATION = 0.25
"""How far, as a share of its samples' range, a leaf may predict beyond them."""

WINDOW = 12
STEP = 9
"""Side of a moving window and distance to the next, in coarse pixels; where two overlap they are blended."""


class LinearTrees:
    """A bagged ensemble of regression trees with linear models in the leaves.

    Args:
        trees: How many.
        leaves: Of each, at most.
        seed: For drawing the samples of each.
    """

    least = 3 * LEAF

    def __init__(self, trees: int, leaves: int, seed: int) -> None:
        self._count = trees
        self._leaves = leaves
        self._seed = seed
        self._trees: list[_LinearTree] = []

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Grow tree after tree.

        Raises:
            Cancelled: Between two trees.
        """
        from sklearn import config_context  # here: slow to import, and most runs do without

        random = np.random.default_rng(self._seed)
        samples = samples.drawn(SAMPLES, self._seed)
        size = max(1, round(SHARE * len(samples)))
        self._trees = []
        for number in range(self._count):
            cancel.check()
            chosen = samples.where(random.choice(len(samples), size, replace=False))
            with config_context(skip_parameter_validation=True):  # it takes longer than a small tree
                self._trees.append(_LinearTree(chosen, self._leaves, self._seed + number))
            progress(on_event, (number + 1) / self._count, f"Growing tree {number + 1} of {self._count}")

    def predict(self, x: Array) -> Array:
        """``(n, F)`` features to ``(n,)`` kelvin."""
        total = np.zeros(len(x), np.float32)
        for tree in self._trees:
            total += tree.predict(x)
        return np.asarray(total / np.float32(len(self._trees)))


class _LinearTree:
    def __init__(self, samples: Samples, leaves: int, seed: int) -> None:
        from sklearn.tree import DecisionTreeRegressor

        x, y = samples.x, samples.y.astype(np.float64)
        spread = samples.spread.astype(np.float64)
        weight = 1 / (np.median(spread) + spread + 1e-6)  # of the paper's kind, but bounded
        tree = DecisionTreeRegressor(
            min_samples_leaf=LEAF, max_leaf_nodes=leaves, max_features=BANDS, random_state=seed
        )
        self._tree = tree.fit(x, y, weight, check_input=False).tree_
        self._slopes, self._intercept, self._low, self._high = _leaf_models(x, y, weight, self._tree)

    def predict(self, x: Array) -> Array:
        leaf = self._tree.apply(x)
        total = np.einsum("nf,nf->n", self._slopes.take(leaf, 0), x) + self._intercept.take(leaf)
        return np.asarray(np.clip(total, self._low.take(leaf), self._high.take(leaf)))


def _leaf_models(x: Array, y: NDArray[np.float64], weight: NDArray[np.float64], tree: Any) -> tuple[Array, ...]:
    """All leaves' weighted ridge regressions at once: slopes ``(nodes, F)``, intercepts, lowest and highest values."""
    leaf = tree.apply(x)
    order = np.argsort(leaf, kind="stable")
    nodes, starts = np.unique(leaf[order], return_index=True)
    bands = x.shape[1]
    mean, scale = x.mean(0, dtype=np.float64), np.maximum(x.std(0, dtype=np.float64), 1e-9)
    columns = np.column_stack([(x - mean) / scale, y - y.mean()])[order]
    weight = weight[order]
    total = np.add.reduceat(weight, starts)[:, None]
    means = np.add.reduceat(weight[:, None] * columns, starts) / total
    columns -= means.repeat(np.diff(starts, append=len(y)), 0)
    products = weight[:, None, None] * columns[:, :bands, None] * columns[:, None]
    moments = np.add.reduceat(products, starts) / total[..., None]
    slopes = np.linalg.solve(moments[..., :bands] + RIDGE * np.eye(bands), moments[..., bands:])[..., 0] / scale
    intercept = y.mean() + means[:, bands] - (slopes * (mean + scale * means[:, :bands])).sum(1)
    low, high = (extreme.reduceat(y[order], starts) for extreme in (np.minimum, np.maximum))
    margin = EXTRAPOLATION * (high - low)

    def at_nodes(values: NDArray[np.float64]) -> Array:
        placed = np.zeros((tree.node_count, *values.shape[1:]), np.float32)
        placed[nodes] = values
        return placed

    return at_nodes(slopes), at_nodes(intercept), at_nodes(low - margin), at_nodes(high + margin)


class DataMiningSharpener:
    """Trees of the whole scene and of moving windows, combined by their errors.

    Args:
        options: Scale, roles, seed.
    """

    radius: int | None = None  # the windows are laid out from the tile's corner

    def __init__(self, options: BuildOptions) -> None:
        require_guidance(options, "DMS")
        self._scale = options.scale
        self._seed = options.seed
        self._whole = LinearTrees(TREES, LEAVES, options.seed)
        self._cancel = CancelToken()

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Grow the trees of the whole scene.

        Args:
            scene: To learn from.
            on_event: Told about every tree.
            cancel: Looked at by the windows of all tiles, too: a tile has hundreds of them.

        Raises:
            InputError: Too few coarse pixels are valid.
            Cancelled: Between two trees.
        """
        self._cancel = cancel
        samples = coarse_samples(scene, _guidance, self._whole.least, "DMS", cancel)
        self._whole.fit(samples, part(on_event, 0.1, 1.0), cancel)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin.

        Raises:
            Cancelled: Between two trees of a window.
        """
        return torch.cat([self._one(_single(batch, index)) for index in range(len(batch.lst))])

    def _one(self, batch: Batch) -> Tensor:
        fine = planes(self._whole.predict(rows(batch.guidance)), batch.guidance)
        residual = self._residual(batch, fine)
        local, known = self._windows(batch)
        own_residual = self._residual(batch, local)
        weight = _inverse_square(own_residual) / (_inverse_square(own_residual) + _inverse_square(residual))
        weight = upsample(weight, self._scale, "bilinear") * known
        fine = weight * local + (1 - weight) * fine
        residual = self._residual(batch, fine)
        return fine + upsample(residual, self._scale, "bicubic")

    def _residual(self, batch: Batch, fine: Tensor) -> Tensor:
        mean, share = masked_block_mean(fine, batch.mask, self._scale)
        return fill_gaps((batch.lst - mean).where(share > 0, torch.nan), fine.new_zeros(1))

    def _windows(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the windows' trees predict, blended, and where there is a window that could learn."""
        s = self._scale
        total, weights = (torch.zeros_like(batch.guidance[:, :1]) for _ in range(2))
        for top, left in _corners(*batch.lst.shape[-2:]):
            inside = _cut(batch, top, left, s)
            samples = batch_samples(inside.guidance, inside, s)
            if len(samples) < LinearTrees.least:
                continue
            trees = LinearTrees(LOCAL_TREES, LOCAL_LEAVES, self._seed)
            trees.fit(samples, ignore, self._cancel)
            fine = planes(trees.predict(rows(inside.guidance)), inside.guidance)
            ramp = _ramp(fine.shape[-2], s)[:, None] * _ramp(fine.shape[-1], s)
            place = (..., slice(top * s, top * s + fine.shape[-2]), slice(left * s, left * s + fine.shape[-1]))
            total[place] += ramp * fine
            weights[place] += ramp
        known = weights > 0
        return torch.where(known, total / weights.clamp(min=1e-6), upsample(batch.lst, s, "nearest")), known


def _guidance(batch: Batch) -> Tensor:
    return batch.guidance


def _single(batch: Batch, index: int) -> Batch:
    one = slice(index, index + 1)
    return Batch(batch.lst[one], batch.guidance[one], batch.mask[one])


def _cut(batch: Batch, top: int, left: int, scale: int) -> Batch:
    """A window of a batch, cut to its size."""
    fine = (
        ...,
        slice(top * scale, (top + WINDOW) * scale),
        slice(left * scale, (left + WINDOW) * scale),
    )
    coarse = (..., slice(top, top + WINDOW), slice(left, left + WINDOW))
    return Batch(batch.lst[coarse], batch.guidance[fine], batch.mask[fine])


def _corners(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Upper left corners of the windows; the last ones are moved inside."""
    return itertools.product(_starts(height), _starts(width))


def _starts(size: int) -> list[int]:
    last = max(0, size - WINDOW)
    return sorted({*range(0, last, STEP), last})


def _ramp(size: int, scale: int) -> Tensor:
    """Weights along a window's side that fall towards its ends over half the overlap, and never to 0."""
    distance = torch.minimum(torch.arange(size), torch.arange(size).flip(0)) + 0.5
    return (distance / ((WINDOW - STEP) * scale)).clamp(max=1.0)


def _inverse_square(residual: Tensor) -> Tensor:
    return 1 / residual.square().clamp(min=1e-6)


def _build(options: BuildOptions) -> DataMiningSharpener:
    return DataMiningSharpener(options)


def _build_global(options: BuildOptions) -> RegressionSharpener:
    require_guidance(options, "DMS")
    trees = LinearTrees(TREES, LEAVES, options.seed)
    return RegressionSharpener("DMS", options.scale, trees, Bicubic(options.scale))


_PAPER = "Gao, Kustas and Anderson 2012, Remote Sensing 4: 3287–3319"

SPECS = (
    MethodSpec(
        "dms",
        "Data mining sharpener",
        "Bagged trees with linear leaves, of the scene and of moving windows; the classical choice from x4 on.",
        "sharpener",
        True,
        _build,
        reference=_PAPER,
        fit_share=0.2,
    ),
    MethodSpec(
        "dms-global",
        "Data mining sharpener, whole scene only",
        "The same without moving windows; quicker, for small scenes.",
        "sharpener",
        True,
        _build_global,
        reference=_PAPER,
        fit_share=0.4,
    ),
)
