"""Residual blocks of plain convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import conv_prelu, same_conv


class PlainResBlock(nn.Module):
    """Two 3×3 convolutions with a ReLU between them, added to the input; no normalisation.

    Reference: Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPR Workshops 2017.

    Args:
        channels: Width in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = same_conv(channels, channels)
        self.conv2 = same_conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
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
