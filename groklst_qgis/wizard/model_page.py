"""Page 2 of the training wizard: which network, and what it knows at the start."""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHeaderView,
    QLabel,
    QStackedWidget,
    QTextBrowser,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
    QWizardPage,
)

from ..choices import DERIVED, INDICES
from ..question import Question
from ..roles import LABELS
from .data_page import DataPage
from .speed import SpeedLabel
from .start_box import StartBox

_MODEL = Qt.ItemDataRole.UserRole
_FIRST_CHOICE = "guided-residual"
_COLUMNS = ("Network", "Guidance", "Parameters (M)", "Scales", "Published")


class ModelPage(QWizardPage):
    """A list to search, and what is known of the chosen network; or weights to fine-tune, and their card.

    Args:
        data: The page before: its guidance bands decide what fits.
    """

    def __init__(self, data: DataPage) -> None:
        super().__init__()
        self.setTitle("Network")
        self.setSubTitle("GrokLST's own network is a good start; the others are those of the GrokLST benchmark.")
        self._data = data
        self.start = StartBox()
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
        self.card = QTextBrowser()
        self.card.setObjectName("startCard")
        self.card.setPlaceholderText("The model card of the weights is shown here.")
        self.card.setAccessibleName("Model card of the weights to fine-tune")
        self.about = QLabel()
        self.about.setObjectName("modelAbout")
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.RichText)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.preset = QComboBox()
        self.preset.setObjectName("presetCombo")
        self.preset.setToolTip("Smaller networks learn and compute faster")
        self.further = QCheckBox()
        self.further.setObjectName("furtherBands")
        self.further.setToolTip(
            "The network learns to use guidance bands that the weights do not know, beginning with no influence.\n"
            "Not every network can take them: the training says so when it starts."
        )
        self.speed = SpeedLabel()

        details = QGroupBox("Chosen network")
        form = QFormLayout(details)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.about)
        form.addRow("Size", self.preset)
        form.addRow(self.further)
        form.addRow("Speed", self.speed)
        networks = QWidget()
        column = QVBoxLayout(networks)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.search)
        column.addWidget(self.list, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(networks)
        self._stack.addWidget(self.card)
        layout = QVBoxLayout(self)
        layout.addWidget(self.start)
        layout.addWidget(self._stack, 1)
        layout.addWidget(details)

        self._failure = ""
        self._question = Question("Ask GrokLST's engine for its networks", 0, self)
        self._question.answered.connect(self._fill)
        self._question.failed.connect(self._refuse)
        self.search.textChanged.connect(self._filter)
        self.list.currentItemChanged.connect(self._choose)
        self.start.changed.connect(self._choose)
        self.further.toggled.connect(self._choose)
        self.preset.currentIndexChanged.connect(self._measure)

    def initializePage(self) -> None:  # noqa: N802 - Qt's name
        """Ask for the networks and the weights there are, once."""
        self.start.list_weights()
        if not self.list.topLevelItemCount() and not self._question.open:
            self._failure = ""
            self._question.ask({"kind": "models"})
        self._choose()

    def model(self) -> dict[str, Any] | None:
        """What the engine says of the network, the chosen one or that of the weights; None before."""
        if not self.start.fine_tuning:
            item = self.list.currentItem()
            return None if item is None or item.isHidden() else item.data(0, _MODEL)
        models = (self.list.topLevelItem(row).data(0, _MODEL) for row in range(self.list.topLevelItemCount()))
        name = self.start.card["architecture"] if self.start.card else None
        return next((model for model in models if model["name"] == name), None)

    def network(self) -> dict[str, Any]:
        """What a train job is told of its network: that of the weights to fine-tune is theirs."""
        if self.start.fine_tuning:
            return {"start_from": self.start.weights, "roles": self._further_roles()}
        model = self.model()
        assert model is not None
        roles = self._data.roles() if model["guided"] else []
        return {"model": model["name"], "preset": self.preset.currentData(), "roles": roles}

    def sizes(self) -> dict[str, Any] | None:
        """What the engine needs to know of the network to measure a step; None while none can be trained."""
        model, card = self.model(), self.start.card
        if model is None or self._objection(model):
            return None
        if card is not None:
            bands = len(card["roles"]) + len(self._further_roles())
            return {"model": model["name"], "arguments": card["arguments"], "guidance_bands": bands}
        bands = len(self._data.roles()) if model["guided"] else 0
        return {"model": model["name"], "preset": self.preset.currentData(), "guidance_bands": bands}

    def isComplete(self) -> bool:  # noqa: N802 - Qt's name
        """Whether a network is chosen that these data can train."""
        model = self.model()
        return model is not None and not self._objection(model)

    def stop(self) -> None:
        """Ask nothing any more."""
        self._question.stop()
        self.start.stop()
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

    def _refuse(self, sentence: str) -> None:
        self._failure = sentence
        self._choose()

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for row in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(row)
            model = item.data(0, _MODEL)
            known = " ".join([model["name"], model["label"], model["description"], _paper(model, full=True)]).lower()
            item.setHidden(not all(word in known for word in words))
        self._choose()

    def _choose(self) -> None:
        model, card = self.model(), self.start.card
        self._stack.setCurrentIndex(int(self.start.fine_tuning))
        self.card.setMarkdown(self.start.text)
        self._offer_further()
        self._offer_presets(model)
        if model is None:
            self.about.setText(self._why_none())
        else:
            objection = self._objection(model)
            parts = self._about_weights(model, card) if card else _about(model)
            self.about.setText("<br/>".join([*parts, *([f"<b>{escape(objection)}</b>"] if objection else [])]))
        self._measure()
        self.completeChanged.emit()

    def _why_none(self) -> str:
        """Why no network is chosen; the box of the weights tells for itself what is wrong with them."""
        if self._failure or self.start.fine_tuning:
            return self._failure
        if self._question.open:
            return "Asking the engine for its networks…"
        return "The chosen network is not in the list: choose one of those found, or clear the search."

    def _about_weights(self, model: dict[str, Any], card: dict[str, Any]) -> list[str]:
        """What the weights to fine-tune bring along, and what of it the scenes serve."""
        scales = ", ".join(f"×{scale}" for scale in card["scales"])
        parts = [f"<b>{escape(card['label'] or self.start.name)}</b>: {escape(model['label'])}, for {scales}."]
        served = self._served_roles()
        missing = [LABELS[role] for role in card["roles"] if role not in served]
        if served:
            parts.append(f"Guidance bands of the weights that the scenes have: {_listed(served)}.")
        if served and missing:
            parts.append(f"The others count as absent: {', '.join(missing)}.")
        return parts

    def _served_roles(self) -> list[str]:
        """Bands of the weights to fine-tune that the scenes have, or that are computed from theirs."""
        have = set(self._data.roles())
        computed = {index for index in INDICES if have.issuperset(DERIVED[index].bands)}
        return [role for role in (self.start.card or {}).get("roles", ()) if role in have | computed]

    def _unknown_roles(self) -> list[str]:
        """Bands of the scenes that the weights to fine-tune do not know, where their network takes bands."""
        known = (self.start.card or {}).get("roles")
        return [role for role in self._data.roles() if role not in known] if known else []

    def _further_roles(self) -> list[str]:
        """The bands to learn beyond those of the weights."""
        return self._unknown_roles() if self.further.isChecked() else []

    def _offer_further(self) -> None:
        unknown = self._unknown_roles()
        self.further.setText(f"Also learn from bands that the weights do not know: {_listed(unknown)}")
        self.further.setVisible(bool(unknown))

    def _offer_presets(self, model: dict[str, Any] | None) -> None:
        """Sizes of the network; weights have theirs."""
        before = self.preset.currentData()
        self.preset.blockSignals(True)
        self.preset.clear()
        self.preset.setEnabled(model is not None and not self.start.fine_tuning)
        if self.start.fine_tuning:
            self.preset.addItem("That of the weights", None)
        elif model is not None:
            own = [] if "paper" in model["presets"] else [None]
            for preset in [*own, *sorted(model["presets"], key=lambda name: name != "small")]:
                labels = {None: "As designed", "small": "Small: for a processor", "paper": "As published"}
                self.preset.addItem(labels.get(preset, preset), preset)
            self.preset.setCurrentIndex(max(0, self.preset.findData(before)))
        self.preset.blockSignals(False)

    def _objection(self, model: dict[str, Any]) -> str:
        if not model["guided"]:
            return ""
        if self.start.card is not None:
            known = self.start.card["roles"]
            if not known or self._served_roles() or self._further_roles():
                return ""
            return f"The scenes have none of the guidance bands of these weights: add layers of {_listed(known)}."
        if not self._data.roles():
            return "This network needs guidance bands, and the scenes have none in common: choose one without guidance."
        return ""

    def _measure(self) -> None:
        sizes, model = self.sizes(), self.model()
        if sizes is None or model is None:
            self.speed.stop()
            self.speed.setText("")
            return
        scales = self.start.card["scales"] if self.start.card else model["scales"]
        self.speed.ask({**sizes, "scale": 4 if 4 in scales else scales[0]})


def _listed(roles: list[str]) -> str:
    return ", ".join(LABELS[role] for role in roles)


def _about(model: dict[str, Any]) -> list[str]:
    paper = _paper(model, full=True)
    parts = [f"<b>{escape(model['label'])}</b>: {escape(model['description'])}"]
    return [*parts, f"<i>{escape(paper)}</i>"] if paper else parts


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
