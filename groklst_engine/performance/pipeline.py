"""Whole runs against the bare computation of their tiles; interpolations against GDAL's warp of the same file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods import get_method
from groklst_engine.performance.networks import with_weights
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import Row, apart, in_turn, rounds
from groklst_engine.performance.runs import job_document, measured_run, measured_warp
from groklst_engine.performance.scenes import write_inputs
from groklst_engine.performance_jobs import BenchJob

KERNELS = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "cubic"}
"""Our interpolations, and what GDAL calls them."""

TABLE = Table(
    "Pipeline",
    "A run from files to a file, each in a process of its own. *Bare*: the computation of all its tiles by itself, "
    "inputs and memory being at hand, by one tile of each shape, before and after the run. *÷ bare*: what preparing, "
    "reading, correcting, comparing and writing add. *CPU ÷ bare*: the same in processor time, which other programs "
    "disturb less. *With halo*: pixels that are read for each that is kept; GrokLST's own networks convolve fewer. "
    "*GDAL's warp* writes the same kind of file from the same input, by turns with ours. Medians of the rounds.",
    (
        Column("method", "method"),
        Column("size", "output (px)"),
        Column("threads", "threads"),
        Column("tiles", "tiles"),
        Column("side", "tile (px)"),
        Column("with_halo", "with halo", 2),
        Column("batch", "at once"),
        Column("seconds", "run (s)", 2),
        Column("setup", "of that before the tiles (s)", 2),
        Column("bare", "bare (s)", 2),
        Column("efficiency", "÷ bare", 2),
        Column("cpu_efficiency", "CPU ÷ bare", 2),
        Column("megapixels", "Mpx/s", 2),
        Column("megapixels_cpu", "Mpx per CPU s", 2),
        Column("to_gdal", "speed ÷ GDAL", 2),
        Column("peak_gigabytes", "peak (GB)", 2),
        Column("gpu_gigabytes", "GPU (GB)", 2),
    ),
)


def measure(job: BenchJob, folder: Path, on_event: OnEvent, cancel: CancelToken) -> Iterator[Row]:
    """A row for each method, size and tile, and for GDAL's warp where it can do the same."""
    cases = list(product(job.methods, job.sizes, job.tiles or (None,), job.threads or (None,)))
    for (name, size, tile, threads), of_case in in_turn(cases, on_event):
        method = with_weights(name, job.scale, folder)
        inputs = write_inputs(folder, size, job.scale, guided=get_method(method).guided, dates=1, cancel=cancel)
        document = job_document(job, inputs, method, folder / "fine.tif", tile=tile)
        warp = {"source": str(inputs.lsts[0]), "target": str(folder / "warped.tif"), "scale": job.scale}
        ours: list[Row] = []
        gdal: list[Row] = []
        for share in rounds(job.rounds, of_case):
            run = {"document": document, "bare": True, "threads": threads}
            ours.append(apart(measured_run, run, share, cancel))
            if name in KERNELS:
                gdal.append(apart(measured_warp, {**warp, "kernel": KERNELS[name]}, share, cancel))
        speeds = [other["seconds"] / own["seconds"] for own, other in zip(ours, gdal, strict=False)]
        yield {**_row(name, size, ours), "threads": threads, "to_gdal": median(speeds) if speeds else None}
        if gdal:
            yield _row(f"GDAL's warp, {KERNELS[name]}", size, gdal)


def _row(name: str, size: int, measured: list[Row]) -> dict[str, Any]:
    """The medians of some rounds."""
    numbers = [key for key, value in measured[0].items() if value is not None]
    row: dict[str, Any] = {key: median(found[key] for found in measured) for key in numbers}
    row |= {"method": name, "size": size, "rounds": measured}
    row |= {"megapixels": size**2 / 1e6 / row["seconds"], "megapixels_cpu": size**2 / 1e6 / row["cpu"]}
    if "bare" in row:
        row["efficiency"] = median(found["seconds"] / found["bare"] for found in measured)
        row["cpu_efficiency"] = median(found["cpu"] / found["bare_cpu"] for found in measured)
    return row
