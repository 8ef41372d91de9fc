"""The pre-flight part of the dock: what will be done to each layer, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsUnitTypes
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QStyle,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from .engine import EngineError
from .question import Question

_COLUMNS = ("CRS", "Pixel", "Coverage")
_DELAY_MS = 400  # typing and clicking on is cheaper than asking the engine at each step


class PreflightBox(QGroupBox):
    """Asks the engine to look at the inputs, a moment after they last changed.

    Args:
        make_job: Gives the ``inspect`` job and the names of its layers, LST first; raises EngineError when the inputs
            are not complete.
    """

    def __init__(self, make_job: Callable[[], tuple[dict[str, Any], list[str]]]) -> None:
        super().__init__("Pre-flight check")
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setObjectName("preflightTable")
        self.table.setAccessibleName("Layers and what will be done to them")
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setTabKeyNavigation(False)
        self.table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setWordWrap(False)
        self.table.hide()
        self.icon = QLabel()
        self.icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.message = QLabel()
        self.message.setObjectName("preflightMessage")
        self.message.setAccessibleName("Result of the pre-flight check")
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        below = QHBoxLayout()
        below.addWidget(self.icon)
        below.addWidget(self.message, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table)
        layout.addLayout(below)

        self._make_job = make_job
        self._names: list[str] = []
        self._question = Question("Check the layers for GrokLST", 0, self)
        self._question.answered.connect(self._show_answer)
        self._question.failed.connect(self._show_problem)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._check)

    def schedule(self) -> None:
        """The inputs have changed: check them soon."""
        self._timer.start()

    def stop(self) -> None:
        """Check nothing, and forget what is being checked."""
        self._timer.stop()
        self._question.stop()

    def _check(self) -> None:
        self.stop()
        try:
            job, self._names = self._make_job()
        except EngineError as error:
            self._show_problem(str(error))
            return
        self._say("Checking the layers…")
        self._question.ask(job)

    def _show_answer(self, answer: dict[str, Any]) -> None:
        self._fill_table(answer["layers"])
        fine = answer["fine"]
        pixel = format_pixel(fine["pixel"], fine["crs"])
        summary = f"Result: {fine['width']} × {fine['height']} pixels of {pixel}, {fine['crs']}."
        warnings = [f"Warning: {warning}" for warning in answer["warnings"]]
        symbol = QStyle.StandardPixmap.SP_MessageBoxWarning if warnings else None
        self._say("\n".join([*warnings, summary]), symbol)

    def _fill_table(self, layers: list[dict[str, Any]]) -> None:
        """Some rows for each layer, because docks are narrow: name, facts, product, and what will be done to it."""
        self.table.setRowCount(0)
        self.table.clearSpans()
        bold = self.table.font()
        bold.setBold(True)
        for i, layer in enumerate(layers):
            self._add_row(self._names[i])[0].setFont(bold)
            self._add_row(layer["crs"], format_pixel(layer["pixel"], layer["crs"]), f"{layer['coverage']:.0%}")
            if recognised := describe_product(layer):
                self._add_row(recognised)
            self._add_row(layer["action"])
        self.table.show()
        self.table.resizeRowsToContents()
        self.table.setFixedHeight(self.table.horizontalHeader().height() + self.table.verticalHeader().length() + 4)

    def _add_row(self, *texts: str) -> list[QTableWidgetItem]:
        """A row of one text spans all columns."""
        row = self.table.rowCount()
        self.table.insertRow(row)
        if len(texts) == 1:
            self.table.setSpan(row, 0, 1, len(_COLUMNS))
        return [self._set_cell(row, column, text) for column, text in enumerate(texts)]

    def _set_cell(self, row: int, column: int, text: str) -> QTableWidgetItem:
        item = QTableWidgetItem(text)
        item.setToolTip(text)
        self.table.setItem(row, column, item)
        return item

    def _show_problem(self, sentence: str) -> None:
        self.table.hide()
        self._say(sentence, QStyle.StandardPixmap.SP_MessageBoxCritical)

    def _say(self, text: str, symbol: Any = None) -> None:
        self.message.setText(text)
        self.icon.setVisible(symbol is not None)
        if symbol is not None:
            size = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize)
            self.icon.setPixmap(self.style().standardIcon(symbol).pixmap(size, size))


def describe_product(layer: dict[str, Any]) -> str:
    """The product that a layer is, and what mask and quality layers leave of it; empty where neither is known."""
    kept = layer.get("qc_kept")
    share = f"{kept:.0%} pass mask and quality layers" if kept is not None else ""
    return ": ".join(filter(None, (layer.get("product"), share)))


def format_pixel(pixel: list[float], crs: str) -> str:
    """A pixel size with its unit: ``250 m``, ``0.01 × 0.02 °``."""
    reference = QgsCoordinateReferenceSystem(crs)
    unit = "°" if reference.isGeographic() else QgsUnitTypes.toAbbreviatedString(reference.mapUnits())
    sizes = [f"{abs(size):.6g}" for size in pixel]
    return f"{sizes[0] if sizes[0] == sizes[1] else ' × '.join(sizes)} {unit}"
