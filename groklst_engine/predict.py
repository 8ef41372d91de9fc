"""The main job: coarse LST in, fine LST out, tile by tile."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from groklst_engine.auto import choose
from groklst_engine.closed_loop import FEWEST, ClosedLoop
from groklst_engine.consistency import Correction
from groklst_engine.errors import Cancelled, InputError, ModelError, OutputError, is_out_of_memory
from groklst_engine.events import CancelToken, Event, OnEvent, ignore, log, part, progress, warn
from groklst_engine.inference.device import choose_device
from groklst_engine.inference.fingerprint import TAG, fingerprint
from groklst_engine.inference.footprint import tiles_at_once
from groklst_engine.inference.opening import opened
from groklst_engine.inference.plan import SMALLEST_CORE, first_core, fitting, plan_tiles
from groklst_engine.inference.resume import Checkpoint
from groklst_engine.inference.scene import SceneReader
from groklst_engine.inference.shared import Shared
from groklst_engine.inference.tiled import Settings, TiledRun
from groklst_engine.inputs import LstSource
from groklst_engine.inspection import warnings_of
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.methods.automatic import AUTO
from groklst_engine.methods.base import BuildOptions, Downscaler, MethodSpec
from groklst_engine.methods.damped import DampedDownscaler
from groklst_engine.methods.matched import MatchedDownscaler
from groklst_engine.physics.cross_sensor import registered
from groklst_engine.physics.registration import Registration
from groklst_engine.probe import versions
from groklst_engine.raster import RasterWriter, check_output
from groklst_engine.reader import AlignedReader
from groklst_engine.report import require_packages
from groklst_engine.scoring import Comparison, InputComparison, compare_with_reference
from groklst_engine.summary import report_of
from groklst_engine.uncertainty import Calibration, calibrate, error_writer, uncertainty_path, write_uncertainty
from groklst_engine.units import Unit

CHOOSING = 0.4
"""Share of a run's time in which ``auto`` chooses, for progress."""


@dataclass(frozen=True)
class DownscaleResult:
    """What a run gave.

    Attributes:
        output: The fine LST.
        uncertainty: Its standard error, if one was asked for and can be told.
        report_html: The report, if one was asked for.
        report_json: The same for programs.
        method: Name of the method, for ``auto`` of the chosen one.
        scale: Coarse pixel divided by fine pixel.
        unit: Of the output, the input's.
        width: Of the output, in pixels.
        height: Of the output, in pixels.
        range: 2nd and 98th percentile of the output, in its unit.
        scores: Comparisons with the coarse input and, if given, the reference.
        choice: What ``auto`` tried and chose; None where the method was given.
        registration: Shift and point spread function found in cross-sensor mode.
        warnings: What to know before trusting the result.
        seconds: Wall time.
    """

    output: Path
    uncertainty: Path | None
    report_html: Path | None
    report_json: Path | None
    method: str
    scale: int
    unit: Unit
    width: int
    height: int
    range: tuple[float, float]
    scores: tuple[dict[str, Any], ...]
    choice: dict[str, Any] | None
    registration: dict[str, Any] | None
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
    cancel = cancel or CancelToken()
    if job.steps:
        from groklst_engine.inference.stepwise import downscale_stepwise  # which runs this function for each step

        return downscale_stepwise(job, on_event, cancel)
    work = downscaling(job, on_event, cancel)
    run = next(work)
    while True:
        try:
            run.run(cancel)
        except BaseException as error:
            run = work.throw(error)  # which may give another with smaller tiles
            continue
        try:
            run = next(work)
        except StopIteration as done:
            result: DownscaleResult = done.value
            return result


def downscaling(
    job: DownscaleJob, on_event: OnEvent, cancel: CancelToken, shared: Shared | None = None
) -> Generator[TiledRun, None, DownscaleResult]:
    """``downscale()`` in its parts, for who has several to run side by side: all but the tiles.

    Args:
        job: Inputs, method, output; in one step.
        on_event: Told about progress and warnings.
        cancel: Looked at now and then.
        shared: What this run has in common with others.

    Yields:
        What is to be run. When it failed, that error is to be thrown in: it may be tried again with smaller tiles.

    Returns:
        What the run gave.

    Raises:
        GroklstError: As ``downscale()``.
    """
    started = time.monotonic()
    warnings: list[str] = []

    def listen(event: Event) -> None:
        if event.level == "warning":
            warnings.append(event.message)
        on_event(event)

    spec = get_method(job.method)
    _check(job, spec)
    asked = fingerprint(job, spec.sha256)
    registration, choice = None, None
    if job.cross_sensor:
        job, registration = registered(job, spec.guided, listen, cancel)
    if job.method == AUTO:
        choice = choose(job, part(listen, 0.0, CHOOSING), cancel)
        job, spec = job.model_copy(update=choice.fields), get_method(choice.method)
        on_event = part(on_event, CHOOSING, 1.0)  # for ``listen``, too
    with opened(job, spec, shared) as scene:
        reader = scene.reader
        for sentence in warnings_of(reader):
            warn(listen, sentence)
        if job.guidance and not spec.guided:
            log(listen, f"{spec.label} does not use the guidance.")
        with (
            _continued(job, spec) as checkpoint,
            _writer(job, spec, reader, checkpoint, asked) as writer,
            ExitStack() as stack,
        ):
            method = _built(job, spec, registration, scene, shared)
            comparisons = [(yield from _computing(job, spec, method, scene, writer, checkpoint, listen, cancel))]
            writer.finish()
            error = None
            if job.uncertainty and (calibration := _calibration(job, listen, cancel)):
                errors = stack.enter_context(error_writer(job, reader.pair.fine))
                error = write_uncertainty(writer.part, errors, calibration, comparisons[0].output_map.shape, cancel)
            if job.reference is not None:
                progress(listen, 0.94, "Comparing with the reference")
                comparisons += _compare(job, job.reference, spec, writer.part, cancel)
            seconds = time.monotonic() - started
            html, json = None, None
            if job.report is not None:
                progress(listen, 0.97, "Writing the report")
                told = choice, registration, error, tuple(warnings), seconds
                html, json = report_of(job, spec, reader, comparisons, *told)
        unit, fine = reader.lst.unit, reader.pair.fine
    progress(listen, 1.0, "Done")
    return DownscaleResult(
        output=job.output,
        uncertainty=None if error is None else error.path,
        report_html=html,
        report_json=json,
        method=job.method,
        scale=job.scale,
        unit=unit,
        width=fine.width,
        height=fine.height,
        range=comparisons[0].output_range,
        scores=tuple(comparison.row for comparison in comparisons),
        choice=None if choice is None else choice.to_json(),
        registration=None if registration is None else registration.to_json(),
        warnings=tuple(warnings),
        seconds=seconds,
    )


def _check(job: DownscaleJob, spec: MethodSpec) -> None:
    """Refuse before any work what could only fail at the end."""
    check_output(job.output, job.overwrite)
    if job.uncertainty:
        check_output(uncertainty_path(job.output), job.overwrite)
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


@contextmanager
def _continued(job: DownscaleJob, spec: MethodSpec) -> Iterator[Checkpoint]:
    """What an earlier run has done, if that is wanted; kept when this one fails, if that is wanted."""
    checkpoint = Checkpoint(job.output, f"{fingerprint(job, spec.sha256)} {versions()} {bool(job.cluster)}")
    if job.resume:
        checkpoint.load()
    try:
        yield checkpoint
    except BaseException as error:
        if not job.resume:
            checkpoint.clear()
        elif isinstance(error, Cancelled) and checkpoint.path.exists():
            raise Cancelled("Cancelled; what is done is kept: run it again to go on.") from error
        raise
    checkpoint.clear()


def _writer(
    job: DownscaleJob, spec: MethodSpec, reader: AlignedReader, checkpoint: Checkpoint, asked: str
) -> RasterWriter:
    tags = {
        TAG: asked,
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
        keep_part=job.resume,
        held=checkpoint.held,
        cog=job.cog,
    )


def _calibration(job: DownscaleJob, on_event: OnEvent, cancel: CancelToken) -> Calibration | None:
    """What the closed loop tells of the method's errors; None where the scene is too small for it."""
    progress(on_event, 0.9, "Finding out how far the result can be trusted")
    try:
        with ClosedLoop(job, cancel, at_least=FEWEST) as loop:
            return calibrate(loop, job.method, job.scale, job.detail)
    except InputError as error:
        warn(on_event, f"No standard error can be given. {error}")
        return None


def _built(
    job: DownscaleJob, spec: MethodSpec, registration: Registration | None, scene: SceneReader, shared: Shared | None
) -> Downscaler:
    """The method, not fitted yet."""
    device = choose_device(job.device)
    options = BuildOptions(job.scale, scene.roles, device, job.seed, job.precision, job.compile)
    method = shared.build(spec, options) if shared else spec.build(options)
    method = method if job.detail == 1 else DampedDownscaler(method, job.detail, job.scale)
    if registration is None or registration.nested or not spec.guided:
        return method
    return MatchedDownscaler(method, registration.psf, job.scale)


def _computing(
    job: DownscaleJob,
    spec: MethodSpec,
    method: Downscaler,
    scene: SceneReader,
    writer: RasterWriter,
    checkpoint: Checkpoint,
    on_event: OnEvent,
    cancel: CancelToken,
) -> Generator[TiledRun, None, Comparison]:
    """Learn from the scene, have all tiles computed and written, and compare them with the input."""
    if spec.fit_share:
        progress(on_event, 0.0, "Learning from the scene")
        method.fit(scene.sample(cancel), part(on_event, 0.02, spec.fit_share), cancel)
    reader, correction = scene.reader, Correction.of(job) if spec.consistent else None
    device = choose_device(job.device)
    settings = Settings(method, correction, job.scale, memory=job.memory)
    radii = method.radius, correction.radius if correction else 0
    planned = partial(plan_tiles, reader.pair.coarse, job.scale, *radii)
    core = checkpoint.core or first_core(job.scale, job.tile)
    while True:
        plan = planned(core)
        if checkpoint.core is None:
            plan = fitting(planned, core, method, reader.pair, len(scene.roles), job.memory, on_event)
            checkpoint.restart(plan.core)
        with closing(InputComparison(job.lst, reader.pair.fine, job.scale, reader.lst.unit)) as comparison:
            try:
                told = part(on_event, spec.fit_share, 0.9)
                run = replace(settings, batch=tiles_at_once(device, method, plan))
                yield _run_for(job)(run, plan, scene, writer, comparison, checkpoint, told)
                return comparison.comparison()
            except (RuntimeError, MemoryError) as error:
                if plan.core < 2 * SMALLEST_CORE or not is_out_of_memory(error):
                    raise
        core = plan.core // 2
        log(on_event, f"Memory did not suffice for a tile: beginning again with tiles of {core * job.scale} pixels.")
        checkpoint.restart(None)
        writer.restart()


def _run_for(job: DownscaleJob) -> Callable[..., TiledRun]:
    if job.cluster is None:
        return TiledRun
    from groklst_engine.archives.cluster import ClusterRun  # Dask is an extra

    return partial(ClusterRun, job)


def _compare(
    job: DownscaleJob, reference: LstSource, spec: MethodSpec, output: Path, cancel: CancelToken
) -> Iterator[Comparison]:
    """The output against the reference, beside bicubic."""
    yield compare_with_reference(output, reference, spec.label, cancel)
    if job.method != "bicubic":
        with tempfile.TemporaryDirectory() as folder:
            baseline = Path(folder) / "bicubic.tif"
            plain = {"method": "bicubic", "output": baseline, "report": None, "reference": None, "cross_sensor": False}
            plain |= {"uncertainty": False}
            downscale(job.model_copy(update=plain), ignore, cancel)
            yield compare_with_reference(baseline, reference, "Bicubic", cancel)
