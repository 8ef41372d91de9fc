"""Filters whose taps lie where a network puts them.

Reference: Kim, Ponce and Ham, Deformable Kernel Networks for Joint Image Filtering, International Journal of Computer
Vision 129, 2021.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.resample import up_bicubic

_REACH = 7
"""Pixels farther than this from the filtered one, in either direction, count as 0."""


class JointKernelFilter(nn.Module):
    """Filter the interpolated LST with kernels that LST and guidance agree on, and add what that finds.

    Args:
        scale: Fine pixels per coarse pixel.
        guidance_bands: Number C of guidance bands.
        lst_kernels: Makes of ``(B, 1, H, W)`` weights, ``(B, T, H, W)``, and offsets, ``(B, 2·T, H, W)``.
        guidance_kernels: Makes the like of ``(B, C, H, W)``.
    """

    def __init__(self, scale: int, guidance_bands: int, lst_kernels: nn.Module, guidance_kernels: nn.Module) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_kernels = lst_kernels
        self.guidance_kernels = guidance_kernels

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        upsampled = up_bicubic(lst, self.scale)
        _, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        lst_weights, lst_offsets = self.lst_kernels(upsampled.to(guidance.dtype))
        guidance_weights, guidance_offsets = self._of_guidance(guidance)
        detail = high_pass_filter(upsampled, lst_weights * guidance_weights, lst_offsets * guidance_offsets)
        return upsampled + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> tuple[Tensor, Tensor]:
        weights, offsets = self.guidance_kernels(guidance)
        return weights, offsets


class KernelHeads(nn.Module):
    """Weights and offsets of a filter for every pixel, from its features.

    Args:
        channels: Width C of the features.
        taps: T, of all filters at a pixel.
    """

    def __init__(self, channels: int, taps: int) -> None:
        super().__init__()
        self.weights = nn.Conv2d(channels, taps, 1)
        self.offsets = nn.Conv2d(channels, 2 * taps, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, H, W)`` to weights between 0 and 1, ``(B, T, H, W)``, and offsets, ``(B, 2·T, H, W)``."""
        return torch.sigmoid(self.weights(features)), self.offsets(features)


def high_pass_filter(x: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
    """Filter every pixel with k × k taps of its own, whose weights are made to sum to 0.

    Without an offset, taps lie −½, ½, 1½ … pixels from the pixel: as published, where the offsets have to centre them.

    Args:
        x: ``(B, 1, H, W)``; 0 beyond the image.
        weights: ``(B, k², H, W)``; tap k·a + b is in column a and row b.
        offsets: ``(B, 2·k², H, W)``, in pixels: for each tap to the right, then downwards.

    Returns:
        ``(B, 1, H, W)``.
    """
    side = torch.arange(math.isqrt(weights.shape[1]), device=x.device) - 0.5
    column, row = torch.meshgrid(side, side, indexing="ij")
    right = offsets[:, 0::2] + column.reshape(-1, 1, 1)
    down = offsets[:, 1::2] + row.reshape(-1, 1, 1)
    weights = weights - weights.mean(dim=1, keepdim=True)
    return (weights * sample_nearby(x, right, down)).sum(dim=1, keepdim=True)


def sample_nearby(x: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Bilinear samples of an image around every pixel of it.

    Args:
        x: ``(B, 1, H, W)``; 0 beyond the image, and beyond a square around the pixel.
        right: ``(B, T, H, W)``, from the pixel to the sample, in pixels.
        down: ``(B, T, H, W)``, in pixels.

    Returns:
        ``(B, T, H, W)``.
    """
    height, width = x.shape[-2:]
    rows = torch.arange(height, device=x.device)[:, None]
    columns = torch.arange(width, device=x.device)
    pixels = x.flatten(1)
    left, top = right.floor(), down.floor()
    from_left, from_top = right - left, down - top
    result = torch.zeros_like(right)
    for dy, share_y in ((top, 1 - from_top), (top + 1, from_top)):
        for dx, share_x in ((left, 1 - from_left), (left + 1, from_left)):
            row, column = rows + dy, columns + dx
            counts = (dy.abs() <= _REACH) & (dx.abs() <= _REACH)
            counts &= (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = torch.where(counts, row, 0).long() * width + torch.where(counts, column, 0).long()
            values = pixels.gather(1, index.flatten(1)).reshape(index.shape)
            result = result + share_y * share_x * values * counts
    return result
