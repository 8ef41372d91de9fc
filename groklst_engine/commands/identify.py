"""``groklst inspect``: what files are."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from groklst_engine.commands.options import add_quality, job_from
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.jobs import IdentifyJob
from groklst_engine.worker import run_job


def add_identify_command(commands: Any, add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``inspect`` to the commands."""
    parser = add_command(
        commands,
        "inspect",
        _identify,
        show_identify,
        "say what files are: product, kelvin range, quality, place, time, band roles",
        "groklst inspect MOD11A1.A2023182.h18v04.061.LST_Day_1km.tif LC08_L2SP_*_SR_B4.TIF",
    )
    parser.add_argument("rasters", nargs="+", metavar="FILE", help="Rasters, subdatasets or folders of products")
    add_quality(parser, "--qc", IdentifyJob)


def _identify(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(job_from(IdentifyJob, options), on_event, cancel)


def show_identify(result: Mapping[str, Any]) -> str:
    """What ``groklst inspect`` says: a block for each file."""
    return "\n\n".join(
        "\n".join([file["path"], *(f"  {label:<12} {text}" for label, text in file["facts"])])
        for file in result["files"]
    )
