"""The dialog "Manage weights": what is there, with its model card; rename, export, delete, add, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QInputDialog,
    QLabel,
    QMessageBox,
    QPushButton,
    QSplitter,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .import_dialog import ImportDialog
from .question import Question

_ENTRY = Qt.ItemDataRole.UserRole
_WEIGHTS = "Weights (*.safetensors)"


class WeightsDialog(QDialog):
    """Shipped weights can be looked at and exported, the user's own also renamed and deleted."""

    weights_changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("GroklstWeightsDialog")
        self.setWindowTitle("Manage weights")
        self.resize(940, 560)
        self.list = QTreeWidget()
        self.list.setObjectName("weightsList")
        self.list.setAccessibleName("Weights")
        self.list.setRootIsDecorated(False)
        self.list.setHeaderLabels(["Name", "Network", "Scales", "Origin"])
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.card = QTextBrowser()
        self.card.setObjectName("weightsCard")
        self.card.setAccessibleName("Model card")
        self.message = QLabel()
        self.message.setObjectName("weightsMessage")
        self.message.setWordWrap(True)
        self.rename_button = _button("weightsRename", "Rename…", "Give the chosen weights another name")
        self.export_button = _button("weightsExport", "Export…", "Copy the chosen weights to a file elsewhere")
        self.delete_button = _button("weightsDelete", "Delete…", "Delete the chosen weights")
        self.add_button = _button("weightsAdd", "Add file…", "Add a weights file of GrokLST")
        self.import_button = _button("weightsImport", "Import .pth…", "Make weights of a file of another program")
        grid = QGridLayout()
        for column, button in enumerate((self.rename_button, self.export_button, self.delete_button)):
            grid.addWidget(button, 0, column)
        for column, button in enumerate((self.add_button, self.import_button)):
            grid.addWidget(button, 1, column)
        left = QWidget()
        column_layout = QVBoxLayout(left)
        column_layout.setContentsMargins(0, 0, 0, 0)
        column_layout.addWidget(self.list)
        column_layout.addLayout(grid)
        splitter = QSplitter()
        splitter.addWidget(left)
        splitter.addWidget(self.card)
        splitter.setSizes([440, 500])
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(splitter, 1)
        layout.addWidget(self.message)
        layout.addWidget(close)

        self._folder = ""
        self._wanted = ""  # to be chosen when the list comes
        self._listing, self._showing, self._acting = (Question("Manage GrokLST's weights", 0, self) for _ in range(3))
        self._listing.answered.connect(self._fill)
        self._listing.failed.connect(self.message.setText)
        self._showing.answered.connect(lambda answer: self.card.setMarkdown(answer["text"]))
        self._showing.failed.connect(self.card.setPlainText)
        self._acting.answered.connect(self._on_done)
        self._acting.failed.connect(self._on_refused)
        self.list.currentItemChanged.connect(self._choose)
        for button, slot in (
            (self.rename_button, self._rename),
            (self.export_button, self._export),
            (self.delete_button, self._delete),
            (self.add_button, self._add),
            (self.import_button, self._import),
        ):
            button.clicked.connect(slot)
        self.finished.connect(self._stop)
        self._choose()
        self._refresh()

    def _stop(self, *_: Any) -> None:
        for question in (self._listing, self._showing, self._acting):
            question.stop()

    def _refresh(self, wanted: str = "") -> None:
        self._wanted = wanted
        self._listing.ask({"kind": "weights-list"})

    def _fill(self, answer: dict[str, Any]) -> None:
        self._folder = answer["folder"]
        self.list.clear()
        for entry in answer["weights"]:
            scales = ", ".join(map(str, entry.get("scales", ())))
            origin = "shipped" if entry["shipped"] else "own"
            item = QTreeWidgetItem([entry["name"], entry.get("architecture", ""), scales, origin])
            item.setData(0, _ENTRY, entry)
            item.setToolTip(0, entry["problem"] or entry["path"])
            if entry["problem"]:
                item.setText(3, "damaged")
            self.list.addTopLevelItem(item)
            if entry["name"] == self._wanted:
                self.list.setCurrentItem(item)
        for column in range(self.list.columnCount()):
            self.list.resizeColumnToContents(column)
        if self.list.currentItem() is None:
            self.list.setCurrentItem(self.list.topLevelItem(0))

    def _entry(self) -> dict[str, Any]:
        item = self.list.currentItem()
        return {} if item is None else dict(item.data(0, _ENTRY))

    def _choose(self) -> None:
        entry = self._entry()
        own = bool(entry) and not entry["shipped"]
        self.rename_button.setEnabled(own)
        self.delete_button.setEnabled(own)
        self.export_button.setEnabled(bool(entry) and not entry["problem"])
        self._showing.stop()
        if not entry:
            self.card.clear()
        elif entry["problem"]:
            self.card.setPlainText(entry["problem"])
        else:
            self._showing.ask({"kind": "weights-show", "name": entry["name"]})

    def _act(self, job: dict[str, Any], sentence: str) -> None:
        self.message.setText(sentence)
        self._acting.ask(job)

    def _on_done(self, answer: dict[str, Any]) -> None:
        kind = answer["kind"]
        sentences = {
            "weights-rename": f"Renamed to '{answer.get('name')}'.",
            "weights-export": f"Exported to {answer.get('output')}.",
            "weights-delete": "Deleted.",
            "weights-add": f"'{answer.get('name')}' is a method now.",
        }
        self.message.setText(sentences[kind])
        if kind != "weights-export":
            self._refresh(str(answer.get("name", "")))
            self.weights_changed.emit()

    def _on_refused(self, sentence: str) -> None:
        self.message.setText(sentence)

    def _rename(self) -> None:
        name = self._entry()["name"]
        text, accepted = QInputDialog.getText(self, "Rename weights", "New name", text=name)
        if accepted and text.strip() != name:
            self._act({"kind": "weights-rename", "name": name, "new_name": text.strip()}, "Renaming…")

    def _export(self) -> None:
        name = self._entry()["name"]
        path, _ = QFileDialog.getSaveFileName(self, "Export weights", f"{name}.safetensors", _WEIGHTS)
        if path:  # the file dialog has asked whether it may be replaced
            file = path if path.endswith(".safetensors") else f"{path}.safetensors"
            self._act({"kind": "weights-export", "name": name, "file": file, "overwrite": True}, "Exporting…")

    def _delete(self) -> None:
        name = self._entry()["name"]
        question = f"Delete the weights '{name}' for good? Their file is in {self._folder}."
        if QMessageBox.question(self, "Delete weights", question) == QMessageBox.StandardButton.Yes:
            self._act({"kind": "weights-delete", "name": name}, "Deleting…")

    def _add(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Add a weights file", "", _WEIGHTS)
        if path:
            name = Path(path).stem.lower()
            self._act({"kind": "weights-add", "file": path, "name": name}, "Checking the file…")

    def _import(self) -> None:
        dialog = ImportDialog(self)
        dialog.imported.connect(self._on_imported)
        dialog.open()

    def _on_imported(self, name: str) -> None:
        self.message.setText(f"'{name}' is a method now: evaluate it before use.")
        self._refresh(name)
        self.weights_changed.emit()


def _button(name: str, text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    return button
