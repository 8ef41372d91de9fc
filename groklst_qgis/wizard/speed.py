"""How fast a network trains on this machine: asked of the engine, which measures it, and told in words."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QLabel

from ..question import Question
from ..words import duration


class SpeedLabel(QLabel):
    """Shows the measured time of a step, and of a training where its length is known.

    Attributes:
        seconds: Of a step; None until it is measured.
    """

    measured = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("speedLabel")
        self.setAccessibleName("Speed on this device")
        self.setWordWrap(True)
        self.seconds: float | None = None
        self._steps = 0
        self._asked: dict[str, Any] = {}
        self._answer: dict[str, Any] = {}
        self._question = Question("Measure a training step", 600, self)
        self._question.answered.connect(self._show)
        self._question.failed.connect(self._refuse)

    def ask(self, job: dict[str, Any], steps: int = 0) -> None:
        """Measure a step, unless these very options were asked before.

        Args:
            job: What the ``step-time`` job needs.
            steps: Length of the training; 0 leaves it out.
        """
        self._steps = steps
        if job == self._asked:
            if self.seconds is not None:
                self._tell()
            return
        self._asked, self.seconds = job, None
        self.setText("Measuring the speed on this device…")
        self._question.ask({"kind": "step-time", **job})

    def stop(self) -> None:
        """Wait for no answer any more."""
        self._question.stop()
        if self.seconds is None:
            self._asked = {}  # it can be asked again

    def _show(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        self.seconds = answer["seconds"]
        self._tell()
        self.measured.emit()

    def _tell(self) -> None:
        step = f"{self.seconds:.2g} s a step on this device ({self._answer['device']}, {self._answer['precision']})"
        parameters = f"{self._answer['parameters'] / 1e6:.3g} million parameters"
        if self._steps:
            self.setText(f"About {duration(self._steps * (self.seconds or 0))}: {self._steps} steps, {step}, measured.")
        else:
            self.setText(f"About {step}, measured; {parameters}.")

    def _refuse(self, sentence: str) -> None:
        self.setText(f"The speed could not be measured: {sentence}")
