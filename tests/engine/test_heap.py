"""Memory of tensors: kept while tiles are computed, given back at the end; under a cap at once."""

from __future__ import annotations

import ctypes
import sys

import psutil
import pytest
import torch
from processes import giving_back

from groklst_engine.events import CancelToken, ignore
from groklst_engine.inference.heap import PLANE, kept_memory
from groklst_engine.performance.process import apart

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
        pages_cleared(10)  # until small things have found places that are not in the tensor's way
        kept = pages_cleared(20)
    assert kept < 4 * SIZE / 4096  # of the twenty at most a few wanted pages of their own


def test_memory_goes_back_in_the_end() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    with kept_memory():
        several = [torch.ones(SIZE // 4) for _ in range(10)]
        del several
        assert process.memory_info().rss - before > 5 * SIZE
    assert process.memory_info().rss - before < 5 * SIZE


def test_under_a_cap_memory_goes_back_at_once() -> None:
    found = apart(giving_back, {"size": 2 * PLANE, "cap": 2.0}, ignore, CancelToken())  # where nothing is kept yet
    assert found["freed"] > 19 * PLANE
    assert found["cache"] == 100_000_000
    assert found["cache_after"] > 200_000_000
