"""Invertible mixing of features.

Reference: Kingma and Dhariwal, Glow: Generative Flow with Invertible 1×1 Convolutions, NeurIPS 2018.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.precision import without_autocast

_SLOPE = 0.2
_UNIT_SLOPE = 0.1
_GROWTH = 8
_MAX_LOG_SCALE = 0.8


class DenseUnit(nn.Module):
    """Two 3×3 convolutions beside a 1×1 one, their sum activated.

    Args:
        in_channels: Width of the input; that of the result is 8.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = same_conv(in_channels, _GROWTH)
        self.conv2 = same_conv(_GROWTH, _GROWTH)
        self.shortcut = nn.Conv2d(in_channels, _GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` to ``(B, 8, H, W)``."""
        hidden = F.leaky_relu(self.conv1(x), _UNIT_SLOPE)
        return F.leaky_relu(F.leaky_relu(self.conv2(hidden), _UNIT_SLOPE) + self.shortcut(x), _SLOPE)


class DenseCouplingNet(nn.Module):
    """Small, densely connected convolutions; weak at the start.

    Args:
        in_channels: Width of the input.
        out_channels: Width of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.unit1 = DenseUnit(in_channels)
        self.unit2 = DenseUnit(_GROWTH)
        self.tail = same_conv(in_channels + 2 * _GROWTH, out_channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.xavier_normal_(module.weight, gain=0.1)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, H, W)`` to ``(B, out_channels, H, W)``."""
        first = self.unit1(x)
        second = self.unit2(first)
        return F.leaky_relu(self.tail(torch.cat([x, first, second], dim=1)), _SLOPE)


class InvertibleCoupling(nn.Module):
    """Mix all channels by an invertible matrix, then let two parts of them steer each other, losing nothing.

    The matrix is a product of a permutation, a lower and an upper triangular matrix; it starts as a random rotation.

    Args:
        channels: Width M in and out.
        first: Width of the first part.
    """

    order: Tensor
    sign: Tensor

    def __init__(self, channels: int, first: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels)).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.lower = nn.Parameter(lower)
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())
        self.register_buffer("sign", diagonal.sign())
        self.register_buffer("order", permutation.argmax(dim=1))
        self.first = first
        second = channels - first
        self.shift_first = DenseCouplingNet(second, first)
        self.shift_second = DenseCouplingNet(first, second)
        self.scale_second = DenseCouplingNet(first, second)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, M, H, W)`` to the same shape."""
        mixed = F.conv2d(x, self._matrix()[..., None, None])
        first = mixed[:, : self.first] + self.shift_first(mixed[:, self.first :])
        log_scale = _MAX_LOG_SCALE * (2 * torch.sigmoid(self.scale_second(first)) - 1)
        second = mixed[:, self.first :] * log_scale.exp() + self.shift_second(first)
        return torch.cat([first, second], dim=1)

    def _matrix(self) -> Tensor:
        """``(M, M)``."""
        with without_autocast(self.lower):
            lower = self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)
            upper = self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
            return (lower @ upper)[self.order]
