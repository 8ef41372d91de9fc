"""One raster shared among Dask processes, against one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio

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
    "processes that share the threads (`--cluster local:N`). *Start*: until the workers are there, and until they "
    "are gone again, part of the run. *Speed-up*: against one thread. *Efficiency*: that by the cores used; with "
    "*working*, without the start. *CPU*: processor time of all processes against one with one thread. *Same*: "
    "whether the result has the same bits as that of one thread. Medians of the rounds, by turns.",
    (
        Column("method", "method"),
        Column("size", "output (px)"),
        Column("who", "who"),
        Column("cores", "cores"),
        Column("seconds", "run (s)", 2),
        Column("start", "start (s)", 2),
        Column("speed_up", "speed-up", 2),
        Column("efficiency", "efficiency", 2),
        Column("working_efficiency", "efficiency, working", 2),
        Column("cpu_ratio", "CPU", 2),
        Column("same", "same"),
    ),
)


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
    who: dict[str, dict[str, Any]] = {"one thread": {"threads": 1}, "one process": {"threads": cores}}
    who |= {f"{count} workers" if count > 1 else "1 worker": {"cluster": f"local:{count}"} for count in job.workers}
    for name, of_name in in_turn(job.methods, on_event):
        method = with_weights(name, job.scale, folder)
        inputs = write_inputs(folder, size, job.scale, guided=get_method(method).guided, dates=1, cancel=cancel)
        found: dict[str, list[Row]] = {label: [] for label in who}
        for of_round in rounds(job.rounds, of_name):
            for label, share in in_turn(list(who), of_round):
                options = who[label]
                cluster = options.get("cluster")
                document = job_document(job, inputs, method, folder / f"{label}.tif", cluster=cluster)
                arguments = {"document": document, "threads": options.get("threads"), "cluster": cluster}
                found[label].append(apart(clustered_run, arguments, share, cancel))
        for label, options in who.items():
            used = 1 if label == "one thread" else cores
            pairs = list(zip(found["one thread"], found[label], strict=True))
            working = median(one["seconds"] / (own["seconds"] - own["start"]) for one, own in pairs) / used
            speed_up = median(one["seconds"] / own["seconds"] for one, own in pairs)
            yield {
                "method": name,
                "size": size,
                "who": label,
                "cores": used,
                "seconds": median(own["seconds"] for _, own in pairs),
                "start": median(own["start"] for _, own in pairs) if options.get("cluster") else None,
                "speed_up": speed_up,
                "efficiency": speed_up / used,
                "working_efficiency": working,
                "cpu_ratio": median(own["cpu"] / one["cpu"] for one, own in pairs),
                "same": "yes" if _equal(folder / "one thread.tif", folder / f"{label}.tif") else "no",
                "rounds": found[label],
            }


def clustered_run(
    *, document: str, threads: int | None, cluster: str | None, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """A run, and the ``start`` seconds in which workers come and go."""
    start = 0.0
    if cluster is not None:
        from groklst_engine.archives.cluster import pool

        def come_and_go() -> None:
            with pool(cluster):
                pass

        start = cost_of(come_and_go)[0].seconds
    return {**measured_run(document=document, threads=threads, on_event=on_event, cancel=cancel), "start": start}


def _equal(one: Path, other: Path) -> bool:
    with rasterio.open(one) as first, rasterio.open(other) as second:
        windows = [window for _, window in first.block_windows(1)]
        return all(np.array_equal(first.read(1, window=each), second.read(1, window=each)) for each in windows)
