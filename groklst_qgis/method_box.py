"""The method part of the dock: what the engine offers, asked once, and the scale that goes with it."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QGroupBox, QHBoxLayout, QLabel, QPushButton

from .engine import Engine, EngineError, find_engine
from .question import Question

_USUAL_SCALES = (2, 3, 4, 5, 6, 8, 10, 16)


class MethodBox(QGroupBox):
    """Method and scale; both are empty until the engine has said what it can do."""

    changed = pyqtSignal()
    settings_wanted = pyqtSignal()
    weights_wanted = pyqtSignal()
    training_wanted = pyqtSignal()
    engine_described = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__("Method")
        self.method_combo = QComboBox()
        self.method_combo.setObjectName("methodCombo")
        self.method_combo.setAccessibleName("Method")
        self.method_combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.method_combo.setMinimumContentsLength(16)
        self.description = QLabel()
        self.description.setObjectName("methodDescription")
        self.description.setWordWrap(True)
        self.settings_button = QPushButton("Choose the engine…")
        self.settings_button.setObjectName("engineSettingsButton")
        self.settings_button.hide()
        self.scale_combo = QComboBox()
        self.scale_combo.setObjectName("scaleCombo")
        self.scale_combo.setAccessibleName("Scale")
        self.scale_combo.setToolTip("How many times finer the result is: coarse pixel divided by fine pixel")
        self.scale_combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.weights_button = QPushButton("Manage weights…")
        self.weights_button.setObjectName("manageWeightsButton")
        self.weights_button.setToolTip("See, rename, export, delete and import weights of networks")
        self.train_button = QPushButton("Train a network…")
        self.train_button.setObjectName("trainButton")
        self.train_button.setToolTip("Make weights of your own with the training wizard")

        own = QHBoxLayout()
        own.addWidget(self.weights_button)
        own.addWidget(self.train_button)
        layout = QFormLayout(self)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        layout.addRow("Method", self.method_combo)
        layout.addRow(self.description)
        layout.addRow(self.settings_button)
        layout.addRow("Scale", self.scale_combo)
        layout.addRow(own)

        self._engine: Engine | None = None
        self._question = Question("Ask GrokLST's engine for its methods", 0, self)
        self._question.answered.connect(self._take_answer)
        self._question.failed.connect(self._fail)
        self._wanted = ""  # method to choose when the engine has answered; empty for its default
        self.method_combo.currentIndexChanged.connect(self._choose_method)
        self.scale_combo.currentTextChanged.connect(self.changed)
        self.settings_button.clicked.connect(self.settings_wanted)
        self.weights_button.clicked.connect(self.weights_wanted)
        self.train_button.clicked.connect(self.training_wanted)
        self._show_methods([], "")

    def ask_engine(self) -> None:
        """Ask the engine for its methods, unless this engine has answered already or is about to."""
        try:
            engine = find_engine()
        except EngineError as error:
            self._engine = None
            self._fail(str(error))
            return
        if engine == self._engine:
            return
        self.stop()
        self._engine = engine
        self._show_methods([], "Asking the engine for its methods…")
        self._question.ask({"kind": "probe"})

    def ask_again(self, choose: str = "") -> None:
        """Weights have come or gone: ask for the methods again.

        Args:
            choose: Name of the method to choose then; empty keeps the present one where it is still there.
        """
        present = self.method_combo.currentData() or {}
        self._wanted = choose or present.get("name", "")
        self.stop()
        self._engine = None
        self.ask_engine()

    def stop(self) -> None:
        """Wait no longer for the engine's answer."""
        if self._question.open:
            self._question.stop()
            self._engine = None

    def method(self) -> dict[str, Any]:
        """What the engine says of the chosen method.

        Raises:
            EngineError: The engine has not said yet what it can do.
        """
        chosen = self.method_combo.currentData()
        if chosen is None:
            raise EngineError(self.description.text())
        return dict(chosen)

    def is_automatic(self) -> bool:
        """Whether the engine shall choose the method."""
        return bool((self.method_combo.currentData() or {}).get("name") == "auto")

    def scale(self) -> int:
        """The chosen scale.

        Raises:
            EngineError: What was typed is no whole number.
        """
        text = self.scale_combo.currentText().strip().lstrip("×")
        if not text.isdecimal() or int(text) < 2:
            raise EngineError(
                f"The scale '{text}' is no whole number of 2 or more: give the coarse pixel divided by the fine pixel."
            )
        return int(text)

    def _take_answer(self, answer: dict[str, Any]) -> None:
        self._show_methods(answer["methods"], "")
        names = [method["name"] for method in answer["methods"]]
        chosen = next((name for name in (self._wanted, answer["default_method"]) if name in names), None)
        if chosen is not None:
            self.method_combo.setCurrentIndex(names.index(chosen))
        versions = ", ".join(f"{name} {version}" for name, version in answer["versions"].items())
        devices = ", ".join(device["name"] for device in answer["devices"])
        self.engine_described.emit(
            f"Engine {answer['version']} on {devices}: Python {answer['python']} ({answer['executable']}), {versions}"
        )

    def _fail(self, sentence: str) -> None:
        self._engine = None  # ask again when the dock is shown again
        self._show_methods([], sentence)
        self.settings_button.show()

    def _show_methods(self, methods: list[dict[str, Any]], instead: str) -> None:
        self.method_combo.clear()
        for method in methods:
            self.method_combo.addItem(_label(method), method)
            self.method_combo.setItemData(
                self.method_combo.count() - 1, method["description"], Qt.ItemDataRole.ToolTipRole
            )
        self.method_combo.setEnabled(bool(methods))
        self.scale_combo.setEnabled(bool(methods))
        self.weights_button.setEnabled(bool(methods))
        self.train_button.setEnabled(bool(methods))
        self.settings_button.hide()
        if not methods:
            self._describe(instead)

    def _describe(self, text: str) -> None:
        self.description.setText(text)
        self.description.setVisible(bool(text))

    def _choose_method(self) -> None:
        method = self.method_combo.currentData()
        if method is None:
            return
        self._describe(method["description"])
        wanted = self.scale_combo.currentText() or "4"
        scales = method["scales"] or [scale for scale in _USUAL_SCALES if scale <= method["max_scale"]]
        self.scale_combo.blockSignals(True)
        self.scale_combo.clear()
        self.scale_combo.addItems([str(scale) for scale in scales])
        self.scale_combo.setEditable(method["scales"] is None)
        if self.scale_combo.findText(wanted) >= 0 or self.scale_combo.isEditable():
            self.scale_combo.setCurrentText(wanted)
        self.scale_combo.blockSignals(False)
        self.changed.emit()


def _label(method: dict[str, Any]) -> str:
    notes = []
    if not method["guided"]:
        notes.append("no guidance")
    if method["scales"]:
        notes.append("×" + ", ".join(str(scale) for scale in method["scales"]))
    return f"{method['label']} ({'; '.join(notes)})" if notes else str(method["label"])
