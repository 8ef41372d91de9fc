"""``groklst bench``: measure speed and memory on this machine, and write tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from groklst_engine.errors import Cancelled, OutputError
from groklst_engine.events import CancelToken, OnEvent, log, progress
from groklst_engine.inference.device import choose_device
from groklst_engine.methods import get_method
from groklst_engine.models.zoo import MODELS, get_spec
from groklst_engine.performance import machine, memory, networks, pipeline, series, training, workers
from groklst_engine.performance.page import Table
from groklst_engine.performance.process import Row, in_turn
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.raster import check_output
from groklst_engine.whole_file import write_whole
from groklst_engine.worker import to_text

KINDS: dict[str, tuple[Table, Callable[[BenchJob, Path, OnEvent, CancelToken], Iterator[Row]]]] = {
    "networks": (networks.TABLE, networks.measure),
    "training": (training.TABLE, training.measure),
    "pipeline": (pipeline.TABLE, pipeline.measure),
    "memory": (memory.TABLE, memory.measure),
    "workers": (workers.TABLE, workers.measure),
    "series": (series.TABLE, series.measure),
}

OF_NETWORKS = {"networks", "training"}
"""What is measured of networks; all else is whole runs of methods."""


def bench(job: BenchJob, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Measure what the job asks for; the tables are written row by row.

    Returns:
        ``tables``, the rows by kind; ``pages``, the tables in Markdown by kind; ``files``.

    Raises:
        GroklstError: Something cannot be measured as asked.
        OutputError: The tables cannot be written.
        Cancelled: ``cancel`` was raised; what was measured until then stays.
    """
    _check(job)
    tables: dict[str, list[Row]] = {}
    pages: dict[str, str] = {}
    try:
        for what, share in in_turn(job.what, on_event):
            table, measure = KINDS[what]
            known = machine.document()
            rows = tables[what] = []
            with tempfile.TemporaryDirectory(dir=job.output, prefix=".scenes-") as folder:
                for row in measure(job, Path(folder), share, cancel):
                    rows.append(row)
                    log(on_event, table.line(row))
                    pages[what] = table.page(rows, known["facts"], known["command"])
                    _write(job, what, {**known, "job": job.model_dump(mode="json"), "rows": rows}, pages[what])
    except Cancelled as error:
        if pages:
            raise Cancelled(f"Cancelled; what was measured until then is in '{job.output}'.") from error
        raise
    progress(on_event, 1.0, "Done")
    files = [str(path) for what in pages for path in _files(job, what)]
    return {"tables": tables, "pages": pages, "files": files}


def _write(job: BenchJob, what: str, document: dict[str, Any], page: str) -> None:
    try:
        for path, text in zip(_files(job, what), (to_text(document, indent=1), page), strict=True):
            write_whole(path, text)
    except OSError as error:
        raise OutputError(f"Writing to '{job.output}' failed: check folder and disk space.") from error


def _check(job: BenchJob) -> None:
    """Refuse before any work what cannot be measured, and tables that are there already."""
    choose_device(job.device)
    if OF_NETWORKS & set(job.what):
        for name in job.networks:
            networks.weights_file(name) or get_spec(name)
    if set(job.what) - OF_NETWORKS:
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
