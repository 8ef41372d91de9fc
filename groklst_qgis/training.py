"""A training as QGIS runs it: jobs of the engine one after the other, paused and resumed, whoever looks at it.

It lives apart from the wizard that shows it: closing the wizard leaves it running, and another wizard can show it with
all its curves. What it needs to go on after QGIS was closed stands in ``training.json`` in its folder.
"""

from __future__ import annotations

import csv
import json
import shutil
import time
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, pyqtSignal

from .engine import EngineError
from .task import EngineTask
from .words import log_line

RUNNING, STOPPING, PAUSED, FAILED, DONE, DISCARDED = "running", "stopping", "paused", "failed", "done", "discarded"

_FILE = "training.json"
_TITLES = {"prepare": "Prepare the data of", "train": "Train", "benchmark": "Score"}
_SHARES = {"prepare": 0.1, "train": 0.8, "benchmark": 0.1}
_POINTS = 400  # of a curve that is read back from the log


def trainings_folder() -> Path:
    """Where trainings lie unless the user says otherwise: in the profile."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "groklst" / "trainings"


class Training(QObject):
    """Prepares, trains and scores; main thread only.

    Args:
        name: Of the weights.
        folder: For everything the training writes.
        jobs: Of the engine, in order; one of them trains.

    Attributes:
        state: One of the words above.
        problem: Why it failed or what was said when it stopped, one sentence.
        message: What it is doing.
        metrics: Values of all ``metric`` messages so far.
        picture: The latest validation picture; None before the first.
        log: Lines.
        results: Of the finished jobs, by kind.
        unscored: Why the finished weights have no scores, one sentence.
        seen: Whether the user has seen the result.
    """

    changed = pyqtSignal()
    metric_added = pyqtSignal()
    logged = pyqtSignal(str)

    def __init__(self, name: str, folder: Path, jobs: list[dict[str, Any]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.folder = folder
        self.jobs = jobs
        self.state = PAUSED
        self.problem = ""
        self.message = ""
        self.metrics: list[dict[str, float]] = []
        self.picture: str | None = None
        self.log: list[str] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.unscored = ""
        self.seen = False
        self._at = 0
        self._fraction = 0.0
        self._began = (0.0, 0.0)  # time and fraction when the present job was started
        self._task: EngineTask | None = None

    @classmethod
    def unfinished(cls, base: Path) -> list[Path]:
        """Folders of trainings that can go on, the latest first."""
        files = [file for file in base.glob(f"*/{_FILE}") if _read(file)]
        return [file.parent for file in sorted(files, key=lambda file: -file.stat().st_mtime)]

    @classmethod
    def load(cls, folder: Path, parent: QObject | None = None) -> Training:
        """A training that was interrupted when QGIS was closed.

        Raises:
            EngineError: Its file cannot be read.
        """
        kept = _read(folder / _FILE)
        if kept is None:
            raise EngineError(f"The training in {folder} cannot be read: start another one.")
        training = cls(folder.name, folder, kept["jobs"], parent)
        training._at = kept["at"]
        training.results = kept["results"]
        training.metrics = _metrics_from(training.weights.with_suffix(".training.csv"))
        return training

    @property
    def train_job(self) -> dict[str, Any]:
        """The job that trains."""
        return next(job for job in self.jobs if job["kind"] == "train")

    @property
    def weights(self) -> Path:
        """The weights file to be."""
        return Path(self.train_job["output"])

    @property
    def fraction(self) -> float:
        """Done share of the whole."""
        if self.state == DONE:
            return 1.0
        shares = [_SHARES[job["kind"]] for job in self.jobs]
        return (sum(shares[: self._at]) + shares[self._at] * self._fraction) / sum(shares)

    @property
    def remaining(self) -> float | None:
        """Seconds that the present job will still take, about; None while that cannot be told."""
        started, fraction = self._began
        done, taken = self._fraction - fraction, time.monotonic() - started
        if self.state != RUNNING or done < 0.01 or taken < 2:
            return None
        return taken / done * (1 - self._fraction)

    def start(self) -> None:
        """Start, or go on where it was paused or failed.

        Raises:
            EngineError: Its folder cannot be written.
        """
        if self.state in (RUNNING, STOPPING):
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineError(f"The folder {self.folder} cannot be made ({error.strerror}): choose another.") from error
        self.state = RUNNING
        self.problem = ""
        self._run()

    def pause(self) -> None:
        """Stop at the next step; what was learned is kept."""
        if self._task is not None:
            self.state = STOPPING
            self._task.cancel()
            self.changed.emit()

    def discard(self) -> None:
        """Stop, and delete the training's folder."""
        self.detach()
        self.state = DISCARDED
        shutil.rmtree(self.folder, ignore_errors=True)
        self.changed.emit()

    def detach(self) -> None:
        """Stop without a word to anybody: QGIS is closing, or the plugin is unloaded."""
        if self._task is not None:
            for signal in (self._task.messaged, self._task.succeeded, self._task.failed, self._task.stopped):
                signal.disconnect()
            self._task.cancel()
            self._task = None
            self._keep()
        self.state = PAUSED

    def _run(self) -> None:
        self._keep()
        job = self._present_job()
        self._say(f"{_TITLES[job['kind']]} {self.name}: {json.dumps(job, ensure_ascii=False)}")
        self._fraction = 0.0
        self._began = (time.monotonic(), 0.0)
        self._task = EngineTask(f"{_TITLES[job['kind']]} {self.name}", job)
        self._task.messaged.connect(self._on_message)
        self._task.succeeded.connect(self._on_success)
        self._task.failed.connect(self._on_failure)
        self._task.stopped.connect(self._on_stopped)
        QgsApplication.taskManager().addTask(self._task)
        self.changed.emit()

    def _present_job(self) -> dict[str, Any]:
        """The job as it is to be run now: one that was interrupted goes on."""
        job = dict(self.jobs[self._at])
        chips = self.results.get("prepare", {}).get("chips", {})
        if job["kind"] == "train":
            job["resume"] = Path(f"{self.weights}.checkpoint").exists()
            job["overwrite"] = True
            if chips and not chips["val"]:
                job["validate_every"] = 0
            if chips and not chips["test"]:
                job["score_test"] = False
        return job

    def _on_message(self, message: dict[str, Any]) -> None:
        if message.get("type") == "progress":
            if self._fraction == 0:  # a resumed job does not begin at nothing
                self._began = (time.monotonic(), message["fraction"])
            self._fraction = message["fraction"]
            self.message = message.get("message", "")
            self.changed.emit()
            return
        if message.get("type") == "metric":
            self.picture = message.get("preview") or self.picture
            self.metrics.append(message.get("values", {}))
            self.metric_added.emit()
        if message.get("level") != "debug":
            self._say(log_line(message))

    def _on_success(self, result: dict[str, Any]) -> None:
        self._task = None
        self.results[result["kind"]] = result
        self._at += 1
        while self._at < len(self.jobs) and not self._worth_doing(self.jobs[self._at]):
            self._at += 1
        if self._at < len(self.jobs):
            self.state = RUNNING  # a wish to pause came too late
            self._run()
        else:
            self._finish("The training is done.")

    def _finish(self, sentence: str) -> None:
        self._at = len(self.jobs) - 1
        (self.folder / _FILE).unlink(missing_ok=True)
        self._end(DONE, sentence)

    def _worth_doing(self, job: dict[str, Any]) -> bool:
        """Scoring needs samples to score on."""
        chips = self.results.get("prepare", {}).get("chips")
        return job["kind"] != "benchmark" or chips is None or bool(chips["test"])

    def _on_failure(self, sentence: str) -> None:
        if "train" in self.results:  # the weights are there, only unscored
            self.unscored = f"The weights could not be scored: {sentence}"
            self._finish(self.unscored)
        else:
            self._end(FAILED, sentence)

    def _on_stopped(self, sentence: str) -> None:
        self._end(PAUSED, sentence)

    def _end(self, state: str, sentence: str) -> None:
        self._task = None
        self.state = state
        self.problem = sentence
        self._say(sentence)
        self.changed.emit()

    def _say(self, line: str) -> None:
        self.log.append(line)
        self.logged.emit(line)

    def _keep(self) -> None:
        document = {"jobs": self.jobs, "at": self._at, "results": self.results}
        part = self.folder / f"{_FILE}.part"
        try:
            part.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
            part.replace(self.folder / _FILE)
        except OSError as error:
            self._say(f"Warning: {part} cannot be written ({error.strerror}); the training ends with QGIS.")


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(file.read_text("utf-8"))
        if 0 <= document["at"] < len(document["jobs"]) and isinstance(document["results"], dict):
            return dict(document)
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return None


def _metrics_from(log: Path) -> list[dict[str, float]]:
    """The curves in a training's log, the losses thinned out by averaging."""
    try:
        with log.open(newline="", encoding="utf-8") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    size = max(1, len(losses) // _POINTS)
    groups = [losses[start : start + size] for start in range(0, len(losses), size)]
    thin = [{"step": group[-1][0], "loss": sum(loss for _, loss in group) / len(group)} for group in groups]
    return [*thin, *(row for row in rows if "rmse" in row)]
