"""Convolutions as the networks use them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def same_conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Conv2d:
    """A convolution with bias and zero padding that keeps height and width; ``kernel_size`` is odd."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)


def conv_per_sample(x: Tensor, weights: Tensor) -> Tensor:
    """Convolve each sample with its own filter, zero-padded to keep height and width.

    Args:
        x: ``(B, C, H, W)``.
        weights: ``(B, D, C, k, k)`` with odd k.

    Returns:
        ``(B, D, H, W)``.
    """
    batch, channels, height, width = x.shape
    # The samples become groups of one convolution: no group sees another one's channels.
    joined = F.conv2d(
        x.reshape(1, batch * channels, height, width),
        weights.flatten(0, 1),
        padding=weights.shape[-1] // 2,
        groups=batch,
    )
    return joined.reshape(batch, weights.shape[1], height, width)
