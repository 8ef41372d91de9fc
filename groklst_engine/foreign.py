"""Weights that another program trained: a ``.pth`` file becomes a weights file, if every tensor finds its place.

The file is read as tensors and plain containers only; one with anything else in it, such as code, is refused.
"""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from groklst_engine import __version__
from groklst_engine.errors import InputError, ModelError, OutputError
from groklst_engine.events import OnEvent, ignore, warn
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.raster import check_output
from groklst_engine.weights import SUFFIX, ModelCard, save_weights
from groklst_engine.weights_jobs import ImportWeightsJob

_PLACES = ("state_dict", "params", "model")

State = Literal["matched", "matched by order", "missing", "unexpected", "other shape"]


@dataclass(frozen=True)
class Row:
    """What became of one tensor.

    Attributes:
        state: Whether the network's tensor and the file's belong together, and if not, why.
        name: In the network; None if it has none.
        shape: There.
        foreign: Name in the file; None if it has none.
        foreign_shape: There.
    """

    state: State
    name: str | None = None
    shape: tuple[int, ...] | None = None
    foreign: str | None = None
    foreign_shape: tuple[int, ...] | None = None

    def __str__(self) -> str:
        sides = ((self.name, self.shape), (self.foreign, self.foreign_shape))
        return f"{self.state}: " + ", in the file ".join(f"{name} {shape}" for name, shape in sides if name)


def import_weights(job: ImportWeightsJob, on_event: OnEvent = ignore) -> dict[str, Any]:
    """Read a foreign file and write a weights file of it.

    Raises:
        ModelError: The file cannot be trusted or read, or its tensors do not fit the network; the rows that do not are
            warnings before.
        InputError: The output is no weights file.
        OutputError: Output or report cannot be written.
    """
    if job.output.suffix != SUFFIX:
        raise InputError(f"The weights '{job.output}' must end in {SUFFIX}: rename the output.")
    for path in filter(None, (job.output, job.report)):
        check_output(path, job.overwrite)
    spec = get_spec(job.model)
    if own_option := {"scale", "guidance_bands", "preset", "reference_compat"} & job.arguments.keys():
        raise InputError(f"'{min(own_option)}' is no argument of a network: give it as an option of its own.")
    arguments = spec.arguments(job.preset, **job.arguments)
    network = create_model(
        job.model,
        scale=job.scale,
        guidance_bands=len(job.roles),
        reference_compat=job.reference_compat,
        **arguments,
    )
    foreign = read_foreign(job.file, job.prefix)
    own = network.state_dict()
    rows = match(own, foreign)
    if job.report is not None:
        _write_report(rows, job.report)
    wrong = [row for row in rows if not row.state.startswith("matched")]
    for row in wrong:
        warn(on_event, str(row))
    if wrong:
        raise ModelError(
            f"{len(wrong)} of {len(rows)} tensors of '{job.file}' and the network '{spec.name}' do not fit each other "
            "(listed above): give the arguments the network was trained with, such as scale, roles and sizes."
        )
    values = {row.name: foreign[row.foreign].to(own[row.name].dtype) for row in rows if row.name and row.foreign}
    if broken := [name for name, value in values.items() if not value.isfinite().all()]:
        raise ModelError(f"The tensor '{broken[0]}' of '{job.file}' holds NaN or infinity: get another file.")
    if by_order := sum(row.state == "matched by order" for row in rows):
        warn(on_event, f"{by_order} tensors bear other names and were matched by order: score the result before use.")
    network.load_state_dict(values)
    card = save_weights(
        job.output,
        network,
        ModelCard(
            name=job.output.stem,
            label=job.label or job.output.stem,
            description=job.description or f"Imported from {job.file.name}.",
            architecture=spec.name,
            arguments=arguments | ({"reference_compat": True} if job.reference_compat else {}),
            scales=(job.scale,),
            roles=job.roles,
            licence=job.licence,
            training={"imported_from": job.file.name},
            limitations="Imported: GrokLST z-scores each scene, which may differ from how this was trained.",
            engine_version=__version__,
        ),
    )
    return {"output": str(job.output), "rows": [asdict(row) for row in rows], "card": card.model_dump(mode="json")}


def read_foreign(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The tensors of a ``.pth`` file, in its order; of those that begin with a prefix, without it.

    Raises:
        ModelError: The file is missing, holds anything but tensors and plain containers, or no tensors.
    """
    try:
        with warnings.catch_warnings():  # about pickle's details
            warnings.simplefilter("ignore")
            document = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"The file '{path}' cannot be read: {error.strerror}.") from error
    except Exception as error:  # whatever a damaged or malicious file makes the unpickler raise
        raise ModelError(
            f"The file '{path}' is refused: it is damaged, or holds more than tensors and could run code when opened; "
            "get one that was saved with torch.save(network.state_dict(), …)."
        ) from error
    for place in _PLACES:
        if isinstance(document, Mapping) and isinstance(document.get(place), Mapping):
            document = document[place]
    entries = document if isinstance(document, Mapping) else {}
    tensors = {
        str(name).removeprefix(prefix): value.detach()
        for name, value in entries.items()
        if str(name).startswith(prefix) and isinstance(value, Tensor) and _is_plain(value)
    }
    if not tensors:
        beginning = f" whose names begin with '{prefix}'" if prefix else ""
        raise ModelError(
            f"The file '{path}' holds no tensors{beginning}, neither directly nor under {', '.join(_PLACES)}: give a "
            "network's weights."
        )
    return tensors


def match(own: Mapping[str, Tensor], foreign: Mapping[str, Tensor]) -> list[Row]:
    """Pair the tensors of a network with those of a file: by name, and the rest in order, where shapes agree.

    Returns:
        A row per tensor: the network's in its order, then those of the file that belong nowhere.
    """
    rows: dict[str, Row] = {}
    for name in own.keys() & foreign.keys():
        state: State = "matched" if _form(own[name]) == _form(foreign[name]) else "other shape"
        rows[name] = Row(state, name, tuple(own[name].shape), name, tuple(foreign[name].shape))
    ours = [name for name in own if name not in foreign]
    theirs = [name for name in foreign if name not in own]
    forms = difflib.SequenceMatcher(
        None, [_form(own[name]) for name in ours], [_form(foreign[name]) for name in theirs], autojunk=False
    )
    for start, foreign_start, size in forms.get_matching_blocks():
        for name, other in zip(ours[start : start + size], theirs[foreign_start : foreign_start + size], strict=True):
            rows[name] = Row("matched by order", name, tuple(own[name].shape), other, tuple(foreign[other].shape))
    placed = {row.foreign for row in rows.values()}
    return [rows.get(name) or Row("missing", name, tuple(tensor.shape)) for name, tensor in own.items()] + [
        Row("unexpected", foreign=name, foreign_shape=tuple(foreign[name].shape))
        for name in theirs
        if name not in placed
    ]


def _write_report(rows: list[Row], path: Path) -> None:
    try:
        path.write_text(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1), "utf-8")
    except OSError as error:
        raise OutputError(f"The report '{path}' cannot be written: check folder and disk space.") from error


def _form(tensor: Tensor) -> tuple[bool, tuple[int, ...]]:
    """What must agree: the shape, and whether it is of real numbers."""
    return tensor.is_floating_point(), tuple(tensor.shape)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
