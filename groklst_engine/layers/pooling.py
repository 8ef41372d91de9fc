"""Summaries of feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def pyramid_tokens(x: Tensor, bins: Sequence[int] = (1, 2, 3, 6)) -> Tensor:
    """Average pools over grids of ``bins`` × ``bins`` cells, row by row, coarsest first.

    Reference: Zhao et al., Pyramid Scene Parsing Network, CVPR 2017.

    Args:
        x: ``(B, C, H, W)``; where it has fewer pixels than cells, cells repeat.
        bins: Cells per side.

    Returns:
        ``(B, N, C)``, N the sum of the squared bins.
    """
    pools = [F.adaptive_avg_pool2d(x, side).flatten(2) for side in bins]
    return torch.cat(pools, dim=2).transpose(1, 2)


def channel_mean_max(x: Tensor) -> Tensor:
    """Mean and maximum over the channels, in this order: ``(B, C, H, W)`` to ``(B, 2, H, W)``."""
    return torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
