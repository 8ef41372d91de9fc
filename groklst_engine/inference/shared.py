"""What several dates over one guidance have in common is worked out once.

A ``Shared`` belongs to a series of runs with the same guidance files. It remembers what they read and derive from
them, and nothing that a date alone would give otherwise: the values are those of single runs.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

from groklst_engine.methods.base import BuildOptions, Downscaler, MethodSpec
from groklst_engine.methods.network import NetworkDownscaler

BYTES = 800_000_000
"""Remembered at most: the sample that methods learn from, filled and as it is, and a few tiles."""

T = TypeVar("T", bound=tuple[Tensor, ...])


class Shared:
    """Remembers tensors, the most recently used ones."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, tuple[Tensor, ...]] = OrderedDict()
        self._methods: dict[tuple[str, BuildOptions], Downscaler] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives, made once while it is remembered; nobody may change it."""
        if key not in self._found:
            self._found[key] = make()
            while sum(map(_bytes, self._found.values())) > BYTES and len(self._found) > 1:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        found: T = self._found[key]  # type: ignore[assignment]
        return found

    def build(self, spec: MethodSpec, options: BuildOptions) -> Downscaler:
        """A method, with the network of an earlier one like it: what that made of a guidance serves again."""
        built = self._methods.get((spec.name, options))
        if isinstance(built, NetworkDownscaler):
            return copy.copy(built)  # its statistics are replaced by fit, not changed
        method = self._methods[spec.name, options] = spec.build(options)
        if isinstance(method, NetworkDownscaler):
            method.share()
        return method


def digest(tensors: Iterable[Tensor]) -> str:
    """A key for the content of tensors."""
    found = hashlib.sha1(usedforsecurity=False)
    for tensor in tensors:
        found.update(str(tensor.shape).encode())
        found.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _bytes(tensors: tuple[Tensor, ...]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
