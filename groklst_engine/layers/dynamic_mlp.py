"""Dynamic multi-layer perceptrons: layers whose weights are computed from a second modality.

Reference: Yang et al., Dynamic MLP for Fine-Grained Image Classification by Leveraging Geographical and Temporal
Information, CVPR 2022.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def apply_generated(tokens: Tensor, weights: Tensor) -> Tensor:
    """Multiply each token by its own matrix.

    Args:
        tokens: ``(B, N, p)``.
        weights: ``(B, N, p·q)``, the rows of p × q matrices.

    Returns:
        ``(B, N, q)``.
    """
    matrices = weights.reshape(*tokens.shape, -1)
    return (tokens.unsqueeze(-2) @ matrices).squeeze(-2)


def _two_layers(in_features: int, hidden: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, out_features))


class DynamicMLPA(nn.Module):
    """Version A: the matrix is a linear function of the condition.

    Args:
        in_features: Width p of a token.
        out_features: Width q of the result.
        condition_features: Width c of a condition token.
    """

    def __init__(self, in_features: int, out_features: int, condition_features: int) -> None:
        super().__init__()
        self.generate = nn.Linear(condition_features, in_features * out_features)
        self.norm = nn.LayerNorm(out_features)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """``(B, N, p)`` and ``(B, N, c)`` to ``(B, N, q)``."""
        return F.relu(self.norm(apply_generated(tokens, self.generate(condition))))


class DynamicMLPB(nn.Module):
    """Version B: two layers before the product on either side, and one behind it.

    Args:
        in_features: Width p of a token.
        out_features: Width q of the result.
        condition_features: Width c of a condition token.
    """

    joint = False
    """Whether either side reads tokens and condition together, or its own only."""

    def __init__(self, in_features: int, out_features: int, condition_features: int) -> None:
        super().__init__()
        both = in_features + condition_features
        self.embed = _two_layers(both if self.joint else in_features, in_features, in_features)
        self.generate = _two_layers(both if self.joint else condition_features, in_features, in_features * out_features)
        self.norm = nn.LayerNorm(out_features)
        self.mix = nn.Sequential(
            nn.Linear(out_features, out_features, bias=False), nn.LayerNorm(out_features), nn.ReLU()
        )

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """``(B, N, p)`` and ``(B, N, c)`` to ``(B, N, q)``."""
        if self.joint:
            tokens = condition = torch.cat([tokens, condition], dim=-1)
        product = apply_generated(self.embed(tokens), self.generate(condition))
        mixed: Tensor = self.mix(F.relu(self.norm(product)))
        return mixed


class DynamicMLPC(DynamicMLPB):
    """Version C: as B, but either side reads tokens and condition together."""

    joint = True


DYNAMIC_MLPS: dict[str, type[DynamicMLPA] | type[DynamicMLPB]] = {
    "a": DynamicMLPA,
    "b": DynamicMLPB,
    "c": DynamicMLPC,
}


class DynamicFilter(nn.Module):
    """Filter weights for each token of one modality, conditioned on the same token of the other.

    Args:
        channels: Width C of the tokens of both modalities.
        out_features: Number of weights.
        mlp_type: A key of ``DYNAMIC_MLPS``.
        n_layers: Number of dynamic layers.
        hidden: Width between dynamic layers, if there are several.
    """

    def __init__(self, channels: int, out_features: int, mlp_type: str, n_layers: int, hidden: int) -> None:
        super().__init__()
        dynamic_mlp = DYNAMIC_MLPS[mlp_type]
        widths = [channels] + [hidden] * (n_layers - 1) + [channels]
        self.embed = nn.Linear(channels, channels)
        self.layers = nn.ModuleList(dynamic_mlp(p, q, channels) for p, q in pairwise(widths))
        self.head = nn.Sequential(nn.Linear(channels, out_features), nn.LayerNorm(out_features))
        self.skip = nn.Linear(channels, out_features)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """``(B, N, C)`` twice to ``(B, N, out_features)``."""
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, condition)
        weights: Tensor = self.head(x) + self.skip(tokens)
        return weights
