"""The main job: coarse LST in, fine LST out, tile by tile."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groklst_engine.consistency import RADIUS, back_project
from groklst_engine.device import choose_device
from groklst_engine.errors import ModelError, OutputError
from groklst_engine.events import CancelToken, Event, OnEvent, ignore, log, part, progress, warn
from groklst_engine.gaps import REACH
from groklst_engine.inspection import warnings_of
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.methods.base import BuildOptions, MethodSpec
from groklst_engine.probe import versions
from groklst_engine.raster import RasterWriter, check_output
from groklst_engine.reader import AlignedReader
from groklst_engine.report import require_packages
from groklst_engine.scene import SceneReader, keep_window
from groklst_engine.scoring import Comparison, compare_with_input, compare_with_reference
from groklst_engine.summary import report_of
from groklst_engine.tiles import Mosaic, TilePlan
from groklst_engine.units import Unit, offset_to_kelvin

TILE = 512
"""Fine pixels per side of a tile's core."""

MIN_CORE = 96
"""Coarse pixels per side of a core below which too much of a tile would be halo."""

GLOBAL_HALO = 8
GLOBAL_RAMP = 8
"""Coarse pixels of context and of blending for methods with global statistics."""


@dataclass(frozen=True)
class DownscaleResult:
    """What a run gave.

    Attributes:
        output: The fine LST.
        report_html: The report, if one was asked for.
        report_json: The same for programs.
        method: Name of the method.
        scale: Coarse pixel divided by fine pixel.
        unit: Of the output, the input's.
        width: Of the output, in pixels.
        height: Of the output, in pixels.
        range: 2nd and 98th percentile of the output, in its unit.
        scores: Comparisons with the coarse input and, if given, the reference.
        warnings: What to know before trusting the result.
        seconds: Wall time.
    """

    output: Path
    report_html: Path | None
    report_json: Path | None
    method: str
    scale: int
    unit: Unit
    width: int
    height: int
    range: tuple[float, float]
    scores: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, paths as strings."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


def downscale(job: DownscaleJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> DownscaleResult:
    """Downscale an LST raster.

    Args:
        job: Inputs, method, output.
        on_event: Told about progress and warnings.
        cancel: Looked at after every tile and training step.

    Raises:
        InputError: An input cannot be used.
        OutputError: The output cannot be written.
        ModelError: The method or its weights cannot be used.
        GroklstError: A report is wanted and matplotlib or jinja2 is missing.
        Cancelled: ``cancel`` was raised; nothing was written.
    """
    started = time.monotonic()
    cancel = cancel or CancelToken()
    warnings: list[str] = []

    def listen(event: Event) -> None:
        if event.level == "warning":
            warnings.append(event.message)
        on_event(event)

    spec = get_method(job.method)
    _check(job, spec)
    with AlignedReader(job.lst, job.guidance if spec.guided else (), job.scale, job.mask) as reader:
        for sentence in warnings_of(reader):
            warn(listen, sentence)
        if job.guidance and not spec.guided:
            log(listen, f"{spec.label} does not use the guidance.")
        with _writer(job, spec, reader) as writer:
            _compute(job, spec, reader, writer, listen, cancel)
            writer.finish()
            comparisons = _compare(job, spec, writer.part, part(listen, 0.9, 0.97), cancel)
            seconds = time.monotonic() - started
            html, json = None, None
            if job.report is not None:
                progress(listen, 0.97, "Writing the report")
                html, json = report_of(job, spec, reader, comparisons, tuple(warnings), seconds)
        unit, fine = reader.lst.unit, reader.pair.fine
    progress(listen, 1.0, "Done")
    return DownscaleResult(
        output=job.output,
        report_html=html,
        report_json=json,
        method=job.method,
        scale=job.scale,
        unit=unit,
        width=fine.width,
        height=fine.height,
        range=comparisons[0].output_range,
        scores=tuple(comparison.row for comparison in comparisons),
        warnings=tuple(warnings),
        seconds=seconds,
    )


def _check(job: DownscaleJob, spec: MethodSpec) -> None:
    """Refuse before any work what could only fail at the end."""
    check_output(job.output, job.overwrite)
    inputs = [source.path for source in (job.lst, *job.guidance, job.reference) if source is not None]
    if job.output.exists() and any(Path(name).exists() and job.output.samefile(name) for name in inputs):
        raise OutputError(f"The output '{job.output}' is also an input: choose another name.")
    if job.report is not None:
        require_packages()
        existing = job.report / "report.html"
        if existing.exists() and not job.overwrite:
            raise OutputError(f"The report '{existing}' exists already: choose another folder or allow overwriting.")
    if spec.scales is not None and job.scale not in spec.scales:
        raise ModelError(
            f"'{job.method}' was made for the scales {', '.join(map(str, spec.scales))}, not {job.scale}: choose one "
            "of them or another method."
        )


def _writer(job: DownscaleJob, spec: MethodSpec, reader: AlignedReader) -> RasterWriter:
    tags = {
        "GROKLST_METHOD": job.method,
        "GROKLST_SCALE": str(job.scale),
        "GROKLST_JOB": job.model_dump_json(),
        "GROKLST_WEIGHTS_SHA256": spec.sha256,
        **{f"GROKLST_VERSION_{name.upper()}": version for name, version in versions().items()},
    }
    return RasterWriter(
        job.output,
        reader.pair.fine,
        unit=reader.lst.unit,
        description="Land surface temperature",
        tags=tags,
        overwrite=job.overwrite,
    )


def _compute(
    job: DownscaleJob,
    spec: MethodSpec,
    reader: AlignedReader,
    writer: RasterWriter,
    on_event: OnEvent,
    cancel: CancelToken,
) -> None:
    """Learn from the scene, then compute and write all tiles."""
    method = spec.build(BuildOptions(job.scale, reader.roles, choose_device(job.device), job.seed))
    scene = SceneReader(reader)
    if spec.fit_share:
        progress(on_event, 0.0, "Learning from the scene")
        method.fit(scene.sample(cancel), part(on_event, 0.02, spec.fit_share), cancel)
    coarse = reader.pair.coarse
    consistent = spec.consistent and job.consistency
    plan = plan_tiles(job, method.radius, coarse.height, coarse.width, consistent)
    mosaic = Mosaic(plan, job.scale)
    offset = np.float32(offset_to_kelvin(reader.lst.unit))
    for number, tile in enumerate(plan, start=1):
        cancel.check()
        batch = scene.read(tile.read)
        mask = keep_window(batch.mask, tile.read, tile.keep, job.scale)
        values = np.full(mask.shape, np.nan, np.float32)
        if mask.any():
            fine = method(batch)
            if consistent:
                fine = back_project(fine, batch.lst, batch.mask, job.scale)
            values[mask] = keep_window(fine, tile.read, tile.keep, job.scale)[mask] - offset
        mosaic.add(tile, values)
        if tile.last_in_row:
            top, rows = mosaic.take(tile.row)
            writer.write(rows, top)
        share = spec.fit_share + (0.9 - spec.fit_share) * number / len(plan)
        progress(on_event, share, f"Downscaling tile {number} of {len(plan)}")


def _even_share(size: int, core: int) -> int:
    """The core that covers ``size`` with as many tiles, but no nearly empty last one."""
    return math.ceil(size / math.ceil(size / core))


def plan_tiles(job: DownscaleJob, radius: int | None, height: int, width: int, consistent: bool) -> TilePlan:
    """Tiles for a method's radius: exact where it is known, blended where the method looks at the whole tile."""
    core = max(1, job.tile // job.scale) if job.tile else max(TILE // job.scale, MIN_CORE)
    core = max(_even_share(height, core), _even_share(width, core))
    if radius is not None:
        return TilePlan(height, width, core, halo=radius + REACH + (RADIUS if consistent else 0))
    if core >= max(height, width):
        return TilePlan(height, width, core, GLOBAL_HALO)  # one tile, its edges mirrored as those of several are
    return TilePlan(height, width, max(core, 2 * GLOBAL_RAMP), GLOBAL_HALO, GLOBAL_RAMP)


def _compare(
    job: DownscaleJob, spec: MethodSpec, output: Path, on_event: OnEvent, cancel: CancelToken
) -> list[Comparison]:
    """The output against the coarse input and, if there is one, against the reference beside bicubic."""
    progress(on_event, 0.0, "Comparing with the input")
    comparisons = [compare_with_input(output, job.lst, job.scale, cancel)]
    if job.reference is not None:
        comparisons.append(compare_with_reference(output, job.reference, spec.label, cancel))
        if job.method != "bicubic":
            with tempfile.TemporaryDirectory() as folder:
                baseline = Path(folder) / "bicubic.tif"
                plain = {"method": "bicubic", "output": baseline, "report": None, "reference": None}
                downscale(job.model_copy(update=plain), ignore, cancel)
                comparisons.append(compare_with_reference(baseline, job.reference, "Bicubic", cancel))
    return comparisons
