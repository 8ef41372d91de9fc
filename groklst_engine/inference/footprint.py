"""How much memory a tile takes, known before anything is computed, and how much there is."""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from groklst_engine.inference.pipeline import DEPTH
from groklst_engine.raster import CACHE
from groklst_engine.tiles import TilePlan

if TYPE_CHECKING:
    from groklst_engine.methods.base import Downscaler  # whose package imports this module

SHARE = 0.8
"""Of the free memory that is taken: the rest is for libraries' own work space and for others."""

CACHE_SHARE = 0.05
"""Of a cap that GDAL's cache of blocks may take: the share of a machine's memory that GDAL takes of its own accord."""

MOST_AT_ONCE = 8
"""Tiles that fill any GPU; more would only wait in memory for each other."""

_AT_WORK = 2 * DEPTH + 2  # batches and results that wait, are read, computed or written
_PIECES = 6  # copies of a row of tiles while it is put together, compared and compressed


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are alive, and remembers the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._now = 0
        self._seen: set[int] = set()
        self.most: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, int(storage.nbytes())
        if key in self._seen:
            return
        self._seen.add(key)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._now -= size


def peak_bytes(network: nn.Module, rows: int, columns: int, scale: int, bands: int) -> int:
    """Most bytes that a network's float32 values take at once for one tile; nothing is computed.

    Args:
        network: ``forward(lst, guidance | None)``.
        rows: Coarse pixels.
        columns: Coarse pixels.
        scale: Coarse pixel divided by fine pixel.
        bands: Guidance bands; 0: the network takes none.
    """
    shadow = copy.deepcopy(network).to("meta")
    with torch.inference_mode(), torch.device("meta"), _Live() as live:
        guidance = torch.empty(1, bands, rows * scale, columns * scale) if bands else None
        shadow(torch.empty(1, 1, rows, columns), guidance)
    return int(live.most)


def cache_bytes(cap: float | None) -> int:
    """Bytes of GDAL's cache of blocks, under a cap in gigabytes if there is one."""
    return CACHE if cap is None else min(CACHE, int(CACHE_SHARE * cap * 1e9))


def run_bytes(plan: TilePlan, scale: int, bands: int, tile: int, cap: float | None) -> float:
    """Bytes that a run takes beside what the process has already.

    Args:
        plan: Its tiles.
        scale: Coarse pixel divided by fine pixel.
        bands: Guidance bands read.
        tile: Bytes that the method takes for one tile.
        cap: Gigabytes for the whole process, if there is one.
    """
    rows, columns = plan.side
    waiting = _AT_WORK * (bands + 2) * rows * columns * scale**2 * 4
    width = min(plan.width, (plan.strip or plan.columns) * plan.core) * scale
    return tile + waiting + _PIECES * width * plan.core * scale * 4 + cache_bytes(cap)


def tiles_at_once(device: torch.device, method: Downscaler, plan: TilePlan) -> int:
    """How many tiles are computed at once: as many as a GPU has memory for; a processor gains nothing by several.

    Args:
        device: Where networks run.
        method: Whose ``footprint``, where it has one, tells what a tile takes.
        plan: The tiles.
    """
    measure = getattr(method, "footprint", None)
    if device.type != "cuda" or measure is None:
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MOST_AT_ONCE, int(SHARE * free) // int(measure(*plan.side))))


def free_bytes(cap: float | None) -> float:
    """Bytes that a run may take here: what is free, or what is left of ``cap`` gigabytes for the whole process."""
    free = float(SHARE * psutil.virtual_memory().available)
    return free if cap is None else min(free, cap * 1e9 - float(psutil.Process().memory_info().rss))
