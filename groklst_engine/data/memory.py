"""Scenes that are read when they are wanted, and kept as long as they fit in memory."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar, overload

from torch import Tensor

KEPT = 16
"""Scenes kept at least, however large."""

Read = TypeVar("Read")


def memory_for_scenes() -> int:
    """Bytes that scenes may take: a quarter of this machine's memory, shared with its other training processes.

    Each scene may be kept twice, as it was read and as it is learned from.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows cannot be asked this way
        memory = 8 * 2**30
    return memory // 4 // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class Kept(Sequence[Read], Generic[Read]):
    """A sequence whose items are read at first use; the ones used last stay in memory.

    Args:
        readers: A function for each item, a dataclass of tensors.
        budget: Bytes that kept items may take.
    """

    def __init__(self, readers: Sequence[Callable[[], Read]], budget: int) -> None:
        self._readers = readers
        self._budget = budget
        self._kept: OrderedDict[int, Read] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._readers)

    @overload
    def __getitem__(self, index: int) -> Read: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Read]: ...

    def __getitem__(self, index: int | slice) -> Read | Sequence[Read]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        index = range(len(self))[index]  # which also ends an iteration
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        item = self._kept[index] = self._readers[index]()
        self._bytes += _size(item)
        while self._bytes > self._budget and len(self._kept) > KEPT:
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        return item


def _size(item: Any) -> int:
    values = (getattr(item, field.name) for field in fields(item))
    return sum(value.nbytes for value in values if isinstance(value, Tensor))
