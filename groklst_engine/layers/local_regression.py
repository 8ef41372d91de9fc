"""What the guidance says about the LST nearby: a ridge regression in a window around each coarse pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from groklst_engine.degrade import block_mean
from groklst_engine.resample import REACH, upsample


def _window_mean(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    values = values.contiguous(memory_format=torch.channels_last)  # many channels: twice as fast, with the same bits
    rows = F.avg_pool2d(values, (side, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), 1, (0, radius), count_include_pad=False).contiguous()


def _window_covariance(values: Tensor, mean: Tensor, radius: int) -> Tensor:
    """Covariances of the channels in the window around each pixel: ``(B, C, h, w)`` to ``(B, C, C, h, w)``."""
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
    return _substitute(_eliminate(matrix), right)


def _eliminate(matrix: Tensor) -> Tensor:
    """The triangles of a matrix at each pixel: the upper one, and below the diagonal the factors that gave it."""
    matrix = matrix.clone()
    for k in range(matrix.shape[1] - 1):
        factor = matrix[:, k + 1 :, k] / matrix[:, k, None, k]
        matrix[:, k + 1 :, k + 1 :] -= factor[:, :, None] * matrix[:, k, None, k + 1 :]
        matrix[:, k + 1 :, k] = factor
    return matrix


def _substitute(triangles: Tensor, right: Tensor) -> Tensor:
    """Solve a system whose matrix was eliminated."""
    right = right.clone()
    bands = right.shape[1]
    for k in range(bands - 1):
        right[:, k + 1 :] -= triangles[:, k + 1 :, k] * right[:, k, None]
    for k in reversed(range(bands)):
        known = (triangles[:, k, k + 1 :] * right[:, k + 1 :]).sum(1)
        right[:, k] = (right[:, k] - known) / triangles[:, k, k]
    return right


@dataclass(frozen=True)
class GuidanceWindows:
    """All that a local regression needs of the guidance: the same for every LST over it.

    Attributes:
        radius: Of the window, in coarse pixels.
        coarse: ``(B, C, h, w)`` aggregated guidance.
        mean: ``(B, C, h, w)`` its mean in the window.
        triangles: ``(B, C, C, h, w)`` its covariance in the window with the penalty, eliminated.
    """

    radius: int
    coarse: Tensor
    mean: Tensor
    triangles: Tensor

    @classmethod
    def of(cls, coarse: Tensor, radius: int, ridge: float) -> GuidanceWindows:
        """Of aggregated guidance ``(B, C, h, w)``, for a window and a penalty."""
        with torch.no_grad():
            coarse = coarse.float()
            mean = _window_mean(coarse, radius)
            penalty = ridge * torch.eye(coarse.shape[1], device=coarse.device)[:, :, None, None]
            return cls(radius, coarse, mean, _eliminate(_window_covariance(coarse, mean, radius) + penalty))

    def slopes(self, lst: Tensor) -> Tensor:
        """Coefficients of the regression of an LST ``(B, 1, h, w)``: ``(B, C, h, w)``."""
        with torch.no_grad():
            lst = lst.float()
            covariance = _window_mean(self.coarse * lst, self.radius) - self.mean * _window_mean(lst, self.radius)
            return _window_mean(_substitute(self.triangles, covariance), 1)

    def misfit(self, lst: Tensor, slopes: Tensor) -> Tensor:
        """How far coefficients leave the LST from the guidance here and nearby.

        Args:
            lst: ``(B, 1, h, w)`` coarse LST.
            slopes: ``(B, C, h, w)`` of :meth:`slopes`.

        Returns:
            ``(B, 3, h, w)`` in the units of ``lst``: what the regression leaves in the pixel, its root mean square in
            the window, and the standard deviation of the LST there.
        """
        with torch.no_grad():
            lst = lst.float()
            mean = _window_mean(lst, self.radius)
            left = lst - mean - (slopes * (self.coarse - self.mean)).sum(1, keepdim=True)
            squares = torch.cat([_window_mean(left**2, self.radius), _window_mean((lst - mean) ** 2, self.radius)], 1)
            return torch.cat([left, squares.sqrt()], dim=1)


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
    return applied(GuidanceWindows.of(block_mean(guidance.float(), scale), radius, ridge).slopes(lst), detail, scale)


@torch.no_grad()
def applied(slopes: Tensor, detail: Tensor, scale: int) -> Tensor:
    """The detail that coefficients ``(B, C, h, w)`` make of the guidance's: ``(B, 1, s·h, s·w)``."""
    return (upsample(slopes, scale, "bilinear") * detail).sum(1, keepdim=True)


def reach(radius: int) -> int:
    """Coarse pixels to either side on which ``local_regression`` depends."""
    return radius + 1 + REACH["bilinear"]
