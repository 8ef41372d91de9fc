"""The result part of the dock: where it goes, and what comes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingUtils
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QGroupBox

from .choices import COG, COG_HELP
from .engine import EngineError


class ResultBox(QGroupBox):
    """Output file and its layout, standard error, consistency and report."""

    def __init__(self) -> None:
        super().__init__("Result")
        self.output = QgsFileWidget()
        self.output.setObjectName("outputFile")
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.output.setFilter("GeoTIFF (*.tif *.tiff)")
        self.output.setDialogTitle("Save the fine temperature as")
        self.output.setConfirmOverwrite(False)  # asked on Run, which also sees names that were typed
        self.output.lineEdit().setPlaceholderText("Temporary file")
        self.output.lineEdit().setAccessibleName("Output file; empty for a temporary file")
        self.uncertainty = _check(
            "uncertaintyCheck",
            "Standard error",
            "Also tell how wrong each pixel may be, as found by downscaling your own rasters one scale up",
        )
        self.consistency = _check(
            "consistencyCheck",
            "Keep coarse values",
            "Make the mean of the fine pixels in each coarse pixel equal its temperature (consistency)",
        )
        self.write_report = _check(
            "reportCheck", "Write report", "Write a page with maps, scores and all parameters beside the output"
        )
        self.cog = _check("cogCheck", COG, f"Write the output {COG_HELP}", checked=False)
        form = QFormLayout(self)
        form.addRow("Output", self.output)
        for check in (self.uncertainty, self.consistency, self.write_report, self.cog):
            form.addRow(check)

    def is_named(self) -> bool:
        """Whether the output has a file that stays."""
        return bool(self.output.filePath().strip())

    def fields(self, scale: int) -> dict[str, Any]:
        """The fields of a job that this box knows.

        Raises:
            EngineError: The output has no folder.
        """
        typed = self.output.filePath().strip()
        output = Path(typed or QgsProcessingUtils.generateTempFilename(f"lst_x{scale}.tif"))
        if not output.is_absolute():
            raise EngineError(f"The output '{typed}' has no folder: choose a file with the button beside it.")
        if output.suffix.lower() not in (".tif", ".tiff"):
            output = output.with_name(f"{output.name}.tif")
        return {
            "output": str(output),
            "cog": self.cog.isChecked(),
            "uncertainty": self.uncertainty.isEnabled() and self.uncertainty.isChecked(),
            "report": str(output.with_name(f"{output.stem}_report")) if self.write_report.isChecked() else None,
        }


def existing(fields: dict[str, Any]) -> str | None:
    """A file that a job would replace; None where there is none."""
    output = Path(fields["output"])
    files = [output]
    if fields["uncertainty"]:
        files.append(output.with_name(f"{output.stem}_uncertainty{output.suffix}"))
    if fields["report"]:
        files.append(Path(fields["report"], "report.html"))
    return next((str(file) for file in files if file.exists()), None)


def _check(name: str, label: str, explanation: str, checked: bool = True) -> QCheckBox:
    check = QCheckBox(label)
    check.setObjectName(name)
    check.setChecked(checked)
    check.setToolTip(explanation)
    return check
