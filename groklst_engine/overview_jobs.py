"""The jobs that help to choose before a training: networks, their speed here, a look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from groklst_engine.inputs import Device, FineData, Frozen, Scale


class ModelsJob(Frozen):
    """List the networks that can be trained, with sizes, papers and presets."""

    kind: Literal["models"] = "models"


class StepTimeJob(Frozen):
    """Measure how long a network's training step takes on this machine.

    Attributes:
        model: Architecture, a name of ``groklst models``.
        preset: A named size of the architecture.
        arguments: Further arguments of the architecture.
        scale: Coarse pixel divided by fine pixel.
        guidance_bands: Number of guidance bands.
        batch: Samples per step.
        crop: Side of a training crop, in fine pixels.
        device: Where to train.
    """

    kind: Literal["step-time"] = "step-time"
    model: str
    preset: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    scale: Scale = 4
    guidance_bands: int = Field(0, ge=0, le=256)
    batch: int = Field(16, ge=1)
    crop: int = Field(64, ge=16)
    device: Device = "auto"


class PreviewJob(FineData):
    """Look at fine scenes, or at some samples of a data set: sizes, bands, valid shares, small pictures.

    Attributes:
        count: Samples of a data set to look at, spread over the split.
        output: Folder for the pictures; it is made if it is not there.
    """

    kind: Literal["preview"] = "preview"
    count: int = Field(8, ge=1, le=100)
    output: Path
