"""A question to the engine: asked a moment after the last wish to ask it, and only the last answer counts."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .task import EngineTask


class Question(QObject):
    """Asks the engine without keeping anybody waiting; main thread only.

    Args:
        title: What the task is called.
        delay: Milliseconds to wait for further wishes: typing and clicking on is cheaper than asking at each step.
        parent: Owner.
    """

    answered = pyqtSignal(dict)
    failed = pyqtSignal(str)

    def __init__(self, title: str, delay: int = 0, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._job: dict[str, Any] = {}
        self._task: EngineTask | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(delay)
        self._timer.timeout.connect(self._start)

    @property
    def open(self) -> bool:
        """Whether an answer is on its way."""
        return self._task is not None or bool(self._timer.isActive())

    def ask(self, job: dict[str, Any]) -> None:
        """Ask, in place of whatever was asked before."""
        self.stop()
        self._job = job
        self._timer.start()

    def stop(self) -> None:
        """Wait for no answer any more."""
        self._timer.stop()
        if self._task is not None:
            self._task.succeeded.disconnect()
            self._task.failed.disconnect()
            self._task.cancel()
            self._task = None

    def _start(self) -> None:
        self._task = EngineTask(self._title, self._job, quiet=True)
        self._task.succeeded.connect(self._answer)
        self._task.failed.connect(self._fail)
        QgsApplication.taskManager().addTask(self._task)

    def _answer(self, answer: dict[str, Any]) -> None:
        self._task = None
        self.answered.emit(answer)

    def _fail(self, sentence: str) -> None:
        self._task = None
        self.failed.emit(sentence)
