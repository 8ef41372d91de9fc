"""The dialog that makes weights of a ``.pth`` file of another program, and shows which tensors found their places."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .engine import EngineError
from .question import Question
from .roles import LABELS

_HINT = (
    "The file is read as numbers only, never run. Name the network it was trained as; every tensor must find its place."
)


class ImportDialog(QDialog):
    """File, network and its arguments in; a table of tensors out, and the weights in the registry if all fit."""

    imported = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("GroklstImportDialog")
        self.setWindowTitle("Import weights")
        self.resize(780, 680)
        hint = QLabel(_HINT)
        hint.setWordWrap(True)
        self.file = QgsFileWidget()
        self.file.setObjectName("importFile")
        self.file.setFilter("PyTorch files (*.pth *.pt *.bin);;All files (*)")
        self.name = QLineEdit()
        self.name.setObjectName("importName")
        self.model = QComboBox()
        self.model.setObjectName("importModel")
        self.preset = QComboBox()
        self.preset.setObjectName("importPreset")
        self.arguments = QLineEdit()
        self.arguments.setObjectName("importArguments")
        self.arguments.setPlaceholderText("e.g. n_resblocks=16, num_feats=64; empty for those of the preset")
        self.published = QCheckBox("As published, where GrokLST's form differs")
        self.published.setObjectName("importPublished")
        self.scale = QSpinBox()
        self.scale.setObjectName("importScale")
        self.scale.setRange(2, 64)
        self.scale.setValue(4)
        self.roles = QLineEdit()
        self.roles.setObjectName("importRoles")
        self.roles.setPlaceholderText("e.g. dem, blue, green, red, nir, in the order of training")
        self.prefix = QLineEdit()
        self.prefix.setObjectName("importPrefix")
        self.prefix.setPlaceholderText("e.g. generator.")
        self.tensors = QTreeWidget()
        self.tensors.setObjectName("importTensors")
        self.tensors.setAccessibleName("Tensors of the network and of the file")
        self.tensors.setRootIsDecorated(False)
        self.tensors.setHeaderLabels(["State", "In the network", "Shape", "In the file", "Shape"])
        self.tensors.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.message = QLabel()
        self.message.setObjectName("importMessage")
        self.message.setWordWrap(True)
        self.import_button = QPushButton("Import")
        self.import_button.setObjectName("importButton")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(hint)
        for label, widget in (
            ("File", self.file),
            ("Name", self.name),
            ("Network", self.model),
            ("Size", self.preset),
            ("Arguments", self.arguments),
            ("Form", self.published),
            ("Scale", self.scale),
            ("Guidance bands", self.roles),
            ("Prefix of the names", self.prefix),
        ):
            form.addRow(label, widget)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(self.import_button, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.tensors, 1)
        layout.addWidget(self.message)
        layout.addWidget(buttons)

        self._folder = tempfile.TemporaryDirectory(prefix="groklst_import_")
        self._report = Path(self._folder.name) / "report.json"
        self._models, self._importing, self._adding = (Question("Import weights", 0, self) for _ in range(3))
        self._models.answered.connect(self._fill_models)
        self._models.failed.connect(self._refuse)
        self._importing.answered.connect(self._on_imported)
        self._importing.failed.connect(self._on_misfit)
        self._adding.answered.connect(self._on_added)
        self._adding.failed.connect(self._refuse)
        self.file.fileChanged.connect(self._suggest_name)
        self.model.currentIndexChanged.connect(self._fill_presets)
        self.import_button.clicked.connect(self._import)
        self.finished.connect(self._stop)
        self._models.ask({"kind": "models"})

    def _stop(self, *_: Any) -> None:
        for question in (self._models, self._importing, self._adding):
            question.stop()
        self._folder.cleanup()

    def _suggest_name(self, path: str) -> None:
        self.name.setText(Path(path).stem.lower())

    def _fill_models(self, answer: dict[str, Any]) -> None:
        for model in answer["models"]:
            self.model.addItem(model["label"], model)

    def _fill_presets(self) -> None:
        model = self.model.currentData()
        self.preset.clear()
        self.preset.addItem("As designed", None)
        for preset in model["presets"] if model else ():
            self.preset.addItem(preset, preset)

    def _job(self) -> dict[str, Any]:
        """The import as a job.

        Raises:
            EngineError: Something is missing or misspelt.
        """
        model, file = self.model.currentData(), self.file.filePath().strip()
        if not file or model is None:
            raise EngineError("Choose the file and the network it was trained as.")
        roles = [role.strip().lower() for role in self.roles.text().split(",") if role.strip()]
        unknown = next((role for role in roles if role not in LABELS), None)
        if unknown is not None:
            raise EngineError(f"'{unknown}' is no role of a guidance band: choose of {', '.join(LABELS)}.")
        return {
            "kind": "weights-import",
            "file": file,
            "model": model["name"],
            "preset": self.preset.currentData(),
            "arguments": parse_arguments(self.arguments.text()),
            "reference_compat": self.published.isChecked(),
            "scale": self.scale.value(),
            "roles": roles,
            "prefix": self.prefix.text().strip(),
            "label": self.name.text().strip(),
            "report": str(self._report),
            "output": str(Path(self._folder.name) / "imported.safetensors"),
            "overwrite": True,
        }

    def _import(self) -> None:
        self.tensors.clear()
        self._report.unlink(missing_ok=True)
        try:
            job = self._job()
        except EngineError as error:
            self._refuse(str(error))
            return
        self.import_button.setEnabled(False)
        self.message.setText("Comparing the tensors…")
        self._importing.ask(job)

    def _on_imported(self, answer: dict[str, Any]) -> None:
        self._show_tensors()
        self._adding.ask({"kind": "weights-add", "file": answer["output"], "name": self.name.text().strip()})

    def _on_misfit(self, sentence: str) -> None:
        self._show_tensors()
        self._refuse(sentence)

    def _on_added(self, answer: dict[str, Any]) -> None:
        self.import_button.setEnabled(True)
        self.message.setText(f"All tensors fit; '{answer['name']}' is a method now. Evaluate it before use.")
        self.imported.emit(answer["name"])

    def _refuse(self, sentence: str) -> None:
        self.import_button.setEnabled(True)
        self.message.setText(sentence)

    def _show_tensors(self) -> None:
        """The report, misfits first."""
        try:
            rows = json.loads(self._report.read_text("utf-8"))
        except (OSError, ValueError):  # it failed before it looked at the tensors
            return
        for row in sorted(rows, key=lambda row: row["state"].startswith("matched")):
            cells = (row["state"], row["name"], row["shape"], row["foreign"], row["foreign_shape"])
            self.tensors.addTopLevelItem(QTreeWidgetItem([_cell(cell) for cell in cells]))


def parse_arguments(text: str) -> dict[str, Any]:
    """``name=value`` pairs with commas between; values as in JSON, else words.

    Raises:
        EngineError: A piece is no such pair.
    """
    arguments: dict[str, Any] = {}
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not (name and equals and value):
            raise EngineError(f"'{piece}' is no argument: write name=value, with commas between.")
        try:
            arguments[name] = json.loads(value)
        except ValueError:
            arguments[name] = value
    return arguments


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(map(str, value)) or "number"
    return "" if value is None else str(value)
