"""The jobs around weights files: list, show, add, rename, export, delete and import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from groklst_engine.bands import Role


class WeightsJob(BaseModel):
    """What all of them are."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ListWeightsJob(WeightsJob):
    """List shipped weights and the user's."""

    kind: Literal["weights-list"] = "weights-list"


class ShowWeightsJob(WeightsJob):
    """Show the card of some weights.

    Attributes:
        name: As in the list, or a weights file.
    """

    kind: Literal["weights-show"] = "weights-show"
    name: str


class AddWeightsJob(WeightsJob):
    """Copy a weights file into the user's registry.

    Attributes:
        file: Weights file.
        name: Its name as a method; None takes the file's.
        overwrite: Whether weights of that name may be replaced.
    """

    kind: Literal["weights-add"] = "weights-add"
    file: Path
    name: str | None = None
    overwrite: bool = False


class RenameWeightsJob(WeightsJob):
    """Give the user's weights another name.

    Attributes:
        name: As in the list.
        new_name: The other name.
        overwrite: Whether weights of that name may be replaced.
    """

    kind: Literal["weights-rename"] = "weights-rename"
    name: str
    new_name: str
    overwrite: bool = False


class ExportWeightsJob(WeightsJob):
    """Write weights to a file elsewhere, as they are or as ONNX.

    Attributes:
        name: As in the list.
        file: Ends in .safetensors or .onnx.
        scale: Which an ONNX file is for.
        overwrite: Whether an existing file may be replaced.
    """

    kind: Literal["weights-export"] = "weights-export"
    name: str
    file: Path
    scale: int | None = Field(None, ge=2, le=64)
    overwrite: bool = False


class DeleteWeightsJob(WeightsJob):
    """Remove the user's weights.

    Attributes:
        name: As in the list.
    """

    kind: Literal["weights-delete"] = "weights-delete"
    name: str


class ImportWeightsJob(WeightsJob):
    """Make a weights file of a ``.pth`` file that another program wrote.

    Attributes:
        file: The foreign file.
        model: Architecture, a name of ``groklst models``.
        preset: A named size of the architecture.
        arguments: Further arguments of the architecture.
        reference_compat: Build the architecture as it was published, where GrokLST's form differs.
        scale: Coarse pixel divided by fine pixel.
        roles: Guidance bands the network was trained with, by role and in order.
        prefix: What the names of the network's tensors begin with in the file, such as generator.
        label: Name for people.
        description: A sentence for the card.
        licence: Of the weights.
        report: JSON file for the fate of each tensor; None writes none.
        output: Weights file to write.
        overwrite: Whether existing files may be replaced.
    """

    kind: Literal["weights-import"] = "weights-import"
    file: Path
    model: str
    preset: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    reference_compat: bool = False
    scale: int = Field(ge=2, le=64)
    roles: tuple[Role, ...] = ()
    prefix: str = ""
    label: str = ""
    description: str = ""
    licence: str = "not stated"
    report: Path | None = None
    output: Path
    overwrite: bool = False


AnyWeightsJob = (
    ListWeightsJob
    | ShowWeightsJob
    | AddWeightsJob
    | RenameWeightsJob
    | ExportWeightsJob
    | DeleteWeightsJob
    | ImportWeightsJob
)
