"""``groklst bench``: how fast the engine is here, and how much memory it takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from groklst_engine.commands.options import add_fields, job_from
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.worker import run_job


def add_bench_command(commands: Any, add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``bench`` to the commands."""
    parser = add_command(
        commands,
        "bench",
        _bench,
        show_bench,
        "measure speed and memory on this machine, on generated scenes",
        "groklst bench --what networks --networks groklst-small,mocolsk,edsr -o speed",
    )
    add_fields(parser, BenchJob, *(name for name in BenchJob.model_fields if name != "kind"))


def _bench(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(job_from(BenchJob, options), on_event, cancel)


def show_bench(result: Mapping[str, Any]) -> str:
    """What ``groklst bench`` says: the tables, and where they are."""
    return "\n".join([*result["pages"].values(), *result["files"]])
