"""Layers that are one at inference: a batch normalisation is a factor and an offset of the convolution before it."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


@torch.no_grad()
def without_batch_norm(network: Network) -> Network:
    """Fold each batch normalisation that directly follows a convolution into it, in place; equal up to rounding.

    Args:
        network: For inference; its chains of layers are ``nn.Sequential``.
    """
    network.eval()
    for chain in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for (number, layer), (following, norm) in pairwise(list(chain.named_children())):
            if type(layer) is nn.Conv2d and isinstance(norm, nn.BatchNorm2d):
                setattr(chain, number, fuse_conv_bn_eval(layer, norm))
                setattr(chain, following, nn.Identity())
    return network
