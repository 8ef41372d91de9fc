"""The part of the network page that says what a training starts from: random weights, kept weights, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QGroupBox, QLabel

from ..question import Question

_SUFFIX = ".safetensors"
_RANDOM, _FILE = "", None  # what the list's first and last item hold; the others hold names of weights
_PURPOSE = (
    "Fine-tuning adapts weights that have learned from other scenes to your sensor and landscape; the last page says "
    "whether it has helped."
)


class StartBox(QGroupBox):
    """Random weights, or weights to fine-tune, for whose card the engine is asked.

    Attributes:
        card: Of the weights to fine-tune; None for random ones, and until the engine has answered.
        parts: Of their network: beginnings of names of parameters.
        text: The card for people, Markdown.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Start from")
        self.setObjectName("startBox")
        self.combo = QComboBox()
        self.combo.setObjectName("startCombo")
        self.combo.setAccessibleName("Weights to start from")
        self.combo.addItem("Random weights", _RANDOM)
        self.combo.addItem("Weights file…", _FILE)
        self.file = QgsFileWidget()
        self.file.setObjectName("startFile")
        self.file.setFilter(f"Weights (*{_SUFFIX})")
        self.file.setDialogTitle("Choose weights to fine-tune")
        self.file.lineEdit().setAccessibleName("Weights file to fine-tune")
        self.file.hide()
        purpose = QLabel(_PURPOSE)
        purpose.setWordWrap(True)
        self.message = QLabel()
        self.message.setObjectName("startMessage")
        self.message.setAccessibleName("What speaks against these weights")
        self.message.setWordWrap(True)
        self.message.hide()
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Weights", self.combo)
        form.addRow(self.file)
        form.addRow(purpose)
        form.addRow(self.message)

        self.card: dict[str, Any] | None = None
        self.parts: list[str] = []
        self.text = ""
        self._listing = Question("Ask GrokLST's engine for its weights", 0, self)
        self._listing.answered.connect(self._fill)
        self._listing.failed.connect(self._say)
        self._showing = Question("Ask GrokLST's engine for a model card", 200, self)
        self._showing.answered.connect(self._take_card)
        self._showing.failed.connect(self._say)
        self.combo.currentIndexChanged.connect(self._choose)
        self.file.fileChanged.connect(self._choose)

    @property
    def fine_tuning(self) -> bool:
        """Whether the training starts from weights, known yet or not."""
        return bool(self.combo.currentData() != _RANDOM)

    @property
    def weights(self) -> str:
        """Name or file of the weights to fine-tune; empty for random ones."""
        chosen = self.combo.currentData()
        return str(self.file.filePath().strip() if chosen is _FILE else chosen)

    @property
    def name(self) -> str:
        """Of the weights to fine-tune, without folder and ending where they are a file."""
        return Path(self.weights).name.removesuffix(_SUFFIX)

    def list_weights(self) -> None:
        """Ask for the weights there are, once."""
        if self.combo.count() == 2 and not self._listing.open:
            self._listing.ask({"kind": "weights-list"})

    def stop(self) -> None:
        """Ask nothing any more."""
        self._listing.stop()
        self._showing.stop()

    def _fill(self, answer: dict[str, Any]) -> None:
        """Put the usable weights between the first and the last item."""
        for entry in answer["weights"]:
            if not entry["problem"]:
                scales = ", ".join(map(str, entry["scales"]))
                at = self.combo.count() - 1
                self.combo.insertItem(at, f"{entry['name']} ({entry['architecture']}; ×{scales})", entry["name"])
                self.combo.setItemData(at, entry["label"], Qt.ItemDataRole.ToolTipRole)
        if not self.fine_tuning:
            self._say("")  # an earlier answer may have been that there is no engine

    def _choose(self) -> None:
        self._showing.stop()
        self.card, self.parts, self.text = None, [], ""
        from_file = self.combo.currentData() is _FILE
        self.file.setVisible(from_file)
        if not self.fine_tuning:
            self._say("")
        elif from_file and Path(self.weights).suffix != _SUFFIX:
            self._say(f"Choose a weights file that was made by GrokLST; its name ends in {_SUFFIX}.")
        else:
            self._say("Reading the model card…")
            self._showing.ask({"kind": "weights-show", "name": self.weights})

    def _take_card(self, answer: dict[str, Any]) -> None:
        self.card, self.parts, self.text = answer["card"], answer["parts"], answer["text"]
        self._say("")

    def _say(self, sentence: str) -> None:
        self.message.setText(sentence)
        self.message.setVisible(bool(sentence))
        self.changed.emit()
