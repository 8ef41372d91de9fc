"""Dates over one guidance, side by side against one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio

from groklst_engine.events import CancelToken, OnEvent, ignore
from groklst_engine.inference.series import downscale_series
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.performance.cost import Cost, cost_of
from groklst_engine.performance.networks import with_weights
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import Row, apart, in_turn, rounds
from groklst_engine.performance.runs import job_document
from groklst_engine.performance.scenes import write_inputs
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.predict import downscale

TABLE = Table(
    "Series",
    "Dates over one guidance, of the smallest size, one by one and side by side, by turns in one process. "
    "*Faster*: time per date one by one divided by that side by side; medians of the rounds. *Differs*: the "
    "largest difference of the results.",
    (
        Column("method", "method"),
        Column("size", "output (px)"),
        Column("dates", "dates"),
        Column("single", "one by one (s per date)", 2),
        Column("together", "side by side (s per date)", 2),
        Column("faster", "faster", 2),
        Column("cpu_faster", "faster in CPU time", 2),
        Column("difference", "differs (K)", 4),
    ),
)


def measure(job: BenchJob, folder: Path, on_event: OnEvent, cancel: CancelToken) -> Iterator[Row]:
    """A row for each guided method."""
    size = min(job.sizes)
    methods = [with_weights(name, job.scale, folder) for name in job.methods]
    guided = [(name, method) for name, method in zip(job.methods, methods, strict=True) if get_method(method).guided]
    for (name, method), share in in_turn(guided, on_event):
        inputs = write_inputs(folder, size, job.scale, guided=True, dates=job.dates, cancel=cancel)
        singles, together = (
            [job_document(job, inputs, method, folder / f"{kind}{date}.tif", date) for date in range(job.dates)]
            for kind in ("single", "together")
        )
        arguments = {"singles": singles, "together": together, "times": job.rounds}
        found = apart(both_ways, arguments, share, cancel)
        yield {"method": name, "size": size, "dates": job.dates, **found}


def both_ways(
    *, singles: Sequence[str], together: Sequence[str], times: int, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """Downscale dates both ways in this process.

    Args:
        singles: Jobs as JSON, one for each date.
        together: The same with other outputs.
        times: How often.
        on_event: Told about progress.
        cancel: Looked at after every tile.

    Raises:
        GroklstError: As ``downscale()``.
    """
    one_by_one, side_by_side = (
        [DownscaleJob.model_validate_json(document) for document in documents] for documents in (singles, together)
    )

    def each() -> None:
        for job in one_by_one:
            downscale(job, ignore, cancel)

    def all_at_once() -> None:
        for outcome in downscale_series(side_by_side, [ignore] * len(side_by_side), cancel):
            if isinstance(outcome, Exception):
                raise outcome

    costs: list[tuple[Cost, Cost]] = []
    for _ in rounds(times, on_event):
        costs.append((cost_of(each)[0], cost_of(all_at_once)[0]))
    dates = len(singles)
    return {
        "single": median(single.seconds for single, _ in costs) / dates,
        "together": median(joint.seconds for _, joint in costs) / dates,
        "faster": median(single.seconds / joint.seconds for single, joint in costs),
        "cpu_faster": median(single.cpu / joint.cpu for single, joint in costs),
        "difference": max(
            _difference(one.output, other.output) for one, other in zip(one_by_one, side_by_side, strict=True)
        ),
    }


def _difference(one: Path, other: Path) -> float:
    with rasterio.open(one) as first, rasterio.open(other) as second:
        return float(np.abs(first.read(1) - second.read(1)).max())
