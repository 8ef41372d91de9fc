"""Memory of tensors: kept while tiles are computed, given back at the end."""

from __future__ import annotations

import ctypes
import sys

import psutil
import pytest
import torch

from groklst_engine.inference.heap import kept_memory

SIZE = 16_000_000
"""Bytes of a tensor."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc's allocator only"
)


def pages_cleared(times: int) -> int:
    """Pages the system had to find for tensors made and dropped one after the other."""
    import resource

    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(times):
        torch.ones(SIZE // 4)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def test_the_next_tensor_takes_the_pages_of_the_last_one() -> None:
    with kept_memory():
        pages_cleared(1)
        kept = pages_cleared(5)
    assert kept < 2 * SIZE / 4096  # of the five at most one wanted pages of its own


def test_memory_goes_back_in_the_end() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    with kept_memory():
        several = [torch.ones(SIZE // 4) for _ in range(10)]
        del several
        assert process.memory_info().rss - before > 5 * SIZE
    assert process.memory_info().rss - before < 5 * SIZE
