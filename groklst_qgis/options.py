"""The page "GrokLST" of QGIS's options: which Python the engine runs in, and whether it works."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsSettings
from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QFormLayout, QGroupBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from .engine import PYTHON_SETTING, EngineError, find_engine
from .paths import resource
from .task import EngineTask

_EXPLANATION = (
    "GrokLST computes in a Python environment of its own, apart from QGIS: Python 3.10 or newer with PyTorch and the "
    "packages of the engine. Choose that environment's Python, or leave the field empty to use the one that GrokLST "
    "finds by itself."
)


class GroklstOptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever the options dialog opens."""

    def __init__(self) -> None:
        super().__init__("GrokLST", QIcon(str(resource("icons/groklst.svg"))))

    def createWidget(self, parent: QWidget | None = None) -> GroklstOptionsPage:  # noqa: N802 - QGIS's name
        """Make the page."""
        return GroklstOptionsPage(parent)


class GroklstOptionsPage(QgsOptionsPageWidget):
    """Choose the engine's Python and test it; saved when the dialog is accepted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("GrokLST")  # QGIS opens the page by this name
        explanation = QLabel(_EXPLANATION)
        explanation.setWordWrap(True)
        self.python = QgsFileWidget()
        self.python.setObjectName("enginePython")
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setDialogTitle("Choose the engine's Python")
        self.python.lineEdit().setAccessibleName("The engine's Python")
        self.python.lineEdit().setPlaceholderText("Found by itself")
        self.found = _text_label("foundLabel", "Engine that GrokLST finds by itself")
        self.found.setText(_found_by_itself())
        self.test_button = QPushButton("Test")
        self.test_button.setObjectName("testButton")
        self.test_button.setToolTip("Start the engine and show its versions and devices")
        self.outcome = _text_label("outcomeLabel", "Outcome of the test")

        chosen = QHBoxLayout()
        chosen.addWidget(self.python, 1)
        chosen.addWidget(self.test_button)
        box = QGroupBox("Engine")
        form = QFormLayout(box)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(explanation)
        form.addRow("Python", chosen)
        form.addRow("Found by itself", self.found)
        form.addRow("Test", self.outcome)
        layout = QVBoxLayout(self)
        layout.addWidget(box)
        layout.addStretch()

        self._task: EngineTask | None = None
        self.python.setFilePath(QgsSettings().value(PYTHON_SETTING, "", type=str))
        self.python.fileChanged.connect(self._forget_outcome)
        self.test_button.clicked.connect(self._test)
        self._forget_outcome()

    def apply(self) -> None:
        """Save the choice."""
        QgsSettings().setValue(PYTHON_SETTING, self._chosen())

    def _chosen(self) -> str:
        return str(self.python.filePath()).strip()

    def _forget_outcome(self) -> None:
        self.outcome.setText("Not tested yet.")

    def _test(self) -> None:
        try:
            engine = find_engine(self._chosen())
        except EngineError as error:
            self.outcome.setText(str(error))
            return
        self._set_testing(True)
        self.outcome.setText(f"Starting {engine.python}…")
        self._task = EngineTask("Test GrokLST's engine", {"kind": "probe"}, engine)  # QGIS alone lets it go too soon
        self._task.succeeded.connect(self._show_answer)
        self._task.failed.connect(self._show_failure)
        self._task.stopped.connect(self._show_stop)
        QgsApplication.taskManager().addTask(self._task)

    def _set_testing(self, testing: bool) -> None:
        if not testing:
            self._task = None
        self.python.setEnabled(not testing)
        self.test_button.setEnabled(not testing)

    def _show_answer(self, answer: dict[str, Any]) -> None:
        self._set_testing(False)
        self.outcome.setText(describe(answer))

    def _show_failure(self, sentence: str) -> None:
        self._set_testing(False)
        self.outcome.setText(sentence)

    def _show_stop(self, sentence: str) -> None:
        self._set_testing(False)
        self._forget_outcome()


def describe(answer: dict[str, Any]) -> str:
    """What a ``probe`` job says about an engine, in a few lines."""
    versions = ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
    devices = ", ".join(f"{device['name']} ({device['description']})" for device in answer["devices"])
    return "\n".join(
        [
            f"The engine works and offers {len(answer['methods'])} methods.",
            f"Python {answer['python']}: {answer['executable']}",
            f"Packages: {versions}",
            f"Devices: {devices}",
        ]
    )


def _found_by_itself() -> str:
    try:
        return str(find_engine("").python)
    except EngineError:
        return "None: choose the engine's Python above."


def _text_label(name: str, accessible_name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setAccessibleName(accessible_name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return label
