"""What work costs a process: time, and memory at its highest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Of some work.

    Attributes:
        seconds: By the clock.
        cpu: Seconds of all processors, of processes that were started and have ended, too.
    """

    seconds: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu)


def cost_of(work: Callable[[], T]) -> tuple[Cost, T]:
    """Do some work; what it cost, and what it gave."""
    cpu, started = _cpu(), time.perf_counter()
    result = work()
    return Cost(time.perf_counter() - started, _cpu() - cpu), result


def _cpu() -> float:
    times = psutil.Process().cpu_times()
    return time.process_time() + float(times.children_user + times.children_system)  # the former is finer


def peak_memory() -> float:
    """Most bytes of the machine's memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts the parent's memory in getrusage
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024.0
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset)
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # macOS has bytes


def peak_of_gpu() -> float | None:
    """Most bytes of the GPU's memory that this process's tensors have held so far; None without a CUDA GPU."""
    return float(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None
