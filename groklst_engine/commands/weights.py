"""``groklst weights``: the commands around weights files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from groklst_engine.commands.console import table
from groklst_engine.commands.options import add_fields, add_settings, job_from
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.weights_jobs import (
    AddWeightsJob,
    DeleteWeightsJob,
    ExportWeightsJob,
    ImportWeightsJob,
    ListWeightsJob,
    RenameWeightsJob,
    ShowWeightsJob,
    WeightsJob,
)
from groklst_engine.worker import run_job

# Sub-parsers, name, command, show, text and example in, the new parser out.
AddCommand = Callable[..., argparse.ArgumentParser]


def add_weights_commands(commands: Any, add: AddCommand) -> None:
    """Add ``weights`` and its own commands to the command line."""
    text = "list, show, add, rename, export, delete and import trained networks"
    weights = commands.add_parser(
        "weights",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="example:\n  groklst weights add mine.safetensors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = weights.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def action(
        name: str, job: type[WeightsJob], show: Callable[[dict[str, Any]], str], text: str, example: str
    ) -> argparse.ArgumentParser:
        return add(actions, name, _runner(job), show, text, f"groklst weights {example}")

    action("list", ListWeightsJob, _show_list, "list the shipped weights and yours", "list")

    shown = action("show", ShowWeightsJob, lambda result: str(result["text"]), "show a model card", "show mine")
    shown.add_argument("name", metavar="NAME", help="As in the list, or a weights file")

    added = action(
        "add",
        AddWeightsJob,
        lambda result: f"{result['path']}\nUse it with --method {result['name']}",
        "keep a weights file under a name for --method",
        "add mine.safetensors --name alberta",
    )
    added.add_argument("file", metavar="FILE", help="Weights file, as made by groklst train")
    add_fields(added, AddWeightsJob, "name", "overwrite")

    renamed = action(
        "rename", RenameWeightsJob, lambda result: str(result["path"]), "rename your weights", "rename alberta prairie"
    )
    renamed.add_argument("name", metavar="OLD", help="As in the list")
    renamed.add_argument("new_name", metavar="NEW", help="The other name")
    add_fields(renamed, RenameWeightsJob, "overwrite")

    exported = action(
        "export",
        ExportWeightsJob,
        _show_export,
        "write weights to a file, as they are or as ONNX",
        "export groklst-small small.onnx --scale 4",
    )
    exported.add_argument("name", metavar="NAME", help="As in the list")
    exported.add_argument("file", metavar="FILE", help="Ends in .safetensors or .onnx")
    add_fields(exported, ExportWeightsJob, "scale", "overwrite")

    deleted = action(
        "delete",
        DeleteWeightsJob,
        lambda result: f"Deleted {result['deleted']}",
        "delete your weights",
        "delete alberta",
    )
    deleted.add_argument("name", metavar="NAME", help="As in the list")

    imported = action(
        "import",
        ImportWeightsJob,
        _show_import,
        "make a weights file of a .pth file that another program wrote",
        "import edsr.pth --model edsr --scale 4 --set n_resblocks=16 -o edsr.safetensors",
    )
    imported.add_argument("file", metavar="FILE.pth", help="The foreign file")
    add_settings(imported)
    taken = ("kind", "file", "arguments")
    add_fields(imported, ImportWeightsJob, *(name for name in ImportWeightsJob.model_fields if name not in taken))


def _runner(job: type[WeightsJob]) -> Callable[[argparse.Namespace, OnEvent, CancelToken], dict[str, Any]]:
    def run(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
        if job is ImportWeightsJob:
            options.arguments = dict(options.arguments)
        return run_job(job_from(job, options), on_event, cancel)

    return run


def _show_list(result: Mapping[str, Any]) -> str:
    heads = ("weights", "whose", "network", "scales", "guidance")
    rows = [
        (
            entry["name"],
            "shipped" if entry["shipped"] else "yours",
            entry["architecture"],
            ",".join(map(str, entry["scales"])),
            ",".join(entry["roles"]),
        )
        for entry in result["weights"]
        if not entry["problem"]
    ]
    problems = [f"warning: {entry['problem']}" for entry in result["weights"] if entry["problem"]]
    return "\n".join([table(heads, rows), "", *problems, f"Yours are in {result['folder']}"])


def _show_export(result: Mapping[str, Any]) -> str:
    if "scale" not in result:
        return str(result["output"])
    return (
        f"{result['output']}, for scale {result['scale']}; differs from torch by {result['largest_difference']:.1e} "
        "standard deviations at most"
    )


def _show_import(result: Mapping[str, Any]) -> str:
    heads = ("tensor", "shape", "in the file", "state")
    rows = [(row["name"], " × ".join(map(str, row["shape"])), row["foreign"], row["state"]) for row in result["rows"]]
    return f"{table(heads, rows)}\n\n{result['output']}"
