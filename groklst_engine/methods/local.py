"""Local linear regressions: the relation of LST and guidance may change from place to place.

Around each coarse pixel the LST is regressed on the aggregated guidance in a window; the coefficients are
interpolated and applied to the guidance's detail, which is added to the interpolated LST. ``local-linear`` takes a
small Gaussian window and a ridge (the guided filter of He, Sun and Tang 2013 with many bands), ``gwr`` hardly a ridge
and a bandwidth that it finds by leaving each pixel out in turn (Duan and Li 2016). Gaps have no weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from groklst_engine.degrade import block_mean, masked_block_mean
from groklst_engine.events import CancelToken, OnEvent, progress
from groklst_engine.layers.local_regression import solve
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.methods.network import scene_normalizers
from groklst_engine.methods.samples import require_guidance
from groklst_engine.resample import REACH, upsample

SIGMA = 2
"""Width of ``local-linear``'s window in coarse pixels."""

RIDGE = 0.05
"""``local-linear``'s penalty on the squared coefficients, in z-scores. Leaving pixels out chooses too small a one: it
does not see that the relation changes with the scale, too."""

BANDWIDTHS = (3, 4, 6, 8, 12, 16)
"""Distances in coarse pixels, to be chosen from, at which the weights of ``gwr`` become 0."""

SLIGHT_RIDGE = 1e-3
"""Keeps ``gwr`` solvable where bands repeat each other."""


class LocalRegression:
    """A weighted linear regression around each coarse pixel.

    Args:
        options: Scale and roles.
        candidates: What the best is chosen of: a window's weights, one per row and column of coarse pixels, and the
            penalty on the squared coefficients, in z-scores.
    """

    def __init__(self, options: BuildOptions, candidates: tuple[tuple[Tensor, float], ...]) -> None:
        self._scale = options.scale
        self._roles = options.roles
        self._candidates = candidates
        self._take(*candidates[-1])

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Take the scene's statistics and choose window and ridge.

        Raises:
            InputError: Too few coarse pixels are valid.
            Cancelled: ``cancel`` was raised.
        """
        self._lst, self._guidance = scene_normalizers(scene, self._roles, cancel)
        if len(self._candidates) == 1:
            return
        errors = []
        for number, candidate in enumerate(self._candidates):
            progress(on_event, number / len(self._candidates), "Choosing the window and the ridge")
            self._take(*candidate)
            errors.append(sum(self._left_out_error(batch, cancel) for batch in scene.tiles))
        self._take(*self._candidates[errors.index(min(errors))])

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        guidance, lst = self._guidance.apply(batch.guidance), self._lst.apply(batch.lst)
        _, explained = explained_detail(lst, guidance, batch.mask, self._scale, self._window, self._ridge)
        return upsample(batch.lst, self._scale, "bicubic") + explained * self._lst.scale[0]

    def _take(self, window: Tensor, ridge: float) -> None:
        self._window, self._ridge = window, ridge
        self.radius: int | None = len(window) // 2 + REACH["bicubic"]

    def _left_out_error(self, batch: Batch, cancel: CancelToken) -> float:
        """Sum of squared errors at the coarse pixels, each predicted from the others in its window."""
        cancel.check()
        coarse, weight = masked_block_mean(self._guidance.apply(batch.guidance), batch.mask, self._scale)
        stacked = torch.cat([coarse, self._lst.apply(batch.lst)], dim=1)
        covariance, mean, total = _moments(stacked, weight, self._window)
        off = stacked - mean
        bands = coarse.shape[1]
        normal = _normal(covariance, total, self._window, self._ridge)
        slopes = solve(normal, covariance[:, :bands, bands])
        error = off[:, bands:] - (slopes * off[:, :bands]).sum(1, keepdim=True)
        own = solve(normal, off[:, :bands])
        peak = self._window.max() ** 2
        leverage = peak * weight / total.clamp(min=1e-6) * (1 + (own * off[:, :bands]).sum(1, keepdim=True))
        # a leverage near 1: nothing is left to predict from
        error = error / (1 - leverage).clamp(min=0.05)
        return float((weight * error.square()).sum())


def explained_detail(
    lst: Tensor, guidance: Tensor, mask: Tensor, scale: int, window: Tensor, ridge: float
) -> tuple[Tensor, Tensor]:
    """The guidance's detail, and the LST's detail that follows from it by the locally best linear combination.

    Args:
        lst: ``(B, 1, h, w)``, z-scored.
        guidance: ``(B, C, s·h, s·w)``, z-scored.
        mask: ``(B, 1, s·h, s·w)`` bool.
        scale: Coarse pixel divided by fine pixel.
        window: ``(2·r+1,)`` weights of the coarse pixels around, of rows and of columns.
        ridge: Penalty on the squared coefficients.

    Returns:
        ``(B, C, s·h, s·w)`` and ``(B, 1, s·h, s·w)``; both depend on ``r + 2`` coarse pixels to either side.
    """
    coarse, weight = masked_block_mean(guidance, mask, scale)
    coarse = torch.where(weight > 0, coarse, block_mean(guidance, scale))
    covariance, _, total = _moments(torch.cat([coarse, lst], dim=1), weight, window)
    bands = coarse.shape[1]
    slopes = solve(_normal(covariance, total, window, ridge), covariance[:, :bands, bands])
    detail = guidance - upsample(coarse, scale, "bicubic")
    explained = torch.zeros_like(detail[:, :1])
    for band in range(bands):  # one by one: all bands' fine slopes together would be large
        one = slice(band, band + 1)
        explained = explained + upsample(slopes[:, one], scale, "bilinear") * detail[:, one]
    return detail, explained


def gaussian_window(sigma: int) -> Tensor:
    """Weights of the coarse pixels up to three sigma away, ``(6·sigma+1,)``."""
    places = torch.arange(-3 * sigma, 3 * sigma + 1) / sigma
    return torch.exp(-0.5 * places**2)


def _normal(covariance: Tensor, total: Tensor, window: Tensor, ridge: float) -> Tensor:
    """Covariances of the guidance with the ridge, which weighs the more the fewer pixels of a window are valid."""
    bands = covariance.shape[1] - 1
    penalty = ridge * window.sum().square() / total.clamp(min=1e-3)
    return covariance[:, :bands, :bands] + penalty[:, None] * torch.eye(bands)[:, :, None, None]


def _moments(values: Tensor, weight: Tensor, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted covariances ``(B, C, C, h, w)``, means ``(B, C, h, w)`` and sums of weights around each pixel."""
    total = _window_sum(weight, window)
    safe = total.clamp(min=1e-6)
    mean = _window_sum(values * weight, window) / safe
    bands = values.shape[1]
    covariance = values.new_empty(len(values), bands, bands, *values.shape[2:])
    for first in range(bands):
        products = values[:, first : first + 1] * values[:, first:] * weight
        upper = _window_sum(products, window) / safe - mean[:, first : first + 1] * mean[:, first:]
        covariance[:, first, first:] = upper
        covariance[:, first:, first] = upper
    return covariance, mean, total


def _window_sum(values: Tensor, window: Tensor) -> Tensor:
    """Separable weighted sums, nothing beyond the edges: ``(B, C, h, w)`` to the same."""
    reach = len(window) // 2
    channels = values.shape[1]
    down = window.to(values)[:, None].expand(channels, 1, -1, 1)
    right = window.to(values)[None].expand(channels, 1, 1, -1)
    columns = F.conv2d(values, down, padding=(reach, 0), groups=channels)
    return F.conv2d(columns, right, padding=(0, reach), groups=channels)


def _bisquare(bandwidth: int) -> Tensor:
    """The weights usual in geographically weighted regression, of rows and of columns."""
    places = torch.arange(1 - bandwidth, bandwidth) / bandwidth
    return (1 - places**2) ** 2


def _local_linear(options: BuildOptions) -> LocalRegression:
    require_guidance(options, "Local linear regression")
    return LocalRegression(options, ((gaussian_window(SIGMA), RIDGE),))


def _gwr(options: BuildOptions) -> LocalRegression:
    require_guidance(options, "Geographically weighted regression")
    return LocalRegression(options, tuple((_bisquare(bandwidth), SLIGHT_RIDGE) for bandwidth in BANDWIDTHS))


SPECS = (
    MethodSpec(
        "local-linear",
        "Local linear regression",
        "Ridge regression of the LST on the guidance in a small window around each pixel; quick, and good from x4 on.",
        "sharpener",
        True,
        _local_linear,
        reference="He, Sun and Tang 2013, IEEE Transactions on Pattern Analysis and Machine Intelligence 35: 1397–1409",
        fit_share=0.1,
    ),
    MethodSpec(
        "gwr",
        "Geographically weighted regression",
        "Regression weighted by distance, its bandwidth found by cross-validation.",
        "sharpener",
        True,
        _gwr,
        reference="Duan and Li 2016, IEEE Geoscience and Remote Sensing Letters 13: 1201–1205",
        fit_share=0.3,
    ),
)
