"""The engine as a process: a job file in, one JSON object per line out.

``python -m groklst_engine.worker JOB.json`` keeps standard output for its messages (``progress``, ``log``, ``metric``
and, last, ``result`` or ``error``); everything libraries print goes to standard error, the log. The line ``cancel``
on standard input, or its end, stops the job at the next tile or training step. A job that does not stop in time is
the caller's to kill: only the caller knows how long it is ready to wait.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import psutil

from groklst_engine.errors import GroklstError, InputError, is_out_of_memory
from groklst_engine.events import CancelToken, Event, OnEvent
from groklst_engine.jobs import (
    ArchiveJob,
    ArchiveListJob,
    DownscaleJob,
    EvaluateJob,
    IdentifyJob,
    InspectJob,
    Job,
    SimulateJob,
    parse_job,
)
from groklst_engine.overview_jobs import ModelsJob, PreviewJob, StepTimeJob
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.training_jobs import BenchmarkJob, PrepareJob, StatisticsJob, TrainJob
from groklst_engine.weights_jobs import WeightsJob

NICE = 5
"""Niceness of a worker where there is one: less urgent than what a person looks at, more than what runs idly."""


def run_job(job: Job, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Run any job and return its result as a JSON object.

    Modules are imported here, when their job comes: looking at rasters must not wait for torch.

    Raises:
        GroklstError: The job cannot be done as asked, or was cancelled.
    """
    match job:
        case DownscaleJob():  # before InspectJob, its parent
            from groklst_engine.predict import downscale

            return downscale(job, on_event, cancel).to_json()
        case ArchiveListJob():
            from groklst_engine.archives.listing import archive_of

            return run_job(archive_of(job), on_event, cancel)
        case ArchiveJob():
            from groklst_engine.archives.archive import archive

            result = archive(job, on_event, cancel)
            result.require_all()
            return result.to_json()
        case SimulateJob():  # before InspectJob, too
            from groklst_engine.simulate import simulate

            return simulate(job, on_event, cancel).to_json()
        case InspectJob():
            from groklst_engine.inspection import inspect_inputs

            return inspect_inputs(job)
        case IdentifyJob():
            from groklst_engine.identify import identify

            return identify(job)
        case EvaluateJob():
            from groklst_engine.evaluation import evaluate

            return evaluate(job, on_event, cancel).to_json()
        case PrepareJob():
            from groklst_engine.data.prepare import prepare

            return prepare(job, on_event, cancel).to_json()
        case TrainJob():
            from groklst_engine.training.train import train

            return train(job, on_event, cancel).to_json()
        case BenchmarkJob():
            from groklst_engine.benchmarking.benchmark import benchmark

            return benchmark(job, on_event, cancel).to_json()
        case BenchJob():
            from groklst_engine.performance.bench import bench

            return bench(job, on_event, cancel)
        case StatisticsJob():
            from groklst_engine.data.statistics import statistics

            return statistics(job, on_event, cancel).to_json()
        case ModelsJob():
            from groklst_engine.models.catalogue import entries

            return {"models": entries()}
        case StepTimeJob():
            from groklst_engine.training.step_time import step_time

            return step_time(job, cancel)
        case PreviewJob():
            from groklst_engine.data.preview import preview

            return preview(job, on_event, cancel)
        case WeightsJob():
            from groklst_engine.registry import run_weights_job

            return run_weights_job(job, on_event)
        case _:
            from groklst_engine.probe import probe

            return probe()


def describe(error: Exception, details: str = "details are in the log") -> tuple[str, str]:
    """Class name and one sentence for any exception; ``details`` says where a bug's traceback is."""
    if isinstance(error, GroklstError):
        return type(error).__name__, str(error)
    if is_out_of_memory(error):
        return "OutOfMemory", "The job needs more memory than is free: choose a smaller tile or close other programs."
    if isinstance(error, ModuleNotFoundError) and error.name:
        return "MissingPackage", f"{sys.executable} lacks the package {error.name}: install it there with pip."
    return "InternalError", f"The engine failed unexpectedly ({type(error).__name__}); {details}."


def to_text(document: Mapping[str, Any], indent: int | None = None) -> str:
    """JSON that any parser reads: numbers that are not finite become null."""
    return json.dumps(_finite(document), ensure_ascii=False, allow_nan=False, indent=indent, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Protocol:
    """The caller's end of standard output, taken away from everybody else."""

    def __init__(self, cancel: CancelToken) -> None:
        self._stream: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        self._lock = threading.Lock()
        self._cancel = cancel
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message; a caller who is gone is a reason to stop, not to fail."""
        with self._lock:
            try:
                print(to_text(message), file=self._stream, flush=True)
            except BrokenPipeError:
                self._cancel.cancel()

    def on_event(self, event: Event) -> None:
        """Send a job's event."""
        self.send(event.to_json())


def _listen(cancel: CancelToken) -> None:
    """Wait for the line ``cancel`` or the end of standard input.

    Reads the descriptor itself: a daemon thread inside ``sys.stdin`` would hold its lock when Python exits.
    """
    heard = b""
    try:
        while b"cancel" not in heard.splitlines() and (chunk := os.read(0, 1024)):
            heard += chunk
    except OSError:
        pass  # no standard input at all: the same as a closed one
    cancel.cancel()


def _step_back() -> None:
    """Leave the processor to whoever needs it at once: QGIS shall stay responsive beside a network on all cores."""
    process = psutil.Process()
    process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else max(NICE, process.nice()))


def _read_job(path: Path) -> Job:
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"The job file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The job file {path} is no JSON: {error}.") from error
    return parse_job(document)


def main(arguments: list[str] | None = None) -> int:
    """Run the job file named on the command line and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m groklst_engine.worker JOB.json", file=sys.stderr)
        return 2
    _step_back()
    # A terminated job still runs its clean-up, so that no partial output stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cancel = CancelToken()
    protocol = _Protocol(cancel)
    threading.Thread(target=_listen, args=(cancel,), daemon=True).start()
    try:
        job = _read_job(Path(arguments[0]))
        protocol.send({"type": "result", "kind": job.kind, **run_job(job, protocol.on_event, cancel)})
        return 0
    except Exception as error:
        if not isinstance(error, GroklstError):
            traceback.print_exc()
        name, sentence = describe(error)
        protocol.send({"type": "error", "error": name, "message": sentence})
        return error.exit_code if isinstance(error, GroklstError) else 1


if __name__ == "__main__":
    sys.exit(main())
