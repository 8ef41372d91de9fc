"""Residual blocks of plain convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import conv_prelu, same_conv


class PlainResBlock(nn.Module):
    """Two convolutions with a ReLU between them, added to the input; no normalisation.

    Reference: Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR Workshops 2017.

    Args:
        channels: Width in and out.
        kernel_size: Of the convolutions; odd.
        negative_slope: Of the leaky ReLU between the convolutions; 0 is a ReLU.
    """

    def __init__(self, channels: int, kernel_size: int = 3, negative_slope: float = 0.0) -> None:
        super().__init__()
        self.conv1 = same_conv(channels, channels, kernel_size)
        self.conv2 = same_conv(channels, channels, kernel_size)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.conv2(F.leaky_relu(self.conv1(x), self.negative_slope))
        return x + residual


class ConvResAct(nn.Module):
    """Two 3×3 convolutions with a PReLU after the first, and another one after adding the input.

    Args:
        channels: Width in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv_prelu(channels, channels)
        self.conv2 = same_conv(channels, channels)
        self.activation = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        result: Tensor = self.activation(self.conv2(self.conv1(x)) + x)
        return result
