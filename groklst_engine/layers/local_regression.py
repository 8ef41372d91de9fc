"""What the guidance says about the LST nearby: a ridge regression in a window around each coarse pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from groklst_engine.degrade import block_mean
from groklst_engine.resample import REACH, upsample


def _window_mean(values: Tensor, radius: int) -> Tensor:
    side = 2 * radius + 1
    return F.avg_pool2d(values, side, 1, radius, count_include_pad=False)


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
        values = torch.cat([coarse, lst.float()], dim=1)
        mean = _window_mean(values, radius)
        products = (values[:, :, None] * values[:, None]).flatten(1, 2)
        covariance = _window_mean(products, radius).reshape(len(lst), bands + 1, bands + 1, *lst.shape[-2:])
        covariance = (covariance - mean[:, :, None] * mean[:, None]).permute(0, 3, 4, 1, 2)
        matrix = covariance[..., :bands, :bands] + ridge * torch.eye(bands, device=lst.device)
        factor, _ = torch.linalg.cholesky_ex(matrix)
        slopes = torch.cholesky_solve(covariance[..., :bands, bands:], factor)
        slopes = _window_mean(slopes.squeeze(-1).permute(0, 3, 1, 2), 1)
        return (upsample(slopes, scale, "bilinear") * detail).sum(1, keepdim=True)


def reach(radius: int) -> int:
    """Coarse pixels to either side on which ``local_regression`` depends."""
    return radius + 1 + REACH["bilinear"]
