"""What the guidance says about the LST nearby: a ridge regression in a window around each coarse pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from groklst_engine.degrade import block_mean
from groklst_engine.resample import REACH, upsample


def _window_mean(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    rows = F.avg_pool2d(values, (side, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, radius), count_include_pad=False)


def _window_covariance(values: Tensor, radius: int) -> Tensor:
    """Covariances of the channels in the window around each pixel: ``(B, C, h, w)`` to ``(B, C, C, h, w)``."""
    mean = _window_mean(values, radius)
    first, second = torch.triu_indices(values.shape[1], values.shape[1], device=values.device)
    upper = _window_mean(values[:, first] * values[:, second], radius) - mean[:, first] * mean[:, second]
    covariance = values.new_empty(len(values), values.shape[1], *values.shape[1:])
    covariance[:, first, second] = upper
    covariance[:, second, first] = upper
    return covariance


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve a positive definite system at each pixel: ``(B, C, C, h, w)`` and ``(B, C, h, w)`` to ``(B, C, h, w)``.

    Elimination over whole planes: for many small systems far faster than a factorisation of each.
    """
    matrix, right = matrix.clone(), right.clone()
    bands = right.shape[1]
    for k in range(bands - 1):
        factor = matrix[:, k + 1 :, k] / matrix[:, k, None, k]
        matrix[:, k + 1 :, k + 1 :] -= factor[:, :, None] * matrix[:, k, None, k + 1 :]
        right[:, k + 1 :] -= factor * right[:, k, None]
    for k in reversed(range(bands)):
        known = (matrix[:, k, k + 1 :] * right[:, k + 1 :]).sum(1)
        right[:, k] = (right[:, k] - known) / matrix[:, k, k]
    return right


def local_regression(lst: Tensor, guidance: Tensor, detail: Tensor, scale: int, radius: int, ridge: float) -> Tensor:
    """Fine LST detail as the locally best linear combination of guidance detail.

    In a window of (2·radius+1)² coarse pixels the LST is regressed on the aggregated guidance; the coefficients are
    interpolated and applied to the guidance's detail: the guided filter (He, Sun and Tang 2013) with many bands, as
    local linear sharpeners do (e.g. Gao, Kustas and Anderson 2012). It needs no training, so it adapts to any
    sensor, season and set of bands. Not differentiable with respect to its inputs.

    Args:
        lst: ``(B, 1, h, w)`` coarse LST, z-scored.
        guidance: ``(B, C, s·h, s·w)`` guidance, z-scored; absent bands are 0 everywhere and get no weight.
        detail: ``(B, C, s·h, s·w)`` guidance without its own coarse part.
        scale: Coarse pixel divided by fine pixel.
        radius: Of the window, in coarse pixels.
        ridge: Penalty on the squared coefficients, in z-scored units.

    Returns:
        ``(B, 1, s·h, s·w)`` detail in the units of ``lst``.
    """
    with torch.no_grad():
        bands = guidance.shape[1]
        coarse = block_mean(guidance.float(), scale)
        covariance = _window_covariance(torch.cat([coarse, lst.float()], dim=1), radius)
        penalty = ridge * torch.eye(bands, device=lst.device)[:, :, None, None]
        slopes = solve(covariance[:, :bands, :bands] + penalty, covariance[:, :bands, bands])
        slopes = _window_mean(slopes, 1)
        return (upsample(slopes, scale, "bilinear") * detail).sum(1, keepdim=True)


def reach(radius: int) -> int:
    """Coarse pixels to either side on which ``local_regression`` depends."""
    return radius + 1 + REACH["bilinear"]
