"""The jobs: what may be asked of the engine. The one place where a user's wishes are validated.

A job is a frozen pydantic model. Scripts build it directly, the command line from its options, the worker from a JSON
file: ``parse_job`` turns any violation into one ``InputError``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.weights_jobs import AnyWeightsJob

# A string, not a Path: GDAL also opens names such as HDF4_EOS:EOS_GRID:"file":… and /vsicurl/https://…
RasterName = Annotated[str, BeforeValidator(str)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Scale = Annotated[int, Field(ge=2, le=64)]
Split = Literal["train", "val", "trainval", "test"]
DEFAULT_METHOD = "groklst-small"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LstSource(_Frozen):
    """An LST raster.

    Attributes:
        path: File, or any other name that GDAL can open.
        band: Band number, from 1.
        unit: ``K``, ``C`` or ``auto`` (band metadata, then value range).
        scale: Factor from stored number to ``unit``; None takes the file's.
        offset: Summand from stored number to ``unit``; None takes the file's.
    """

    path: RasterName
    band: int = Field(1, ge=1)
    unit: Literal["auto", "K", "C"] = "auto"
    scale: float | None = None
    offset: float | None = None


class GuidanceSource(_Frozen):
    """A guidance raster with one or several bands.

    Attributes:
        path: File, or any other name that GDAL can open.
        roles: One role per band, None to leave a band out; empty: guessed from band descriptions and file name.
    """

    path: RasterName
    roles: tuple[Role | None, ...] = ()


class InspectJob(_Frozen):
    """Look at the inputs, decide the grids, and say what would be done.

    Attributes:
        lst: The coarse LST.
        guidance: The finer rasters of the same place.
        scale: Coarse pixel divided by fine pixel.
    """

    kind: Literal["inspect"] = "inspect"
    lst: LstSource
    guidance: tuple[GuidanceSource, ...] = ()
    scale: int = Field(ge=1, le=64)

    @field_validator("scale", mode="before")
    @classmethod
    def _whole_number(cls, value: Any) -> Any:
        try:
            whole = int(str(value).removesuffix(".0"))
        except ValueError:
            raise ValueError(
                "must be a whole number such as 2, 4 or 8, the coarse pixel divided by the fine pixel"
            ) from None
        return whole


class DownscaleJob(InspectJob):
    """Coarse LST in, fine LST out.

    Attributes:
        method: A method, a shipped or registered weights name, or the path of a weights file.
        output: GeoTIFF to write.
        report: Folder for ``report.html`` and ``report.json``; None writes none.
        reference: A fine LST to score the result against.
        consistency: Make the block means of the output equal the coarse input.
        overwrite: Whether an existing output may be replaced.
        device: Where networks run.
        tile: Output pixels per side of a tile; None chooses.
        seed: For methods that train on the scene.
    """

    kind: Literal["downscale"] = "downscale"  # type: ignore[assignment]
    scale: int = Field(ge=2, le=64)
    method: str = DEFAULT_METHOD
    output: Path
    report: Path | None = None
    reference: LstSource | None = None
    consistency: bool = True
    overwrite: bool = False
    device: Device = "auto"
    tile: int | None = Field(None, ge=32)
    seed: int = 0


class SceneSource(_Frozen):
    """A fine LST with guidance, from which training and evaluation make their coarse inputs (Wald's protocol).

    Attributes:
        name: For tables and logs.
        lst: The fine LST.
        guidance: Guidance of the same place.
        mask: Raster that is 1 where the scene is clear; None takes all.
        native: Factor between the thermal sensor's own pixel and the delivered one; the scene is block-averaged by
            it first, because there is no detail below.
        region: Scenes of one region are held out together; None takes the name.
    """

    name: str
    lst: LstSource
    guidance: tuple[GuidanceSource, ...] = ()
    mask: RasterName | None = None
    native: int = Field(1, ge=1)
    region: str | None = None


class _FineData(_Frozen):
    """Fine scenes, one by one or as a data set.

    Attributes:
        scenes: Fine scenes.
        dataset: Folder in the layout of the GrokLST data set, in place of scenes.
        split: Part of the dataset to take.
    """

    scenes: tuple[SceneSource, ...] = ()
    dataset: Path | None = None
    split: Split = "trainval"

    @model_validator(mode="after")
    def _one_of_both(self) -> _FineData:
        if bool(self.scenes) == (self.dataset is not None):
            raise ValueError("give scenes or a dataset, one of them")
        return self


class StatisticsJob(_FineData):
    """Find mean, standard deviation and range of each band."""

    kind: Literal["statistics"] = "statistics"


class EvaluateJob(_FineData):
    """Score methods on scenes by Wald's protocol, beside bicubic.

    Each scene is degraded by a scale, downscaled back and compared with itself.

    Attributes:
        scales: Scales to score.
        methods: Names of methods, or paths of weights files.
        report: Folder for ``scores.json`` and ``scores.csv``; None writes none.
        device: Where networks run.
    """

    kind: Literal["evaluate"] = "evaluate"
    split: Split = "test"
    scales: tuple[Scale, ...] = Field((4,), min_length=1)
    methods: tuple[str, ...] = ("bicubic", DEFAULT_METHOD)
    report: Path | None = None
    device: Device = "auto"


class TrainJob(_FineData):
    """Train a network on scenes by Wald's protocol and write a weights file.

    Attributes:
        model: Architecture, a name of ``groklst models``.
        preset: A named size of the architecture.
        arguments: Further arguments of the architecture.
        roles: Guidance bands the network takes, by role and in order.
        scales: Scales to train for; most networks take one only.
        loss: What the optimiser makes small: l1, smooth-l1, charbonnier, ms-ssim, degradation, gradient, or adaptive
            (degradation, charbonnier and ms-ssim with learned weights).
        iterations: Optimiser steps.
        batch: Samples per step.
        crop: Side of a training crop, in fine pixels.
        optimizer: What makes the loss small; sgd has a momentum of 0.9.
        learning_rate: The optimiser's, at its highest.
        schedule: How the learning rate changes: rises and falls once, falls four times along a cosine as published
            with GrokLST, or stays.
        weight_decay: The optimiser's.
        band_dropping: Probability that a band is hidden from a sample, so that any subset of roles serves later.
        augment: Flips, quarter turns, gains and noise.
        seed: Random seed.
        device: Where to train.
        cross_validate: Regions; for each a network is trained without it, scored on it, and its scores kept in the
            card. The network that is written is then trained on all scenes.
        score_scales: Scales of that cross-validation; empty: those trained for.
        label: Name for people, in the card and in listings; the file's name is the name for `--method`.
        description: A sentence for the card.
        limitations: When not to trust it, for the card.
        credits: Whose data the scenes are, for the card.
        output: Weights file to write; a log of the steps is kept beside it, ending in .training.csv.
        overwrite: Whether an existing file may be replaced.
        resume: Go on where a training with the same options was interrupted.
        checkpoint_every: Steps between two savings of what a resumed training needs; cancelling saves it, too.
    """

    kind: Literal["train"] = "train"
    model: str = "guided-residual"
    preset: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    roles: tuple[Role, ...] = ()
    scales: tuple[Scale, ...] = Field((2, 4, 8), min_length=1)
    loss: str = "smooth-l1"
    iterations: int = Field(2000, ge=1)
    batch: int = Field(16, ge=1)
    crop: int = Field(64, ge=16)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0)
    schedule: Literal["one-cycle", "cosine-restarts", "constant"] = "one-cycle"
    weight_decay: float = Field(1e-4, ge=0)
    band_dropping: float = Field(0.25, ge=0, le=1)
    augment: bool = True
    seed: int = 0
    device: Device = "auto"
    cross_validate: tuple[str, ...] = ()
    score_scales: tuple[Scale, ...] = ()
    label: str = ""
    description: str = ""
    limitations: str = ""
    credits: str = ""
    output: Path
    overwrite: bool = False
    resume: bool = False
    checkpoint_every: int = Field(500, ge=1)


class ProbeJob(_Frozen):
    """Say what this engine is and can: versions, devices, methods, weights."""

    kind: Literal["probe"] = "probe"


Job = Annotated[
    InspectJob | DownscaleJob | EvaluateJob | TrainJob | StatisticsJob | AnyWeightsJob | ProbeJob,
    Field(discriminator="kind"),
]
_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def explain(error: ValidationError) -> str:
    """One sentence for the first violation in a pydantic error."""
    first = error.errors()[0]
    kinds = ("downscale", "inspect", "evaluate", "train", "statistics")
    where = ".".join(str(part) for part in first["loc"] if part not in kinds and not str(part).startswith("weights-"))
    what = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], (dict, list)) else f" (given: {first['input']!r})"
    if not where:  # options that do not go together
        return f"{what[:1].upper()}{what[1:]}."
    return f"Option '{where}': {what[:1].lower()}{what[1:]}{given}."


def parse_job(document: dict[str, Any]) -> Job:
    """Validate a job document, e.g. a job file's JSON.

    Raises:
        InputError: The document is no valid job; names the first offending option.
    """
    try:
        return _JOB.validate_python(document)
    except ValidationError as error:
        raise InputError(explain(error)) from error
