"""Page 5 of the training wizard: how good the network is, and "Use it now"."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QTextBrowser, QVBoxLayout, QWizardPage

from ..question import Question
from ..training import Training

_SCORES = (
    ("RMSE", "rmse"),
    ("MAE", "mae"),
    ("Bias", "bias"),
    ("CC", "cc"),
    ("RSD", "rsd"),
    ("÷ bicubic", "rmse_to_bicubic"),
)


class ResultPage(QWizardPage):
    """Scores beside bicubic's, the model card, and what to do next."""

    registered = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("Result")
        self.setSubTitle("Scored on the test split, which the network has not seen.")
        self._training: Training | None = None
        self.verdict = QLabel()
        self.verdict.setObjectName("resultVerdict")
        self.verdict.setWordWrap(True)
        self.browser = QTextBrowser()
        self.browser.setObjectName("resultBrowser")
        self.browser.setAccessibleName("Scores and model card")
        self.use_button = QPushButton("Use it now")
        self.use_button.setObjectName("useButton")
        self.use_button.setToolTip("Make it a method of GrokLST and choose it in the panel")
        self.name = QLineEdit()
        self.name.setObjectName("useName")
        self.name.setAccessibleName("Name of the new method")
        self.name.setMaximumWidth(24 * self.fontMetrics().averageCharWidth())
        self.report_button = QPushButton("Open report")
        self.report_button.setObjectName("resultReportButton")
        self.report_button.setToolTip("Show the scores of all scales and samples in the browser")
        self.folder_button = QPushButton("Open folder")
        self.folder_button.setObjectName("resultFolderButton")
        self.folder_button.setToolTip("Weights, model card, log and data set lie there")
        self.message = QLabel()
        self.message.setObjectName("resultMessage")
        self.message.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.use_button)
        buttons.addWidget(QLabel("as"))
        buttons.addWidget(self.name)
        buttons.addStretch()
        buttons.addWidget(self.report_button)
        buttons.addWidget(self.folder_button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.verdict)
        layout.addWidget(self.browser, 1)
        layout.addLayout(buttons)
        layout.addWidget(self.message)
        self._question = Question("Add the weights to GrokLST", 0, self)
        self._question.answered.connect(self._on_added)
        self._question.failed.connect(self._on_refused)
        self._names = Question("Look for a free name", 0, self)
        self._names.answered.connect(self._take_names)
        self.use_button.clicked.connect(self._use)
        self.report_button.clicked.connect(self._open_report)
        self.folder_button.clicked.connect(self._open_folder)

    def show_result(self, training: Training) -> None:
        """Show what a finished training gave."""
        self._training = training
        training.seen = True
        rows = _rows(training)
        self.verdict.setText(training.unscored or _verdict(rows))
        card = training.weights.with_suffix(".md")
        text = card.read_text("utf-8") if card.is_file() else "The model card is missing."
        self.browser.setMarkdown(f"{_table(rows)}\n\n{text}")
        self.report_button.setEnabled(_report(training) is not None)
        self.name.setText(training.name)
        self._names.ask({"kind": "weights-list"})

    def stop(self) -> None:
        """Ask nothing any more."""
        self._question.stop()
        self._names.stop()

    def _take_names(self, answer: dict[str, Any]) -> None:
        """Offer a name that no other weights have."""
        wanted = self.name.text()
        free = free_name(wanted, {entry["name"] for entry in answer["weights"]})
        if free != wanted:
            self.name.setText(free)
            self.message.setText(f"There are other weights with the name '{wanted}'.")

    def _use(self) -> None:
        assert self._training is not None
        self._names.stop()
        self.use_button.setEnabled(False)
        self.name.setEnabled(False)
        self.message.setText("Adding the weights…")
        name = self.name.text().strip()
        self._question.ask({"kind": "weights-add", "file": str(self._training.weights), "name": name})

    def _on_added(self, answer: dict[str, Any]) -> None:
        self.message.setText(f"'{answer['name']}' is a method now, and chosen in the panel.")
        self.registered.emit(answer["name"])

    def _on_refused(self, sentence: str) -> None:
        self.use_button.setEnabled(True)
        self.name.setEnabled(True)
        self.message.setText(sentence)

    def _open_report(self) -> None:
        if self._training is not None and (report := _report(self._training)) is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(report)))

    def _open_folder(self) -> None:
        if self._training is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._training.folder)))


def free_name(wanted: str, taken: Collection[str]) -> str:
    """A name that is not taken: the wanted one, or with a number behind it."""
    names = (f"{wanted}-{number}" for number in count(2))
    return wanted if wanted not in taken else next(name for name in names if name not in taken)


def _report(training: Training) -> Path | None:
    """The report of the scoring, if it was scored."""
    file = training.results.get("benchmark", {}).get("files", {}).get("html")
    return Path(file) if file and Path(file).is_file() else None


def _rows(training: Training) -> list[dict[str, Any]]:
    """Scores of bicubic, weights that were fine-tuned, and the network, with the RMSE divided by bicubic's."""
    rows = training.results.get("benchmark", {}).get("rows", ())
    bicubic = {row["scale"]: row["scores"]["rmse"] for row in rows if row["name"] == "bicubic"}
    own = str(training.weights)
    return [
        {
            **row["scores"],
            "own": row["name"] == own,
            "method": training.name if row["name"] == own else Path(row["name"]).name.removesuffix(".safetensors"),
            "scale": row["scale"],
            "scenes": row["scenes"],
            "rmse_to_bicubic": row["scores"]["rmse"] / bicubic[row["scale"]],
        }
        for row in rows
    ]


def _verdict(rows: list[dict[str, Any]]) -> str:
    own = [row for row in rows if row["own"]]
    if not own:
        return "There were no test samples to score it on: evaluate it on another scene before you trust it."
    worst = max(own, key=lambda row: row["rmse_to_bicubic"])
    ratio = worst["rmse_to_bicubic"]
    least = ", the worst of its scales," if len(own) > 1 else ""
    where = f"at ×{worst['scale']}{least} on {worst['scenes']} test samples"
    if ratio >= 1:
        return f"No better than bicubic: its RMSE is {ratio:.2f} of bicubic's {where}. Train longer, or on more data."
    return f"Its RMSE is {ratio:.2f} of bicubic's {where}{_gain(rows, worst)}."


def _gain(rows: list[dict[str, Any]], own: dict[str, Any]) -> str:
    """What fine-tuning has changed at a scale; nothing to say of random weights."""
    for row in rows:
        if row["scale"] == own["scale"] and not row["own"] and row["method"] != "bicubic":
            before = f"{row['rmse_to_bicubic']:.2f}"
            helped = own["rmse"] < row["rmse"]
            return f"; before the fine-tuning it was {before}" + ("" if helped else ", so that has not helped")
    return ""


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    head = "| Method | Scale | " + " | ".join(name for name, _ in _SCORES) + " |"
    body = (
        f"| {escape(row['method'])} | ×{row['scale']} | "
        + " | ".join(_number(row.get(key)) for _, key in _SCORES)
        + " |"
        for row in rows
    )
    return "\n".join([head, "|---" * (len(_SCORES) + 2) + "|", *body])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 3) + 0.0:.3f}"
