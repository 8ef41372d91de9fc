"""Many scenes in one job: what is done is kept, what fails is told at the end, a table sums all up."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from groklst_engine.archives.report import write_archive_report
from groklst_engine.errors import GroklstError, OutputError
from groklst_engine.events import CancelToken, Event, OnEvent, ignore, log, progress, warn
from groklst_engine.inference.fingerprint import is_done
from groklst_engine.inference.series import Outcome, downscale_series, series
from groklst_engine.jobs import ArchiveJob, DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.predict import DownscaleResult
from groklst_engine.report import require_packages
from groklst_engine.worker import describe

NAMED = 3
"""Scenes that failed which a sentence names."""


@dataclass(frozen=True)
class SceneRow:
    """What became of a scene.

    Attributes:
        scene: Its output's name without suffix.
        status: ``done``; ``kept``, because the output was there; or ``failed``.
        output: The fine LST.
        method: Name of the method, for ``auto`` of the chosen one; None where it failed or was kept.
        low: 2nd percentile of the output, in its unit.
        high: 98th percentile.
        unit: Of the output.
        consistency_rmse: In kelvin, between the output averaged to the coarse pixels and the input.
        warnings: What to know before trusting the result.
        seconds: Wall time, of dates done together their share.
        message: Why it failed.
    """

    scene: str
    status: Literal["done", "kept", "failed"]
    output: Path
    method: str | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    consistency_rmse: float | None = None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None
    message: str = ""

    @classmethod
    def of(cls, job: DownscaleJob, outcome: Outcome | Mapping[str, Any]) -> SceneRow:
        """From a result, also as a JSON object, or from an error."""
        if isinstance(outcome, Exception):
            _, sentence = describe(outcome)
            return cls(job.output.stem, "failed", job.output, message=sentence)
        result = outcome.to_json() if isinstance(outcome, DownscaleResult) else outcome
        return cls(
            scene=job.output.stem,
            status="done",
            output=job.output,
            method=result["method"],
            low=result["range"][0],
            high=result["range"][1],
            unit=result["unit"],
            consistency_rmse=result["scores"][0]["rmse"],
            warnings=tuple(result["warnings"]),
            seconds=result["seconds"],
        )


@dataclass(frozen=True)
class ArchiveResult:
    """What an archive job gave.

    Attributes:
        rows: One for each scene, in the job's order.
        files: The summary by kind, ``html``, ``csv`` and ``json``; empty if none was asked for.
        seconds: Wall time.
    """

    rows: tuple[SceneRow, ...]
    files: Mapping[str, Path]
    seconds: float

    @property
    def failed(self) -> tuple[SceneRow, ...]:
        """The scenes that failed."""
        return tuple(row for row in self.rows if row.status == "failed")

    def require_all(self) -> None:
        """Complain of scenes that failed.

        Raises:
            GroklstError: At least one did.
        """
        if not self.failed:
            return
        named = "; ".join(f"'{row.scene}' ({row.message.rstrip('.')})" for row in self.failed[:NAMED])
        others = ", the others are done" if len(self.failed) < len(self.rows) else ""
        more = f"; and {len(self.failed) - NAMED} more" if len(self.failed) > NAMED else ""
        raise GroklstError(
            f"{len(self.failed)} of {len(self.rows)} scenes failed{others}: {named}{more}. Mend them and run the same "
            "again: it does only what is missing."
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "rows": [{**asdict(row), "output": str(row.output)} for row in self.rows],
            "files": {kind: str(path) for kind, path in self.files.items()},
            "seconds": self.seconds,
        }


class ArchiveProgress:
    """The progress of all scenes from that of each.

    Args:
        names: Of the scenes.
        on_event: Told of the whole.
    """

    def __init__(self, names: Sequence[str], on_event: OnEvent) -> None:
        self._names = names
        self._on_event = on_event
        self._fractions = [0.0] * len(names)

    def listener(self, number: int) -> OnEvent:
        """Who listens to a scene."""

        def listen(event: Event) -> None:
            if event.fraction is not None:
                self.reached(number, event.fraction, event.message)
            elif event.level == "warning":
                warn(self._on_event, f"{self._names[number]}: {event.message}")

        return listen

    def reached(self, number: int, fraction: float, message: str) -> None:
        """So much of a scene is done."""
        self._fractions[number] = max(fraction, self._fractions[number])
        done = sum(fraction >= 1 for fraction in self._fractions)
        progress(
            self._on_event,
            sum(self._fractions) / len(self._fractions),
            f"{done} of {len(self._names)} scenes done; {self._names[number]}: {message}",
        )


def archive(job: ArchiveJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> ArchiveResult:
    """Downscale many scenes.

    Scenes over one and the same guidance are done side by side. Those that fail are in the result; ``require_all``
    complains of them.

    Args:
        job: The scenes.
        on_event: Told about progress and warnings.
        cancel: Looked at after every tile and training step.

    Raises:
        OutputError: The summary cannot be written.
        GroklstError: A summary is wanted and jinja2 is missing; or Dask is missing, or its scheduler.
        Cancelled: ``cancel`` was raised; finished outputs stay.
    """
    started = time.monotonic()
    cancel = cancel or CancelToken()
    if job.summary is not None:
        require_packages()
    rows: dict[int, SceneRow] = {}
    told = ArchiveProgress([scene.output.stem for scene in job.scenes], on_event)
    for number, scene in enumerate(job.scenes):
        cancel.check()
        if _kept(scene, job.skip_existing):
            rows[number] = SceneRow(scene.output.stem, "kept", scene.output)
            told.reached(number, 1.0, "was there already")
    if rows:
        log(on_event, f"Kept {len(rows)} of {len(job.scenes)} outputs that were there already.")
    missing = [number for number in range(len(job.scenes)) if number not in rows]
    groups = [[missing[index] for index in group] for group in series([job.scenes[number] for number in missing])]
    if job.cluster:
        from groklst_engine.archives.cluster import archive_on_cluster  # Dask is an extra

        for number, found in archive_on_cluster(job, groups, told, cancel):
            rows[number] = _row(job.scenes[number], found, on_event)
    else:
        for group in groups:
            jobs, listeners = [job.scenes[n] for n in group], [told.listener(n) for n in group]
            for number, outcome in zip(group, downscale_series(jobs, listeners, cancel), strict=True):
                rows[number] = _row(job.scenes[number], outcome, on_event)
                told.reached(number, 1.0, rows[number].status)
    ordered = tuple(rows[number] for number in range(len(job.scenes)))
    result = ArchiveResult(ordered, {}, time.monotonic() - started)
    if job.summary is None:
        return result
    try:
        return ArchiveResult(ordered, write_archive_report(result.to_json(), job.summary), result.seconds)
    except OSError as error:
        raise OutputError(f"The summary cannot be written to '{job.summary}': check folder and disk space.") from error


def _kept(scene: DownscaleJob, skip_existing: bool) -> bool:
    if not scene.output.exists():
        return False
    if skip_existing:
        return True
    try:
        return is_done(scene, get_method(scene.method).sha256)
    except GroklstError:
        return False  # it will fail by itself, and say why


def _row(scene: DownscaleJob, outcome: Outcome | Mapping[str, Any], on_event: OnEvent) -> SceneRow:
    row = SceneRow.of(scene, outcome)
    if row.status == "failed":
        warn(on_event, f"{row.scene} failed: {row.message}")
        if isinstance(outcome, Exception) and not isinstance(outcome, GroklstError):
            traceback.print_exception(outcome)
    return row
