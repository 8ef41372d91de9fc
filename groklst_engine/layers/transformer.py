"""What transformers consist of besides their attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MLP(nn.Sequential):
    """Two linear layers with a GELU between them, on the last axis.

    Args:
        channels: Width in and out.
        hidden: Width between the layers.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))


class DropPath(nn.Module):
    """Leave a residual branch out at random, per sample and in training only; its expectation is kept.

    Reference: Huang et al., Deep Networks with Stochastic Depth, ECCV 2016.

    Args:
        probability: Of leaving the branch out, below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """``(B, …)`` to the same shape."""
        if not self.training or self.probability == 0:
            return x
        kept = torch.rand(len(x), *(1,) * (x.dim() - 1), device=x.device) >= self.probability
        return x * kept / (1 - self.probability)


def init_linear_layers(network: nn.Module) -> None:
    """Draw the weights of all linear layers from a normal distribution of width 0.02, and set their biases to 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
