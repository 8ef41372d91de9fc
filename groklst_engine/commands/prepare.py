"""The sub-command ``groklst prepare``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from groklst_engine.commands.console import show_statistics, table
from groklst_engine.commands.manifest import read_scenes
from groklst_engine.commands.options import add_fields, add_inputs, add_manifest, fields_from, job_from, words
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.inputs import SceneSource
from groklst_engine.training_jobs import PrepareJob
from groklst_engine.worker import run_job


def add_prepare_command(commands: Any, add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the sub-command to the command line's."""
    prepare = add_command(
        commands,
        "prepare",
        _prepare,
        _show,
        "cut rasters into a data set for training, split by the ground",
        "groklst prepare --scenes scenes.json --crop 64 --scales 4 -o dataset",
    )
    add_inputs(prepare, add_manifest(prepare, dataset=False))
    add_fields(prepare, SceneSource, "mask", "native")
    prepare.add_argument("--regions", type=words, metavar="A,B,…", default=(), help="Take only these of the manifest")
    add_fields(prepare, PrepareJob, *(name for name in PrepareJob.model_fields if name not in ("kind", "scenes")))


def _prepare(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.scenes:
        options.scenes = read_scenes(options.scenes, options.data_root, options.regions)
    else:
        options.name = Path(options.lst["path"]).stem
        options.scenes = [fields_from(SceneSource, options)]
    return run_job(job_from(PrepareJob, options), on_event, cancel)


def _show(result: Mapping[str, Any]) -> str:
    """Chips per region and split, what was left out, statistics."""
    chips = result["chips"]
    rows = [*(tuple(row.values()) for row in result["regions"]), ("all", *chips.values())]
    return "\n".join(
        [
            f"{result['output']}: {sum(chips.values())} chips of {result['crop']} × {result['crop']} pixels as "
            f"{result['format']}, {result['kept']} of them kept from before",
            "",
            table(("region", *chips), rows),
            "",
            f"Left out: {result['across']} across blocks of different splits (blocks of {result['block']} pixels), "
            f"{result['invalid']} with too few valid pixels.",
            "",
            "Statistics of the training split:",
            show_statistics({"bands": result["statistics"]}),
        ]
    )
