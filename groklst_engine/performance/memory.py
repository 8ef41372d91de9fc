"""Memory of whole runs as rasters grow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods import get_method
from groklst_engine.performance.networks import with_weights
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import Row, apart, in_turn
from groklst_engine.performance.runs import job_document, measured_run
from groklst_engine.performance.scenes import write_inputs
from groklst_engine.performance_jobs import BenchJob

TABLE = Table(
    "Memory",
    "Highest memory of a process that does one run, libraries included. *÷ smallest*: of the same method's first "
    "size. *Cap*: what `--memory` allowed. *CPU s per Mpx*: processor time by output size, which stays the same "
    "where a run scales with its raster.",
    (
        Column("method", "method"),
        Column("coarse", "input (px)"),
        Column("size", "output (px)"),
        Column("cap", "cap (GB)", 1),
        Column("tiles", "tiles"),
        Column("side", "tile (px)"),
        Column("peak_gigabytes", "peak (GB)", 2),
        Column("to_smallest", "÷ smallest", 2),
        Column("gpu_gigabytes", "GPU (GB)", 2),
        Column("seconds", "run (s)", 1),
        Column("cpu_per_megapixel", "CPU s per Mpx", 3),
    ),
)


def measure(job: BenchJob, folder: Path, on_event: OnEvent, cancel: CancelToken) -> Iterator[Row]:
    """A row for each method and size."""
    smallest: dict[str, float] = {}
    for (name, size), share in in_turn(list(product(job.methods, job.sizes)), on_event):
        method = with_weights(name, job.scale, folder)
        inputs = write_inputs(folder, size, job.scale, guided=get_method(method).guided, dates=1, cancel=cancel)
        document = job_document(job, inputs, method, folder / "fine.tif")
        found = apart(measured_run, {"document": document}, share, cancel)
        peak = found["peak_gigabytes"]
        yield {
            "method": name,
            "coarse": size // job.scale,
            "size": size,
            "cap": job.memory,
            **found,
            "to_smallest": peak / smallest.setdefault(name, peak),
            "cpu_per_megapixel": found["cpu"] / (size**2 / 1e6),
        }
