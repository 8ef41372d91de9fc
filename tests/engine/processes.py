"""What tests have done in a process of its own; light to import, so that the process starts soon."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from groklst_engine.errors import GroklstError
from groklst_engine.events import CancelToken, OnEvent, log, progress


def holding(*, megabytes: int, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Hold memory for a moment."""
    from groklst_engine.performance.cost import peak_memory

    progress(on_event, 0.5, "holding")
    log(on_event, "not for the caller")
    before = peak_memory()
    held = np.ones(megabytes * 125_000)
    return {"pid": os.getpid(), "more": peak_memory() - before, "sum": float(held.sum())}


def giving_back(*, size: int, cap: float, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Free every second of 20 arrays under a cap, so that none is the last one of a heap."""
    import psutil
    import rasterio
    from rasterio.env import get_gdal_config

    from groklst_engine.inference.heap import bounded_memory

    process = psutil.Process()
    with bounded_memory(cap):
        several = [np.ones(size // 8) for _ in range(20)]
        before = process.memory_info().rss
        del several[::2]
        freed = before - process.memory_info().rss
        cache = get_gdal_config("GDAL_CACHEMAX")
    with rasterio.Env():
        return {"freed": freed, "cache": cache, "cache_after": get_gdal_config("GDAL_CACHEMAX")}


def failing(*, error: str, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Fail, or die."""
    if error == "die":
        os._exit(9)
    raise GroklstError("It is too hot.") if error == "sentence" else ValueError(error)


def waiting(*, note: str, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Wait until cancelled."""
    Path(note).write_text(str(os.getpid()), "utf-8")
    while True:
        cancel.check()
        time.sleep(0.05)
