"""Page 2 of the training wizard: which network."""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHeaderView,
    QLabel,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWizardPage,
)

from ..question import Question
from .data_page import DataPage
from .speed import SpeedLabel

_MODEL = Qt.ItemDataRole.UserRole
_FIRST_CHOICE = "guided-residual"
_COLUMNS = ("Network", "Guidance", "Parameters (M)", "Scales", "Published")


class ModelPage(QWizardPage):
    """A list to search, and what is known of the chosen network.

    Args:
        data: The page before: its guidance bands decide what fits.
    """

    def __init__(self, data: DataPage) -> None:
        super().__init__()
        self.setTitle("Network")
        self.setSubTitle("GrokLST's own network is a good start; the others are those of the GrokLST benchmark.")
        self._data = data
        self.search = QgsFilterLineEdit()
        self.search.setObjectName("modelSearch")
        self.search.setAccessibleName("Search the networks")
        self.search.setShowSearchIcon(True)
        self.search.setPlaceholderText("Search by name, purpose, paper…")
        self.list = QTreeWidget()
        self.list.setObjectName("modelList")
        self.list.setAccessibleName("Networks")
        self.list.setRootIsDecorated(False)
        self.list.setHeaderLabels(_COLUMNS)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.about = QLabel()
        self.about.setObjectName("modelAbout")
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.RichText)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.preset = QComboBox()
        self.preset.setObjectName("presetCombo")
        self.speed = SpeedLabel()

        details = QGroupBox("Chosen network")
        form = QFormLayout(details)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.about)
        form.addRow("Size", self.preset)
        form.addRow("Speed", self.speed)
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addWidget(details)

        self._question = Question("Ask GrokLST's engine for its networks", 0, self)
        self._question.answered.connect(self._fill)
        self._question.failed.connect(self.about.setText)
        self.search.textChanged.connect(self._filter)
        self.list.currentItemChanged.connect(self._choose)
        self.preset.currentIndexChanged.connect(self._measure)

    def initializePage(self) -> None:  # noqa: N802 - Qt's name
        """Ask for the networks, once."""
        if self.list.topLevelItemCount():
            self._choose()
        elif not self._question.open:
            self.about.setText("Asking the engine for its networks…")
            self._question.ask({"kind": "models"})

    def model(self) -> dict[str, Any] | None:
        """What the engine says of the chosen network; None before."""
        item = self.list.currentItem()
        return None if item is None or item.isHidden() else item.data(0, _MODEL)

    def isComplete(self) -> bool:  # noqa: N802 - Qt's name
        """Whether a network is chosen that these data can train."""
        model = self.model()
        return model is not None and not self._objection(model)

    def stop(self) -> None:
        """Ask nothing any more."""
        self._question.stop()
        self.speed.stop()

    def _fill(self, answer: dict[str, Any]) -> None:
        for model in sorted(
            answer["models"], key=lambda model: (model["name"] != _FIRST_CHOICE, model["label"].lower())
        ):
            item = QTreeWidgetItem(
                [model["label"], "yes" if model["guided"] else "no", _parameters(model), _scales(model), _paper(model)]
            )
            item.setData(0, _MODEL, model)
            item.setToolTip(0, model["description"])
            self.list.addTopLevelItem(item)
        self.list.setCurrentItem(self.list.topLevelItem(0))

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            model = item.data(0, _MODEL)
            known = " ".join([model["name"], model["label"], model["description"], _paper(model, full=True)]).lower()
            item.setHidden(not all(word in known for word in words))
        self.completeChanged.emit()

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is None:
            return
        model = item.data(0, _MODEL)
        paper = _paper(model, full=True)
        parts = [f"<b>{escape(model['label'])}</b>: {escape(model['description'])}"]
        parts += [f"<i>{escape(paper)}</i>"] if paper else []
        if objection := self._objection(model):
            parts.append(f"<b>{escape(objection)}</b>")
        self.about.setText("<br/>".join(parts))
        self.preset.blockSignals(True)
        self.preset.clear()
        own = [] if "paper" in model["presets"] else [None]
        for preset in [*own, *sorted(model["presets"], key=lambda name: name != "small")]:
            labels = {None: "As designed", "small": "Small: for a processor", "paper": "As published"}
            self.preset.addItem(labels.get(preset, preset), preset)
        self.preset.blockSignals(False)
        self._measure()
        self.completeChanged.emit()

    def _objection(self, model: dict[str, Any]) -> str:
        if model["guided"] and not self._data.roles():
            return "This network needs guidance bands, and the scenes have none in common: choose one without guidance."
        return ""

    def _measure(self) -> None:
        model = self.model()
        if model is None or self._objection(model):
            self.speed.stop()
            self.speed.setText("")
            return
        self.speed.ask(
            {
                "model": model["name"],
                "preset": self.preset.currentData(),
                "scale": 4 if 4 in model["scales"] else model["scales"][0],
                "guidance_bands": len(self._data.roles()),
            }
        )


def _parameters(model: dict[str, Any]) -> str:
    numbers = [cost["parameters"] / 1e6 for cost in model["costs"].values()]
    return f"{numbers[0]:.3g}" if numbers else ""


def _scales(model: dict[str, Any]) -> str:
    return "any" if model["several_scales"] else ", ".join(map(str, model["scales"]))


def _paper(model: dict[str, Any], full: bool = False) -> str:
    paper = model["paper"]
    if not paper:
        return "" if full else "here"
    short = f"{paper['venue']} {paper['year']}"
    return f"{paper['authors']}: {paper['title']}. {short} {paper['doi']}".strip() if full else short
