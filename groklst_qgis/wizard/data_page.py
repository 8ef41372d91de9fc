"""Page 1 of the training wizard: which scenes to train on, and a look at them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListView,
    QListWidget,
    QListWidgetItem,
    QRadioButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
    QWizardPage,
)

from ..question import Question
from ..roles import LABELS
from .scene_editor import SceneEditor

_SHOWN = 12  # pictures
_LEAST_SIDE = 48  # the engine leaves smaller scenes out


class DataPage(QWizardPage):
    """Layers, a data set, or an interrupted training; below, what the engine sees in them.

    Args:
        unfinished: Folders of trainings that can go on.

    Attributes:
        seen: The engine's answer about the present choice; None until it has come.
    """

    def __init__(self, unfinished: list[Path]) -> None:
        super().__init__()
        self.setTitle("Data")
        self.setSubTitle("The network learns from fine scenes, whose coarse versions are made here.")
        self.from_layers = QRadioButton("Layers and raster files")
        self.from_layers.setObjectName("fromLayers")
        self.from_dataset = QRadioButton("Data set folder")
        self.from_dataset.setObjectName("fromDataset")
        self.from_training = QRadioButton("Interrupted training")
        self.from_training.setObjectName("fromTraining")
        self.from_training.setVisible(bool(unfinished))
        self.from_layers.setChecked(True)
        self.scenes = SceneEditor()
        self.folder = QgsFileWidget()
        self.folder.setObjectName("datasetFolder")
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.lineEdit().setAccessibleName("Folder of the data set")
        self.split = QComboBox()
        self.split.setObjectName("datasetSplit")
        for label, name in (("Training split", "train"), ("Training and validation split", "trainval")):
            self.split.addItem(label, name)
        self.unfinished = QComboBox()
        self.unfinished.setObjectName("unfinishedCombo")
        for path in unfinished:
            self.unfinished.addItem(path.name, path)
        self.pictures = QListWidget()
        self.pictures.setObjectName("chipPictures")
        self.pictures.setAccessibleName("Pictures of the scenes: temperature and guidance")
        self.pictures.setViewMode(QListView.ViewMode.IconMode)
        self.pictures.setMovement(QListView.Movement.Static)
        self.pictures.setResizeMode(QListView.ResizeMode.Adjust)
        self.pictures.setIconSize(QSize(152, 72))
        self.message = QLabel()
        self.message.setObjectName("dataMessage")
        self.message.setAccessibleName("What the data hold, and what speaks against them")
        self.message.setWordWrap(True)

        self._stack = QStackedWidget()
        for widget in (self.scenes, self._make_dataset_form(), self._make_unfinished_form()):
            self._stack.addWidget(widget)
        choices = QHBoxLayout()
        for button in (self.from_layers, self.from_dataset, self.from_training):
            choices.addWidget(button)
            button.toggled.connect(self._choose)
        choices.addStretch()
        look = QGroupBox("Preview")
        column = QVBoxLayout(look)
        column.addWidget(self.pictures)
        column.addWidget(self.message)
        left = QVBoxLayout()
        left.addWidget(self._stack)
        left.addStretch()
        right = QVBoxLayout()
        right.addWidget(self.scenes.made, 2)
        right.addWidget(look, 3)
        columns = QHBoxLayout()
        columns.addLayout(left, 1)
        columns.addLayout(right, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(choices)
        layout.addLayout(columns, 1)

        self.seen: dict[str, Any] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="groklst_preview_")
        self._question = Question("Look at the training data", 400, self)
        self._question.answered.connect(self._show)
        self._question.failed.connect(self._refuse)
        self.scenes.changed.connect(self._ask)
        self.folder.fileChanged.connect(self._ask)
        self.split.currentIndexChanged.connect(self._ask)
        self._choose()

    @property
    def resumed(self) -> Path | None:
        """Folder of the interrupted training that is to go on, if that is the choice."""
        return self.unfinished.currentData() if self.from_training.isChecked() else None

    def data(self) -> dict[str, Any]:
        """``scenes``, or ``dataset`` and ``split``, of a job."""
        if self.from_layers.isChecked():
            return {"scenes": self.scenes.scenes()}
        return {"dataset": self.folder.filePath().strip(), "split": self.split.currentData()}

    def roles(self) -> list[str]:
        """Guidance bands that all scenes have, in the order of their roles."""
        found = self.seen["roles"] if self.seen else []
        return [role for role in LABELS if role in found and role != "other"]

    def isComplete(self) -> bool:  # noqa: N802 - Qt's name
        """Whether there is something to train on."""
        return self.resumed is not None or (self.seen is not None and self.seen["side"] >= _LEAST_SIDE)

    def stop(self) -> None:
        """Ask nothing any more."""
        self._question.stop()
        self._folder.cleanup()

    def _make_dataset_form(self) -> QWidget:
        widget = QWidget()
        form = QFormLayout(widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        hint = QLabel(
            "A folder made by Prepare a data set, or the GrokLST data set, which holds the folders 30m and split."
        )
        hint.setWordWrap(True)
        form.addRow(hint)
        form.addRow("Folder", self.folder)
        form.addRow("Train on", self.split)
        return widget

    def _make_unfinished_form(self) -> QWidget:
        widget = QWidget()
        form = QFormLayout(widget)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Training", self.unfinished)
        return widget

    def _choose(self) -> None:
        buttons = (self.from_layers, self.from_dataset, self.from_training)
        self._stack.setCurrentIndex(next(i for i, button in enumerate(buttons) if button.isChecked()))
        self.scenes.made.setVisible(self.from_layers.isChecked())
        self._ask()

    def _ask(self) -> None:
        self.seen = None
        self.pictures.clear()
        self._question.stop()
        data = self.data()
        if self.resumed is not None:
            self.message.setText("The training goes on where it stopped.")
        elif self.from_layers.isChecked() and not data["scenes"]:
            self.message.setText("Choose the layers of a scene, then Add scene; more scenes make a better network.")
        elif self.from_dataset.isChecked() and not data["dataset"]:
            self.message.setText("Choose the folder of a data set.")
        else:
            self.message.setText("Looking at the data…")
            self._question.ask({"kind": "preview", **data, "count": _SHOWN, "output": self._folder.name})
        self.completeChanged.emit()

    def _show(self, seen: dict[str, Any]) -> None:
        self.seen = seen
        for chip in seen["chips"]:
            text = f"{chip['name']}\n{chip['width']} × {chip['height']}, {chip['coverage']:.0%} valid"
            item = QListWidgetItem(QIcon(_pair(chip["lst"], chip["guidance"])), text)
            item.setToolTip(text)
            self.pictures.addItem(item)
        bands = ", ".join(LABELS[role] for role in self.roles()) or "none"
        lines = [f"Warning: {warning}" for warning in seen["warnings"]]
        if seen["side"] < _LEAST_SIDE:
            lines.append(
                f"The smallest scene has {seen['side']} pixels a side, and {_LEAST_SIDE} are needed: "
                "take it out, or give a larger one."
            )
        lines.append(f"Scenes: {seen['total']}. Guidance bands of all: {bands}.")
        self.message.setText("\n".join(lines))
        self.completeChanged.emit()

    def _refuse(self, sentence: str) -> None:
        self.message.setText(sentence)
        self.completeChanged.emit()


def _pair(lst: str, guidance: str | None) -> QPixmap:
    """Temperature on the left, guidance on the right."""
    pixmap = QPixmap(152, 72)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    for at, path in ((0, lst), (80, guidance)):
        if path:
            smooth = Qt.TransformationMode.SmoothTransformation
            painter.drawPixmap(at, 0, QPixmap(path).scaled(72, 72, Qt.AspectRatioMode.KeepAspectRatio, smooth))
    painter.end()
    return pixmap
