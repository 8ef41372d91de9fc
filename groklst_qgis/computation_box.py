"""A folded part of the dock: how a run computes, and what becomes of it when it is interrupted."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLineEdit, QSpinBox

from .choices import PRECISIONS, WORKERS, WORKERS_HELP, parse_steps, parse_workers
from .folded_box import FoldedBox

_MEMORY_SETTING = "groklst/memory"
_WORKERS_SETTING = "groklst/workers"


class ComputationBox(FoldedBox):
    """Steps, time to choose a method, precision, memory, workers, and going on after an interruption."""

    steps_changed = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__("Computation", "computationBox")
        self.steps = QLineEdit()
        self.steps.setObjectName("stepsEdit")
        self.steps.setPlaceholderText("One; or e.g. 2,2")
        self.steps.setToolTip("Scales of the steps in which to downscale; there is no standard error then")
        self.budget = QSpinBox()
        self.budget.setObjectName("budgetSpin")
        self.budget.setRange(1, 36_000)
        self.budget.setValue(300)
        self.budget.setSuffix(" s")
        self.budget.setToolTip("After this time, the automatic choice tries no further method")
        self.precision = QComboBox()
        self.precision.setObjectName("precisionCombo")
        self.precision.setToolTip(
            "Of networks; automatic takes half precision where it is fast and hardly changes the result"
        )
        for value, label in PRECISIONS.items():
            self.precision.addItem(label, value)
        self.memory = QDoubleSpinBox()
        self.memory.setObjectName("memorySpin")
        self.memory.setRange(0, 4096)
        self.memory.setDecimals(1)
        self.memory.setSuffix(" GB")
        self.memory.setSpecialValueText("What is free")
        self.memory.setToolTip("Memory to stay below; smaller tiles are used then")
        self.memory.setValue(QgsSettings().value(_MEMORY_SETTING, 0.0, type=float))
        self.workers = QLineEdit(QgsSettings().value(_WORKERS_SETTING, "", type=str))
        self.workers.setObjectName("workersEdit")
        self.workers.setPlaceholderText("This process; or e.g. local:2")
        self.workers.setToolTip(WORKERS_HELP)
        self.resume = QCheckBox("Keep what is done when interrupted")
        self.resume.setObjectName("resumeCheck")
        self.resume.setToolTip("A run that was cancelled or has crashed can then go on where it stopped")
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Steps", self.steps)
        form.addRow("Time to choose", self.budget)
        form.addRow("Precision", self.precision)
        form.addRow("Memory", self.memory)
        form.addRow(WORKERS, self.workers)
        form.addRow(self.resume)
        self.steps.textChanged.connect(lambda text: self.steps_changed.emit(bool(text.strip())))
        self.memory.valueChanged.connect(lambda gigabytes: QgsSettings().setValue(_MEMORY_SETTING, gigabytes))
        self.workers.textChanged.connect(lambda text: QgsSettings().setValue(_WORKERS_SETTING, text))

    def fields(self, scale: int) -> dict[str, Any]:
        """The fields of a job that this box knows.

        Args:
            scale: Of the job, which the steps must make.

        Raises:
            EngineError: The steps do not, or the workers are unknown.
        """
        return {
            "steps": parse_steps(self.steps.text(), scale),
            "budget": self.budget.value(),
            "precision": self.precision.currentData(),
            "memory": self.memory.value() or None,
            "cluster": parse_workers(self.workers.text()),
            "resume": self.resume.isChecked(),
        }
