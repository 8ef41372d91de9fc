"""What transformers consist of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def channels_last(image: Tensor) -> Tensor:
    """``(B, C, H, W)`` to ``(B, H, W, C)``."""
    return image.permute(0, 2, 3, 1)


def channels_first(image: Tensor) -> Tensor:
    """``(B, H, W, C)`` to ``(B, C, H, W)``."""
    return image.permute(0, 3, 1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Multi-head attention: every token becomes a mean of the values, weighted by how its query meets their keys.

    Args:
        query: ``(B, T, C)``; its channels, like the others', are those of the first head, of the second one, …
        key: ``(B, S, C)``.
        value: ``(B, S, C)``.
        heads: Number of heads, a divisor of C.
        bias: Added to the logits, ``(B, heads, T, S)`` or a shape that broadcasts to it.

    Returns:
        ``(B, T, C)``.
    """
    query, key, value = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, bias).transpose(1, 2).flatten(2)


def transposed_attention(
    query: Tensor, key: Tensor, value: Tensor, temperature: Tensor, rectify: bool = False
) -> Tensor:
    """Attention among channels: by the angle between what two of them hold in all pixels.

    Reference: Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022.

    Args:
        query: ``(B, heads, D, N)``, N pixels.
        key: ``(B, heads, E, N)``.
        value: ``(B, heads, E, N)``.
        temperature: Multiplies the cosines, ``(heads, 1, 1)``.
        rectify: Whether negative cosines count as 0.

    Returns:
        ``(B, heads, D, N)``.
    """
    logits = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1) * temperature
    return (F.relu(logits) if rectify else logits).softmax(dim=-1) @ value


class LN2d(nn.LayerNorm):
    """Layer normalisation of each pixel over its channels.

    Args:
        channels: Width C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return channels_first(super().forward(channels_last(x)))


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
