"""The jobs: what may be asked of the engine. The one place where a user's wishes are validated.

A job is a frozen pydantic model. Scripts build it directly, the command line from its options, the worker from a JSON
file: ``parse_job`` turns any violation into one ``InputError``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from groklst_engine.errors import InputError
from groklst_engine.inputs import (
    DEFAULT_METHOD,
    DEFAULT_NETWORK,
    Cluster,
    Device,
    FineData,
    Frozen,
    GuidanceSource,
    LstSource,
    Precision,
    QualityRule,
    RasterName,
    Scale,
    Split,
)
from groklst_engine.overview_jobs import ModelsJob, PreviewJob, StepTimeJob
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.physics_jobs import Physics, Strength
from groklst_engine.training_jobs import BenchmarkJob, PrepareJob, StatisticsJob, TrainJob
from groklst_engine.weights_jobs import AnyWeightsJob


class InspectJob(Frozen):
    """Look at the inputs, decide the grids, and say what would be done.

    Attributes:
        lst: The coarse LST.
        guidance: The finer rasters of the same place.
        scale: Coarse pixel divided by fine pixel.
        mask: Raster that is 1 where LST and guidance are clear; None takes all.
    """

    kind: Literal["inspect"] = "inspect"
    lst: LstSource
    guidance: tuple[GuidanceSource, ...] = ()
    scale: int = Field(ge=1, le=64)
    mask: RasterName | None = None

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


class IdentifyJob(Frozen):
    """Say what files are: product, kelvin range, quality, place, time and band roles.

    Attributes:
        rasters: Files, subdatasets, or folders of products.
        qc: ``recommended`` counts the pixels that quality layers keep; ``any`` ignores those layers.
    """

    kind: Literal["identify"] = "identify"
    rasters: tuple[RasterName, ...] = Field(min_length=1)
    qc: QualityRule = "recommended"


class Choosing(Frozen):
    """What ``auto`` may choose from, and for how long it may try.

    Attributes:
        candidates: What ``auto`` tries beside bicubic; of two that are alike the first is taken.
        budget: Seconds after which ``auto`` tries no further candidate.
    """

    candidates: tuple[str, ...] = (DEFAULT_NETWORK, "local-linear", "self-scale")
    budget: float = Field(300.0, gt=0)

    @field_validator("candidates")
    @classmethod
    def _not_itself(cls, candidates: tuple[str, ...]) -> tuple[str, ...]:
        if "auto" in candidates:
            raise ValueError("'auto' can't be one of its own candidates: leave it out")
        return candidates


class DownscaleJob(Choosing, Physics, InspectJob):
    """Coarse LST in, fine LST out.

    Attributes:
        method: auto, which tries some on the scene; or a method, a shipped or registered weights name, or the path of
            a weights file.
        detail: Share of the detail that the method adds to bicubic interpolation which is kept, 0 to 1; auto finds it.
        steps: Scales of the steps in which to downscale, such as 2,2; empty: in one.
        output: GeoTIFF to write.
        cog: Make it a cloud-optimised one, with overviews.
        uncertainty: Write the standard error of each pixel beside the output, to a file that ends in _uncertainty.tif.
        report: Folder for ``report.html`` and ``report.json``; None writes none.
        reference: A fine LST to score the result against.
        overwrite: Whether an existing output may be replaced.
        device: Where networks run.
        precision: Of networks; auto takes bfloat16 where it is fast and differs by less than 0.02 K.
        compile: Compile networks first, for long runs on a GPU; takes a minute or more, and needs a C++ compiler.
        tile: Output pixels per side of a tile; None chooses.
        memory: Gigabytes to stay below; None takes what is free.
        resume: Keep what is done when the run is interrupted, and continue what an interrupted one left.
        cluster: Share the work among processes or machines with Dask: local:N for N processes here, or the address of
            a scheduler, such as tcp://10.0.0.1:8786.
        seed: For methods that train on the scene.
    """

    kind: Literal["downscale"] = "downscale"  # type: ignore[assignment]
    scale: int = Field(ge=2, le=64)
    method: str = DEFAULT_METHOD
    detail: float = Field(1.0, ge=0, le=1)
    steps: tuple[Scale, ...] = ()
    output: Path
    cog: bool = False
    uncertainty: bool = False
    report: Path | None = None
    reference: LstSource | None = None
    overwrite: bool = False
    device: Device = "auto"
    precision: Precision = "auto"
    compile: bool = False
    tile: int | None = Field(None, ge=32)
    memory: float | None = Field(None, gt=0)
    resume: bool = False
    cluster: Cluster | None = None
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _in_steps(cls, fields: Any) -> Any:
        """A scale such as ``2,2`` is one of several steps."""
        if isinstance(fields, dict) and "," in str(fields.get("scale", "")):
            steps = str(fields["scale"]).split(",")
            if all(step.strip().isdigit() for step in steps):
                return {**fields, "scale": math.prod(map(int, steps)), "steps": steps}
        return fields

    @model_validator(mode="after")
    def _steps_make_the_scale(self) -> DownscaleJob:
        if self.steps and math.prod(self.steps) != self.scale:
            raise ValueError(f"the steps {self.steps} do not make the scale {self.scale}")
        if self.steps and self.uncertainty:
            raise ValueError("a standard error is there for a single step only: leave it out, or the steps")
        return self


class Archive(Frozen):
    """How many scenes are downscaled; one that fails stops no other.

    Outputs that are there already, made by the same job from the same inputs, are kept.

    Attributes:
        skip_existing: Keep outputs that are there already, whatever made them.
        summary: Folder for archive.html, archive.csv and archive.json, a table of all scenes; None writes none.
        cluster: Share the scenes among processes or machines with Dask, as of a single job.
    """

    skip_existing: bool = False
    summary: Path | None = None
    cluster: Cluster | None = None


class ArchiveJob(Archive):
    """Downscale many scenes.

    Attributes:
        scenes: A job for each.
    """

    kind: Literal["archive"] = "archive"
    scenes: tuple[DownscaleJob, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _an_output_each(self) -> ArchiveJob:
        first: dict[Path, DownscaleJob] = {}
        for scene in self.scenes:
            other = first.setdefault(scene.output, scene)
            if other is not scene:
                raise ValueError(
                    f"the scenes '{other.lst.path}' and '{scene.lst.path}' would both be written to '{scene.output}': "
                    "put {name} or {date} into the output"
                )
        return self


class ArchiveListJob(Archive):
    """Downscale the scenes of a list, or those of some LST files over one guidance.

    Attributes:
        file: The list: CSV, or a STAC item collection.
        lst_asset: The asset of a STAC item that is the LST.
        guidance_assets: The assets of a STAC item that are guidance.
        rasters: In place of a list, LST files; their names may have wildcards.
        scene: Fields of a downscale job for what the list does not say. Its LST needs no path; output and report are
            templates.
        guidance_qc: Quality rule of the list's guidance.
    """

    kind: Literal["archive-list"] = "archive-list"
    file: Path | None = None
    lst_asset: str | None = None
    guidance_assets: tuple[str, ...] = ()
    rasters: tuple[RasterName, ...] = ()
    scene: dict[str, Any]
    guidance_qc: QualityRule = "recommended"

    @model_validator(mode="after")
    def _one_of_both(self) -> ArchiveListJob:
        if bool(self.rasters) == (self.file is not None):
            raise ValueError("give a list of scenes or LST files, one of them")
        return self


class SimulateJob(InspectJob):
    """Aggregate the LST, downscale it back and compare it with what it was, method by method.

    Attributes:
        methods: Names of methods, or paths of weights files.
        device: Where networks run.
    """

    kind: Literal["simulate"] = "simulate"  # type: ignore[assignment]
    scale: int = Field(2, ge=2, le=64)
    methods: tuple[str, ...] = ("bicubic", "tsharp", DEFAULT_NETWORK)
    device: Device = "auto"


class EvaluateJob(Choosing, FineData):
    """Score methods on scenes by Wald's protocol, beside bicubic.

    Each scene is degraded by a scale, downscaled back and compared with itself.

    Attributes:
        scales: Scales to score.
        methods: Names of methods, or paths of weights files.
        uncertainty: Ask for the standard error, too, and say how many of the real errors it covers.
        consistency: Share of the difference to the coarse LST that is removed after aggregation, 0 to 1; None takes 1,
            or 0 in cross-sensor mode.
        cross_sensor: Register each scene's LST of another sensor to the guidance first.
        folds: Folder of networks that a cross-validation kept; the one that has not seen a scene's region stands in
            for the network of its name, among the methods and what ``auto`` tries.
        report: Folder for ``scores.json`` and ``scores.csv``; None writes none.
        device: Where networks run.
    """

    kind: Literal["evaluate"] = "evaluate"
    split: Split = "test"
    scales: tuple[Scale, ...] = Field((4,), min_length=1)
    methods: tuple[str, ...] = ("bicubic", DEFAULT_NETWORK)
    uncertainty: bool = False
    consistency: Strength | None = None
    cross_sensor: bool = False
    folds: Path | None = None
    report: Path | None = None
    device: Device = "auto"


class ProbeJob(Frozen):
    """Say what this engine is and can: versions, devices, methods, weights."""

    kind: Literal["probe"] = "probe"


Job = Annotated[
    InspectJob
    | IdentifyJob
    | DownscaleJob
    | ArchiveJob
    | ArchiveListJob
    | SimulateJob
    | EvaluateJob
    | PrepareJob
    | StatisticsJob
    | TrainJob
    | BenchmarkJob
    | BenchJob
    | ModelsJob
    | StepTimeJob
    | PreviewJob
    | AnyWeightsJob
    | ProbeJob,
    Field(discriminator="kind"),
]
_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def explain(error: ValidationError) -> str:
    """One sentence for the first violation in a pydantic error."""
    first = error.errors()[0]
    kinds = _JOB.json_schema()["discriminator"]["mapping"]  # they stand in an error's place, too
    where = ".".join(str(part) for part in first["loc"] if part not in kinds)
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
