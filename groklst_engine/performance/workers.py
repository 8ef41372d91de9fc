"""One raster shared among Dask processes, against one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio

from groklst_engine.archives.cluster import pool, threads_of
from groklst_engine.errors import GroklstError
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods import get_method
from groklst_engine.performance.cost import cost_of
from groklst_engine.performance.networks import with_weights
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import Row, apart, in_turn, rounds
from groklst_engine.performance.runs import job_document, measured_run
from groklst_engine.performance.scenes import write_inputs
from groklst_engine.performance_jobs import BenchJob

TABLE = Table(
    "Workers",
    "The largest size, done by one process with one thread, by one process with all threads, and by Dask "
    "processes that share the threads (`--cluster local:N`). *Before the tiles*: opening the inputs and learning from "
    "the scene, which one process does. *Start*: until the workers are there and have loaded their libraries, and "
    "until they are gone again, part of the run. *Speed-up*: against one thread. *Efficiency*: that by the cores used; "
    "with *working*, without the start. *CPU*: processor time of all processes against one with one thread. *Same*: "
    "whether the result has the same bits as that of one thread. Medians of the rounds, by turns.",
    (
        Column("method", "method"),
        Column("size", "output (px)"),
        Column("who", "who"),
        Column("cores", "cores"),
        Column("seconds", "run (s)", 2),
        Column("setup", "of that before the tiles (s)", 2),
        Column("start", "start (s)", 2),
        Column("speed_up", "speed-up", 2),
        Column("efficiency", "efficiency", 2),
        Column("working_efficiency", "efficiency, working", 2),
        Column("cpu_ratio", "CPU", 2),
        Column("same", "same"),
    ),
)


@dataclass(frozen=True)
class _Who:
    """What does a run: with so many cores, by threads of one process or by workers."""

    cores: int
    threads: int | None = None
    cluster: str | None = None


def check() -> None:
    """Refuse where Dask is missing.

    Raises:
        GroklstError: It is.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise GroklstError("Workers need Dask: install it with `pip install 'groklst[distributed]'`.") from error


def measure(job: BenchJob, folder: Path, on_event: OnEvent, cancel: CancelToken) -> Iterator[Row]:
    """A row for each method and number of workers."""
    cores, size = os.cpu_count() or 1, max(job.sizes)
    who = {"one thread": _Who(1, threads=1), "one process": _Who(cores, threads=cores)}
    for count in job.workers:
        label = f"{count} workers" if count > 1 else "1 worker"
        who[label] = _Who(min(cores, count * threads_of(count)), cluster=f"local:{count}")
    for name, of_name in in_turn(job.methods, on_event):
        method = with_weights(name, job.scale, folder)
        inputs = write_inputs(folder, size, job.scale, guided=get_method(method).guided, dates=1, cancel=cancel)
        found: dict[str, list[Row]] = {label: [] for label in who}
        for of_round in rounds(job.rounds, of_name):
            for label, share in in_turn(list(who), of_round):
                threads, cluster = who[label].threads, who[label].cluster
                document = job_document(job, inputs, method, folder / f"{label}.tif", cluster=cluster)
                arguments = {"document": document, "threads": threads, "cluster": cluster}
                found[label].append(apart(clustered_run, arguments, share, cancel))
        for label, one in who.items():
            pairs = list(zip(found["one thread"], found[label], strict=True))
            working = [(alone["seconds"], own["seconds"] - own["start"]) for alone, own in pairs]
            speed_up = median(alone["seconds"] / own["seconds"] for alone, own in pairs)
            yield {
                "method": name,
                "size": size,
                "who": label,
                "cores": one.cores,
                "seconds": median(own["seconds"] for _, own in pairs),
                "setup": median(own["setup"] for _, own in pairs),
                "start": median(own["start"] for _, own in pairs) if one.cluster else None,
                "speed_up": speed_up,
                "efficiency": speed_up / one.cores,
                "working_efficiency": _efficiency(working, one.cores),
                "cpu_ratio": median(own["cpu"] / alone["cpu"] for alone, own in pairs),
                "same": "yes" if _equal(folder / "one thread.tif", folder / f"{label}.tif") else "no",
                "rounds": found[label],
            }


def clustered_run(
    *, document: str, threads: int | None, cluster: str | None, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """A run, and the ``start`` seconds in which workers come and go."""
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # of libraries that are loaded by and by, as workers have it
    start = 0.0
    if cluster is not None:

        def come_and_go() -> None:
            with pool(cluster) as workers:
                list(workers.finished([workers.submit(_nothing) for _ in range(workers.size)], cancel))

        start = cost_of(come_and_go)[0].seconds
    return {**measured_run(document=document, threads=threads, on_event=on_event, cancel=cancel), "start": start}


def _efficiency(seconds: list[tuple[float, float]], cores: int) -> float | None:
    """Of work that takes so long alone and together; None where it is so little that the start is all of it."""
    return median(alone / own for alone, own in seconds) / cores if min(own for _, own in seconds) > 0 else None


def _nothing(cancel: CancelToken) -> None:
    """In a worker: what its task needs is loaded, and that is all."""


def _equal(one: Path, other: Path) -> bool:
    with rasterio.open(one) as first, rasterio.open(other) as second:
        windows = [window for _, window in first.block_windows(1)]
        return all(np.array_equal(first.read(1, window=each), second.read(1, window=each)) for each in windows)
