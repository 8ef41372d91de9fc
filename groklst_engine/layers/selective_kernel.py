"""Selection among features of several neighbourhoods, and the weights that decide it.

References:
    Li et al., Selective Kernel Networks, CVPR 2019: channels select.
    Li et al., Large Selective Kernel Network for Remote Sensing Object Detection, ICCV 2023: pixels select.
    Dai et al., MoCoLSK, IEEE TGRS 2025: the weights are generated from two modalities, per image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import conv_per_sample
from groklst_engine.layers.dynamic_mlp import DynamicFilter, apply_generated
from groklst_engine.layers.large_kernel import LargeKernels, ParallelKernels
from groklst_engine.layers.pooling import POOLINGS, channel_mean_max, image_means

Shape = tuple[int, ...]
WeightSource = Callable[[Shape], nn.Module]
"""Makes the module that maps two modalities, ``(B, C, H, W)`` each, to weights ``(B, *shape)``."""


class StaticWeights(nn.Module):
    """The same weights for every sample.

    Args:
        shape: Of the weights.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.empty(shape))
        nn.init.xavier_uniform_(self.values)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Look at the number of samples only."""
        return self.values.expand(len(first), *self.values.shape)


class GeneratedWeights(nn.Module):
    """Modality-conditioned weight generation (MCWG): weights per sample from summaries of two modalities.

    Args:
        shape: Of the weights.
        channels: Width C of both modalities.
        pooling: A key of ``POOLINGS``.
        mlp_type: Version of the dynamic MLP.
        mlp_layers: Its number of layers.
        mlp_hidden: Its width between layers.
        reference_compat: As published: averaged over the batch and cut off from the gradient.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        channels: int,
        pooling: str,
        mlp_type: str,
        mlp_layers: int,
        mlp_hidden: int,
        reference_compat: bool,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = POOLINGS[pooling]
        self.dynamic_filter = DynamicFilter(channels, math.prod(shape), mlp_type, mlp_layers, mlp_hidden)
        self.reference_compat = reference_compat

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to ``(B, *shape)``."""
        per_token = self.dynamic_filter(self.tokens(first), self.tokens(second))
        weights: Tensor = per_token.mean(dim=1).reshape(-1, *self.shape)
        if self.reference_compat:
            weights = weights.mean(dim=0, keepdim=True).detach().expand_as(weights)
        return weights


class SpatialMasks(nn.Module):
    """Each pixel selects: a convolution over the mean and maximum of all features gives one gate for each.

    Args:
        count: Number of features.
        filter_size: Side of the convolution; odd.
        weights: Of its weights.
    """

    def __init__(self, count: int, filter_size: int, weights: WeightSource) -> None:
        super().__init__()
        self.weights = weights((count, 2, filter_size, filter_size))

    def forward(self, features: Sequence[Tensor], first: Tensor, second: Tensor) -> Sequence[Tensor]:
        """Features ``(B, C', H, W)`` to as many masks ``(B, 1, H, W)`` from 0 to 1."""
        descriptor = channel_mean_max(torch.cat(list(features), dim=1))
        masks = torch.sigmoid(conv_per_sample(descriptor, self.weights(first, second)))
        return torch.split(masks, 1, dim=1)


class ChannelMasks(nn.Module):
    """Each channel selects: the squeezed means over the image, times a matrix, give shares that sum to 1.

    Args:
        count: Number of features.
        channels: Their width C'.
        weights: Of the matrix.
    """

    def __init__(self, count: int, channels: int, weights: WeightSource) -> None:
        super().__init__()
        self.count = count
        hidden = max(4, channels // 4)
        self.squeeze = nn.Linear(channels, hidden)
        self.weights = weights((hidden, count * channels))

    def forward(self, features: Sequence[Tensor], first: Tensor, second: Tensor) -> Sequence[Tensor]:
        """Features ``(B, C', H, W)`` to as many masks ``(B, C', 1, 1)`` from 0 to 1."""
        means = torch.stack([image_means(feature).flatten(1) for feature in features]).sum(dim=0)
        squeezed = F.leaky_relu(self.squeeze(means), 0.2)  # not a ReLU: these few units could all start dead
        logits = apply_generated(squeezed, self.weights(first, second))
        shares = logits.reshape(len(logits), self.count, -1, 1, 1).softmax(dim=1)
        return torch.unbind(shares, dim=1)


class Selection(nn.Module):
    """A mixture of the features of several neighbourhoods of one modality, which both modalities decide.

    Args:
        branches: Gives the features.
        masks: Gives a mask for each.
        expand: From the width of the features to that of the result.
    """

    def __init__(self, branches: LargeKernels | ParallelKernels, masks: nn.Module, expand: nn.Module) -> None:
        super().__init__()
        self.branches = branches
        self.masks = masks
        self.expand = expand

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape; the features are those of ``first``."""
        features = self.branches(first)
        masks = self.masks(features, first, second)
        mixture = torch.stack([feature * mask for feature, mask in zip(features, masks, strict=True)]).sum(dim=0)
        selected: Tensor = self.expand(mixture)
        return selected
