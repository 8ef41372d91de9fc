"""Computing activations again on the way back instead of keeping them (Chen et al. 2016, arXiv 1604.06174)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def blocks(network: nn.Module) -> list[nn.Module]:
    """The parts of a network between which activations are kept: its children, lists and sequences opened.

    Parts with running statistics are left out: they would count each batch twice.
    """
    found: list[nn.Module] = []
    for child in network.children():
        if isinstance(child, (nn.ModuleList, nn.Sequential)):
            found += blocks(child)
        elif any(True for _ in child.parameters()) and not any(isinstance(m, _BatchNorm) for m in child.modules()):
            found.append(child)
    return found


@contextmanager
def recomputed(network: nn.Module) -> Iterator[None]:
    """Within this context the network keeps only what goes into its blocks; gradients stay the same."""
    chosen = blocks(network)
    try:
        for block in chosen:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        yield
    finally:
        for block in chosen:
            block.__dict__.pop("forward", None)
