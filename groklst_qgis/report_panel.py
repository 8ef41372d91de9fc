"""The report tab of the dock: the scores of the last run, and the way to its full report."""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QPushButton, QTextBrowser, QVBoxLayout, QWidget

from .words import duration

_SCORES = (("RMSE", "rmse"), ("MAE", "mae"), ("Bias", "bias"), ("CC", "cc"), ("RSD", "rsd"))
_TRIAL_COLUMNS = (("Method", "left"), ("RMSE", "right"), ("Detail", "right"), ("With it", "right"))
_EMPTY = "<p>The report of a run appears here.</p>"


class ReportPanel(QWidget):
    """Scores and warnings of the last result."""

    def __init__(self) -> None:
        super().__init__()
        self.browser = QTextBrowser()
        self.browser.setObjectName("reportBrowser")
        self.browser.setAccessibleName("Report of the last run")
        self.browser.setHtml(_EMPTY)
        self.open_button = QPushButton("Open report")
        self.open_button.setObjectName("openReportButton")
        self.open_button.setToolTip("Open the full report with its maps in the web browser")
        self.open_button.setEnabled(False)
        self.open_button.clicked.connect(self._open)
        self._report: str | None = None
        layout = QVBoxLayout(self)
        layout.addWidget(self.browser)
        layout.addWidget(self.open_button)

    def show_result(self, title: str, result: dict[str, Any]) -> None:
        """Show what a ``downscale`` job brought."""
        self._report = result.get("report_html")
        self.open_button.setEnabled(self._report is not None)
        self.browser.setHtml(summarise(title, result))

    def _open(self) -> None:
        if self._report is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(self._report))


def summarise(title: str, result: dict[str, Any]) -> str:
    """HTML for a ``downscale`` result: size, what was chosen and found, scores, warnings."""
    low, high = result["range"]
    unit = "°C" if result["unit"] == "C" else result["unit"]
    files = "<br/>".join(escape(result[kind]) for kind in ("output", "uncertainty") if result.get(kind))
    parts = [
        f"<h3>{escape(title)}</h3>",
        f"<p>{result['width']} × {result['height']} pixels, mostly {low:.1f} to {high:.1f} {unit}, "
        f"in {duration(result['seconds'])}.<br/>{files}</p>",
    ]
    if result.get("choice"):
        parts.append(_choice(result["choice"]))
    if result["registration"]:
        parts.append(f"<h4>Two sensors</h4><p>{escape(result['registration']['sentence'])}</p>")
    if result["scores"]:
        head = "".join(f'<th align="right">{name}</th>' for name, _ in _SCORES)
        rows = "".join(_score_rows(score) for score in result["scores"])
        parts.append("<h4>Scores (K)</h4>")
        parts.append(f'<table width="100%" cellpadding="2"><tr>{head}</tr>{rows}</table>')
        protocols = dict.fromkeys(str(score["protocol"]) for score in result["scores"])
        parts.extend(f"<p>{escape(protocol)}</p>" for protocol in protocols)
    if result["warnings"]:
        warnings = "".join(f"<li>{escape(warning)}</li>" for warning in result["warnings"])
        parts.append(f"<h4>Warnings</h4><ul>{warnings}</ul>")
    return "".join(parts)


def _choice(choice: dict[str, Any]) -> str:
    """Why ``auto`` chose its method, and what it tried."""
    parts = ["<h4>Choice of the method</h4>", f"<p>{escape(choice['reason'])}</p>"]
    if choice["trials"]:
        head = "".join(f'<th align="{side}">{name}</th>' for name, side in _TRIAL_COLUMNS)
        rows = "".join(_trial_row(trial, choice["method"]) for trial in choice["trials"])
        parts.append(f'<table width="100%" cellpadding="2"><tr>{head}</tr>{rows}</table>')
        parts.append(
            f"<p>Tried one scale up, by a factor of {choice['scale']}, on {choice['pixels']} coarse pixels; RMSE in K. "
            "One scale down, less of the detail that is best there is right. With what is kept, methods are compared; "
            "one that learns from the scene has to be clearly better than a network.</p>"
        )
    return "".join(parts)


def _trial_row(trial: dict[str, Any], chosen: str) -> str:
    cells = [escape(trial["method"]), _number(trial["rmse"]), f"{trial['detail']:.0%}", _number(trial["damped"])]
    if trial["method"] == chosen:
        cells = [f"<b>{cell}</b>" for cell in (f"✓ {cells[0]}", *cells[1:])]
    sides = (side for _, side in _TRIAL_COLUMNS)
    row = "".join(f'<td align="{side}">{cell}</td>' for cell, side in zip(cells, sides, strict=True))
    return f"<tr>{row}</tr>"


def _score_rows(score: dict[str, Any]) -> str:
    """Two rows, label above numbers: side by side they are too wide for a dock."""
    cells = "".join(f'<td align="right">{_number(score.get(key))}</td>' for _, key in _SCORES)
    return f'<tr><td colspan="{len(_SCORES)}"><b>{escape(str(score["label"]))}</b></td></tr><tr>{cells}</tr>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 3) + 0.0:.3f}"  # no "-0.000"
