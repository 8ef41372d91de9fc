"""The user's own weights: a folder of weights files, each a method under its name.

Shipped weights and the other methods keep their names: what the user adds must be called otherwise.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groklst_engine.card import card_text
from groklst_engine.errors import GroklstError, InputError, ModelError, OutputError
from groklst_engine.events import OnEvent
from groklst_engine.foreign import import_weights
from groklst_engine.methods import METHODS
from groklst_engine.models.spec import closest
from groklst_engine.onnx_export import export_onnx
from groklst_engine.raster import check_output
from groklst_engine.weights import (
    SUFFIX,
    ModelCard,
    load_weights,
    read_card,
    shipped_weights,
    tensor_names,
    user_folder,
    user_weights,
)
from groklst_engine.weights_jobs import (
    AddWeightsJob,
    DeleteWeightsJob,
    ExportWeightsJob,
    ImportWeightsJob,
    RenameWeightsJob,
    ShowWeightsJob,
    WeightsJob,
)
from groklst_engine.whole_file import whole_file

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def run_weights_job(job: WeightsJob, on_event: OnEvent) -> dict[str, Any]:
    """Run any job around weights and return its result as a JSON object.

    Raises:
        GroklstError: It cannot be done as asked.
    """
    match job:
        case ShowWeightsJob():
            return show_weights(job.name)
        case AddWeightsJob():
            return add_weights(job)
        case RenameWeightsJob():
            return rename_weights(job)
        case ExportWeightsJob():
            return export_weights(job)
        case DeleteWeightsJob():
            return delete_weights(job)
        case ImportWeightsJob():
            return import_weights(job, on_event)
        case _:
            return list_weights()


def list_weights() -> dict[str, Any]:
    """All weights, shipped ones first, and the folder of the user's; ``problem`` says why one cannot be used."""
    return {
        "folder": str(user_folder()),
        "weights": [
            _entry(name, path, shipped)
            for shipped, files in ((True, shipped_weights()), (False, user_weights()))
            for name, path in files.items()
        ],
    }


def show_weights(name: str) -> dict[str, Any]:
    """The card of some weights, as data and as Markdown, and their parts, as a training can freeze them.

    Args:
        name: In the list, or a weights file.

    Raises:
        ModelError: There are no such weights, or their file is damaged.
    """
    path = named_or_file(name)
    card = read_card(path)
    return {
        "name": name,
        "path": str(path),
        "card": card.model_dump(mode="json"),
        "parts": list(dict.fromkeys("".join(tensor.partition(".")[:2]) for tensor in tensor_names(path))),
        "text": card_text(card),
    }


def add_weights(job: AddWeightsJob) -> dict[str, Any]:
    """Copy a weights file into the registry.

    Raises:
        ModelError: The file is damaged, changed, or does not fit its network.
        InputError: The name cannot be used.
        OutputError: The name is taken, or the folder cannot be written to.
    """
    card = _verified(job.file)
    name = job.name or job.file.stem.lower()
    target = _target(name, job.overwrite)
    _copy(job.file, target)
    return {"name": name, "path": str(target), "card": card.model_dump(mode="json")}


def rename_weights(job: RenameWeightsJob) -> dict[str, Any]:
    """Give the user's weights another name.

    Raises:
        ModelError: They are shipped, or do not exist.
        InputError: The new name cannot be used.
        OutputError: The new name is taken, or the folder cannot be written to.
    """
    path = _own(job.name)
    target = _target(job.new_name, job.overwrite)
    try:
        path.replace(target)
    except OSError as error:
        raise OutputError(f"The weights '{path}' cannot be renamed: check the folder's permissions.") from error
    return {"name": job.new_name, "path": str(target)}


def export_weights(job: ExportWeightsJob) -> dict[str, Any]:
    """Write weights to a file elsewhere: as they are, or as an ONNX network for one scale.

    Raises:
        ModelError: There are no such weights, they are damaged, or the network cannot be written as ONNX.
        InputError: The file's ending is neither of both, or a scale is missing or superfluous.
        OutputError: The file cannot be written.
    """
    path = find(job.name)
    if job.file.suffix not in (SUFFIX, ".onnx"):
        raise InputError(f"The file '{job.file}' must end in {SUFFIX} or .onnx: rename it.")
    check_output(job.file, job.overwrite)
    if job.file.suffix == SUFFIX:
        if job.scale is not None:
            raise InputError("Only an ONNX file is made for one scale: leave the scale out.")
        _verified(path)
        _copy(path, job.file)
        return {"output": str(job.file)}
    if job.scale is None:
        raise InputError("An ONNX file is made for one scale: give it with --scale.")
    difference = export_onnx(path, job.scale, job.file)
    return {"output": str(job.file), "scale": job.scale, "largest_difference": difference}


def delete_weights(job: DeleteWeightsJob) -> dict[str, Any]:
    """Remove the user's weights from the registry.

    Raises:
        ModelError: They are shipped, or do not exist.
        OutputError: The file cannot be removed.
    """
    path = _own(job.name)
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"The weights '{path}' cannot be deleted: check the folder's permissions.") from error
    return {"deleted": str(path)}


def _entry(name: str, path: Path, shipped: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "path": str(path), "shipped": shipped, "problem": None}
    try:
        card = read_card(path)
    except GroklstError as error:
        return entry | {"problem": str(error)}
    return entry | card.model_dump(mode="json", include={"label", "architecture", "scales", "roles", "sha256"})


def find(name: str) -> Path:
    """The file of shipped or the user's weights.

    Raises:
        ModelError: There are none of that name; the message suggests the nearest.
    """
    known: Mapping[str, Path] = user_weights() | shipped_weights()
    if name.lower() in known:
        return known[name.lower()]
    near = closest(name, known)
    raise ModelError(
        f"There are no weights named '{name}': " + (f"did you mean '{near}'?" if near else "choose one of the list.")
    )


def named_or_file(name: str) -> Path:
    """A weights file as it is, or that of shipped or the user's weights.

    Raises:
        ModelError: There are none of that name; the message suggests the nearest.
    """
    return Path(name) if name.endswith(SUFFIX) else find(name)


def _own(name: str) -> Path:
    path = find(name)
    if name.lower() in shipped_weights():
        raise ModelError(f"The weights '{name}' are shipped with GrokLST and stay as they are: choose your own.")
    return path


def _target(name: str, overwrite: bool) -> Path:
    """Where weights of a new name go, once it is certain that they may."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot be the name of weights: give lower-case letters, digits, '.', '_' and '-', with --name."
        )
    if name in shipped_weights() or name in METHODS:
        raise InputError(f"'{name}' is the name of a method of GrokLST itself: give another name.")
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder '{folder}' for weights cannot be made: set GROKLST_WEIGHTS to another."
        ) from error
    target = user_weights().get(name, folder / f"{name}{SUFFIX}")
    check_output(target, overwrite)
    return target


def _verified(path: Path) -> ModelCard:
    """The card of a file that is whole and fits its network."""
    _, card = load_weights(path, read_card(path).scales[0])
    return card


def _copy(source: Path, target: Path) -> None:
    """Copy; the target appears only when it is complete."""
    try:
        with whole_file(target) as part:
            shutil.copyfile(source, part)
    except OSError as error:
        raise OutputError(f"The weights '{target}' cannot be written: check folder and disk space.") from error
