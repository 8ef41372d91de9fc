"""From the coarse grid to the fine one."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv


def up_bicubic(x: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation, ``(B, C, h, w)`` to ``(B, C, scale·h, scale·w)``; pixel areas, not centres, coincide."""
    return F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)


def up_bilinear(x: Tensor, scale: int) -> Tensor:
    """Bilinear interpolation, ``(B, C, h, w)`` to ``(B, C, scale·h, scale·w)``; pixel areas, not centres, coincide."""
    return F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)


def phase_stack(x: Tensor, factor: int) -> Tensor:
    """Each ``factor`` × ``factor`` pixels become one, their values its channels, pixel by pixel, row by row.

    Args:
        x: ``(B, C, H, W)``; height and width are multiples of ``factor``.
        factor: Any whole number.

    Returns:
        ``(B, factor²·C, H/factor, W/factor)``; ``pixel_unshuffle`` would put them band by band.
    """
    batch, channels, height, width = x.shape
    phases = F.pixel_unshuffle(x, factor).reshape(batch, channels, factor**2, height // factor, width // factor)
    return phases.transpose(1, 2).flatten(1, 2)


def radius_behind_bicubic(fine_radius: int, scale: int) -> int:
    """Coarse pixels around a coarse pixel that matter where ``fine_radius`` pixels of its ``up_bicubic`` matter."""
    return math.ceil(fine_radius / scale + 1.5)


class PixelShuffleUpsampler(nn.Sequential):
    """Sub-pixel convolutions, ``(B, C, h, w)`` to ``(B, C, scale·h, scale·w)``: one step of 3, or steps of 2.

    Reference: Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network, CVPR 2016.

    Args:
        channels: Width in and out.
        scale: 3 or a power of two.

    Raises:
        ValueError: If the scale is neither.
    """

    def __init__(self, channels: int, scale: int) -> None:
        if scale == 3:
            factors = [3]
        elif scale >= 2 and scale & (scale - 1) == 0:
            factors = [2] * (scale.bit_length() - 1)
        else:
            raise ValueError(f"Sub-pixel convolutions need a scale of 3 or a power of two, not {scale}.")
        steps: list[nn.Module] = []
        for factor in factors:
            steps += [same_conv(channels, channels * factor**2), nn.PixelShuffle(factor)]
        super().__init__(*steps)


class PixelShuffleHead(nn.Sequential):
    """One sub-pixel convolution, ``(B, C, h, w)`` to ``(B, D, scale·h, scale·w)``, any scale.

    Reference: as ``PixelShuffleUpsampler``.

    Args:
        in_channels: Width C.
        out_channels: Width D.
        scale: Any whole number.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int) -> None:
        super().__init__(same_conv(in_channels, out_channels * scale**2), nn.PixelShuffle(scale))
