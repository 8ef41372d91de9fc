"""Convolutions as the networks use them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def same_conv(in_channels: int, out_channels: int, kernel_size: int = 3, bias: bool = True) -> nn.Conv2d:
    """A convolution with zero padding that keeps height and width; ``kernel_size`` is odd."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=bias)


def conv_prelu(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Sequential:
    """``same_conv``, then a PReLU with one slope for all channels."""
    return nn.Sequential(same_conv(in_channels, out_channels, kernel_size), nn.PReLU())


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


class CNN3(nn.Sequential):
    """Three convolutions of 9×9, 1×1 and 5×5 with ReLUs between them: ``(B, in_channels, H, W)`` to ``(B, D, H, W)``.

    Reference: Li et al., Deep Joint Image Filtering, ECCV 2016.

    Args:
        in_channels: Width of the input.
        widths: Of the three results; the last one is D.
        paddings: Of the three convolutions, 6 in all. The published (2, 2, 2) puts a frame of constants around the
            middle one; (4, 0, 2) does not.
    """

    def __init__(
        self, in_channels: int, widths: tuple[int, int, int], paddings: tuple[int, int, int] = (2, 2, 2)
    ) -> None:
        first, second, last = widths
        super().__init__(
            nn.Conv2d(in_channels, first, 9, padding=paddings[0]),
            nn.ReLU(),
            nn.Conv2d(first, second, 1, padding=paddings[1]),
            nn.ReLU(),
            nn.Conv2d(second, last, 5, padding=paddings[2]),
        )
