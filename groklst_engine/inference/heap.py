"""Memory of tiles: it stays with the process while they are computed, or goes back to the system where there is a cap.

glibc gives every large tensor pages of its own, which the system has to clear: a quarter to a third of the processor
time of a network. What it keeps instead depends on the order in which threads ask and free. Other C libraries and
systems are left as they are.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import rasterio

from groklst_engine.inference.footprint import cache_bytes

PLANE = 4 * 2**20
"""Bytes from which memory goes back at once under a cap: a plane of a tile is smaller, its layers are larger."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # as <malloc.h> numbers them
_NEVER = -1
_DEFAULTS = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed for the next tensor of the same thread; all of it goes back at the end."""
    with _malloc({_TRIM_THRESHOLD: _NEVER, _MMAP_MAX: 0}):
        yield


@contextmanager
def bounded_memory(cap: float) -> Iterator[None]:
    """Make the highest memory that of the tiles at work, whatever their number and the pace of the threads.

    Left to itself, glibc keeps up to 32 MB of each size that was ever freed, in a heap for each thread, and GDAL's
    cache fills with as much of the output as is written between two notes of what is done.

    Args:
        cap: Gigabytes for the whole process.
    """
    _trim()
    with _malloc({_TRIM_THRESHOLD: 2 * PLANE, _MMAP_THRESHOLD: PLANE}), rasterio.Env(GDAL_CACHEMAX=cache_bytes(cap)):
        yield


@contextmanager
def _malloc(options: Mapping[int, int]) -> Iterator[None]:
    """Set options of glibc; what was kept goes back at the end."""
    _set(options)
    try:
        yield
    finally:
        _set(_DEFAULTS)
        _trim()


def _set(options: Mapping[int, int]) -> None:
    if libc := _glibc():
        for option, value in options.items():
            libc.mallopt(option, value)


def _trim() -> None:
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "mallopt") else None
