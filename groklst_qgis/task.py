"""A job of the engine as a task of QGIS: off the main thread, in the task manager, to be cancelled there or here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import Qgis, QgsMessageLog, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from .engine import Engine, EngineCancelled, EngineError, Message, run_job


class EngineTask(QgsTask):
    """Runs one job; its signals arrive on the main thread, ``succeeded``, ``failed`` or ``stopped`` last.

    Hand it to ``QgsApplication.taskManager().addTask()``, which from then on owns it: the Python object is dead once
    the last signal has been sent.

    Args:
        title: What the task manager shows.
        job: Document of the job.
        engine: Which engine; None looks for it.
        quiet: Keep it out of the task manager's list where QGIS can (3.26 and newer).
    """

    messaged = pyqtSignal(dict)
    succeeded = pyqtSignal(dict)
    failed = pyqtSignal(str)
    stopped = pyqtSignal(str)

    def __init__(self, title: str, job: Mapping[str, Any], engine: Engine | None = None, quiet: bool = False) -> None:
        flags = QgsTask.Flag.CanCancel
        for flag in ("Silent", "Hidden") if quiet else ("Silent",):  # who waits for the task says how it ended
            if hasattr(QgsTask.Flag, flag):  # since 3.26
                flags = flags | getattr(QgsTask.Flag, flag)
        super().__init__(title, flags)
        self._job = job
        self._engine = engine
        self._result: dict[str, Any] | None = None
        self._error: EngineError | None = None
        self._farewell = "Cancelled."

    def run(self) -> bool:
        """Wait for the engine; on the task's thread."""
        try:
            self._result = run_job(self._job, self._forward, self.isCanceled, self._engine)
        except EngineError as error:
            self._error = error
        except EngineCancelled as cancelled:
            self._farewell = str(cancelled)
        except OSError as error:  # e.g. no room left for the job file
            self._error = EngineError(f"The engine cannot be started: {error}.")
        return self._result is not None

    def finished(self, successful: bool) -> None:
        """Hand over what came out; on the main thread."""
        if self._result is not None:
            self.succeeded.emit(self._result)
        elif self._error is not None:
            if self._error.details:
                QgsMessageLog.logMessage(self._error.details, "GrokLST", Qgis.MessageLevel.Warning)
            self.failed.emit(str(self._error))
        else:
            self.stopped.emit(self._farewell)

    def _forward(self, message: Message) -> None:
        if message.get("type") == "progress":
            self.setProgress(100 * float(message.get("fraction", 0)))
        self.messaged.emit(message)
