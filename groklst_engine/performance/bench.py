"""``groklst bench``: measure speed and memory on this machine, and write tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from groklst_engine.errors import OutputError
from groklst_engine.events import CancelToken, OnEvent, log, progress
from groklst_engine.inference.device import choose_device
from groklst_engine.methods import get_method
from groklst_engine.models.zoo import MODELS, get_spec
from groklst_engine.performance import machine, memory, networks, pipeline, series, workers
from groklst_engine.performance.page import Table
from groklst_engine.performance.process import Row, in_turn
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.raster import check_output
from groklst_engine.whole_file import write_whole
from groklst_engine.worker import to_text

KINDS: dict[str, tuple[Table, Callable[[BenchJob, Path, OnEvent, CancelToken], Iterator[Row]]]] = {
    "networks": (networks.TABLE, networks.measure),
    "pipeline": (pipeline.TABLE, pipeline.measure),
    "memory": (memory.TABLE, memory.measure),
    "workers": (workers.TABLE, workers.measure),
    "series": (series.TABLE, series.measure),
}


def bench(job: BenchJob, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Measure what the job asks for; each table is written as soon as it is complete.

    Returns:
        ``tables``, the rows by kind; ``pages``, the tables in Markdown by kind; ``files``.

    Raises:
        GroklstError: Something cannot be measured as asked.
        OutputError: The tables cannot be written.
        Cancelled: ``cancel`` was raised; tables that are complete stay.
    """
    _check(job)
    result: dict[str, Any] = {"tables": {}, "pages": {}, "files": []}
    for what, share in in_turn(job.what, on_event):
        table, measure = KINDS[what]
        known = machine.document()
        rows: list[Row] = []
        with tempfile.TemporaryDirectory(dir=job.output, prefix=".scenes-") as folder:
            for row in measure(job, Path(folder), share, cancel):
                rows.append(row)
                log(on_event, table.line(row))
        page = table.page(rows, known["facts"], known["command"])
        text = to_text({**known, "job": job.model_dump(mode="json"), "rows": rows}, indent=1)
        try:
            for path, content in zip(_files(job, what), (text, page), strict=True):
                write_whole(path, content)
        except OSError as error:
            raise OutputError(f"Writing to '{job.output}' failed: check folder and disk space.") from error
        result["tables"][what] = rows
        result["pages"][what] = page
        result["files"] += map(str, _files(job, what))
    progress(on_event, 1.0, "Done")
    return result


def _check(job: BenchJob) -> None:
    """Refuse before any work what cannot be measured, and tables that are there already."""
    choose_device(job.device)
    if "networks" in job.what:
        for name in job.networks:
            networks.weights_file(name) or get_spec(name)
    if set(job.what) != {"networks"}:
        for method in job.methods:
            if method.lower() not in {name.lower() for name in MODELS}:
                get_method(method)
    if "workers" in job.what:
        workers.check()
    try:
        job.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder '{job.output}' cannot be made: choose another one.") from error
    for what in job.what:
        for path in _files(job, what):
            check_output(path, job.overwrite)


def _files(job: BenchJob, what: str) -> tuple[Path, Path]:
    return job.output / f"{what}.json", job.output / f"{what}.md"
