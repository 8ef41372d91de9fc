"""Area-to-point kriging: from block means to points, with the spatial structure of the scene, and block means kept.

The variogram of the coarse values is deconvolved to that of points: of exponential models the one whose
regularisation to blocks, the averages over all pairs of fine pixels, fits best (Goovaerts 2008, who iterates over a
free form). On a regular grid the kriging weights depend on the fine pixel's place within its block only (Kyriakidis
2004), so they are solved once and applied as a convolution. As a residual's interpolation it makes ATPRK (Wang, Shi,
Atkinson and Zhao 2015).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods.base import BuildOptions, MethodSpec
from groklst_engine.methods.regression import Array, LeastSquares, RegressionSharpener
from groklst_engine.methods.samples import Samples, require_guidance

Matrix = NDArray[np.float64]

REACH = 2
"""Coarse pixels around a fine pixel's own whose values it is made of."""

LAGS = 6
"""Coarse pixels up to which the variogram is estimated."""

LENGTHS = np.geomspace(0.25, 16, 19)
"""Lengths in coarse pixels of the exponential models tried."""

SUBPIXELS = 4
"""Points per block and side that stand for the finer ones in averages."""


class AreaToPoint:
    """Interpolates block means by area-to-point kriging.

    Args:
        scale: Coarse pixel divided by fine pixel.
    """

    reach = REACH

    def __init__(self, scale: int) -> None:
        self._scale = scale
        self._kernels = torch.zeros(scale * scale, 1, 2 * REACH + 1, 2 * REACH + 1)

    def fit(self, residuals: list[Tensor], cancel: CancelToken) -> None:
        """Deconvolve the variogram and solve for the weights."""
        length = deconvolved_length(*variogram(residuals))
        cancel.check()
        side = 2 * REACH + 1
        self._kernels = torch.from_numpy(kriging_weights(self._scale, length).reshape(-1, 1, side, side)).float()

    def __call__(self, residual: Tensor) -> Tensor:
        """``(B, 1, h, w)`` to ``(B, 1, s·h, s·w)``."""
        padded = F.pad(residual, (REACH,) * 4, mode="replicate")
        return F.pixel_shuffle(F.conv2d(padded, self._kernels), self._scale)


def variogram(fields: list[Tensor]) -> tuple[Matrix, Matrix, Matrix]:
    """Semivariances of ``(B, 1, h, w)`` fields with NaN gaps, along rows, columns and diagonals.

    Returns:
        Steps ``(n, 2)`` in pixels, semivariances ``(n,)`` and numbers of pairs ``(n,)``; steps without a pair left out.
    """
    steps, gammas, counts = [], [], []
    for lag in range(1, LAGS + 1):
        for down, right in ((0, lag), (lag, 0), (lag, lag)):
            total, pairs = 0.0, 0
            for field in fields:
                height, width = field.shape[-2:]
                near = field[..., : max(height - down, 0), : max(width - right, 0)]
                difference = (field[..., down:, right:] - near).double()
                total += float(difference.square().nansum())
                pairs += int(torch.isfinite(difference).sum())
            if pairs:
                steps.append((down, right))
                gammas.append(total / pairs / 2)
                counts.append(pairs)
    return np.array(steps, float).reshape(-1, 2), np.array(gammas), np.array(counts, float)


def deconvolved_length(steps: Matrix, gammas: Matrix, counts: Matrix) -> float:
    """Length, in coarse pixels, of the exponential point model whose block variogram fits best; its sill is free."""
    weights = counts / np.maximum((steps**2).sum(1), 1)  # near pairs decide, as is usual in fitting variograms
    errors = []
    for length in LENGTHS:
        block = _mean_covariance(np.zeros((1, 2)), length) - _mean_covariance(steps, length)
        sill = (weights * block * gammas).sum() / max((weights * block * block).sum(), 1e-30)
        errors.append((weights * (gammas - sill * block) ** 2).sum())
    return float(LENGTHS[int(np.argmin(errors))]) if len(steps) else 1.0


def kriging_weights(scale: int, length: float) -> Matrix:
    """Weights of the blocks around each fine pixel of a block, ``(s², (2·REACH+1)²)``; each row sums to 1.

    Ordinary kriging from the block-to-block and block-to-point covariances of the exponential model. Points are the
    fine pixels' centres, blocks the means over them, so that the fine pixels' mean is the block's value.
    """
    blocks = np.array([(y, x) for y in range(-REACH, REACH + 1) for x in range(-REACH, REACH + 1)], float)
    inner = _points(scale)
    to_points = np.exp(-_distances(blocks[:, None] + inner, inner) / length).mean(1)  # (blocks, fine pixels)
    differences = (blocks[:, None] - blocks).reshape(-1, 2)
    unique, back = np.unique(np.abs(differences), axis=0, return_inverse=True)
    between = np.array([np.exp(-_distances(step + inner, inner) / length).mean() for step in unique])
    count = len(blocks)
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = between[back.ravel()].reshape(count, count)
    system[count, count] = 0.0
    right = np.concatenate([to_points, np.ones((1, scale * scale))])
    weights: Matrix = np.linalg.solve(system, right)[:count].T
    return weights


def _points(scale: int) -> Matrix:
    """Centres of a block's fine pixels, ``(s², 2)``, relative to its own, in coarse pixels."""
    places = (np.arange(scale) + 0.5) / scale - 0.5
    return np.stack(np.meshgrid(places, places, indexing="ij"), axis=-1).reshape(-1, 2)


def _distances(first: Matrix, second: Matrix) -> Matrix:
    return np.asarray(np.linalg.norm(first[..., :, None, :] - second, axis=-1))


def _mean_covariance(steps: Matrix, length: float) -> Matrix:
    """Between blocks that lie ``(n, 2)`` steps apart, for a sill of 1."""
    inner = _points(SUBPIXELS)
    return np.array([np.exp(-_distances(step + inner, inner) / length).mean() for step in steps])


class Mean:
    """Explains nothing: all is left to the kriging."""

    least = 12

    def __init__(self) -> None:
        self._mean = np.float32(0)

    def fit(self, samples: Samples, on_event: OnEvent, cancel: CancelToken) -> None:
        """Take the mean."""
        self._mean = np.float32(samples.y.mean())

    def predict(self, x: Array) -> Array:
        """The mean, ``(n,)``."""
        return np.full(len(x), self._mean)


def _area_kriging(options: BuildOptions) -> RegressionSharpener:
    scale = options.scale
    return RegressionSharpener(
        "Area-to-point kriging", scale, Mean(), AreaToPoint(scale), lambda batch: batch.mask.float()
    )


def _atprk(options: BuildOptions) -> RegressionSharpener:
    require_guidance(options, "ATPRK")
    return RegressionSharpener("ATPRK", options.scale, LeastSquares(), AreaToPoint(options.scale))


SPECS = (
    MethodSpec(
        "area-kriging",
        "Area-to-point kriging",
        "Interpolates with the scene's own spatial structure and keeps the coarse means; needs no guidance.",
        "interpolation",
        False,
        _area_kriging,
        reference="Kyriakidis 2004, Geographical Analysis 36: 259–289",
        fit_share=0.2,
    ),
    MethodSpec(
        "atprk",
        "ATPRK",
        "Linear regression on all guidance bands and area-to-point kriging of the residual.",
        "sharpener",
        True,
        _atprk,
        reference="Wang, Shi, Atkinson and Zhao 2015, Remote Sensing of Environment 166: 191–204",
        fit_share=0.3,
    ),
)
