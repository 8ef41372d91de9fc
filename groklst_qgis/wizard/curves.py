"""Live curves of a training: loss, and the RMSE of validations beside bicubic's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

# matplotlib chooses its Qt by what is imported: QGIS's comes first.
from qgis.PyQt.QtWidgets import QSizePolicy  # isort: skip
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_LOSS, _RMSE, _BICUBIC = "#57106e", "#d95f02", "#666666"  # told apart by lightness, too; bicubic is dashed


class Curves(FigureCanvasQTAgg):
    """Two charts, the loss on the left and the validation on the right."""

    def __init__(self) -> None:
        super().__init__(Figure(figsize=(7, 2.6), layout="constrained"))  # type: ignore[no-untyped-call]
        self.setObjectName("curves")
        self.setAccessibleName("Curves of loss and validation error")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(360, 180)
        self._loss, self._error = self.figure.subplots(1, 2)
        self.show_metrics([])

    def show_metrics(self, metrics: Sequence[dict[str, float]]) -> None:
        """Draw all metrics so far."""
        losses = [(row["step"], row["loss"]) for row in metrics if "step" in row and "loss" in row]
        scores = [(row["step"], row["rmse"], row.get("rmse_to_bicubic")) for row in metrics if "rmse" in row]
        style = "o-" if len(losses) < 20 else "-"  # a single point makes no line
        self._draw(self._loss, "Loss", [point[0] for point in losses], [([y for _, y in losses], _LOSS, style, "")])
        if len(losses) > 1 and min(y for _, y in losses) > 0:
            self._loss.set_yscale("log")
        steps = [point[0] for point in scores]
        bicubic = [rmse / ratio if ratio else math.nan for _, rmse, ratio in scores]
        lines = [([point[1] for point in scores], _RMSE, "o-", "Network"), (bicubic, _BICUBIC, "--", "Bicubic")]
        self._draw(self._error, "Validation RMSE (K)", steps, lines)
        if scores:
            self._error.legend(frameon=False, fontsize=8)
        for axes, there, when in ((self._loss, losses, "some steps"), (self._error, scores, "the first validation")):
            if not there:
                axes.text(0.5, 0.5, f"comes after {when}", ha="center", va="center", color=_BICUBIC, fontsize=8)
        self.draw_idle()  # type: ignore[no-untyped-call]

    def _draw(self, axes: Any, title: str, steps: Sequence[float], lines: Sequence[tuple[Any, ...]]) -> None:
        axes.clear()
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlabel("Step", fontsize=8)
        axes.tick_params(which="both", labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(True, color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for values, colour, style, label in lines:
            if values:
                axes.plot(steps, values, style, color=colour, label=label, linewidth=1.4, markersize=3)
