"""The same job from the Processing dialog, in a background thread: the result has the colours of its input."""

from __future__ import annotations

import processing
from drive import Drive
from qgis.core import QgsProject
from qgis.PyQt.QtWidgets import QDialogButtonBox, QPushButton, QTextEdit
from scenarios import steps


def run(drive: Drive, lst: str, reflectance: str, output: str) -> None:
    """Play."""
    guidance = steps.add_layer(drive, reflectance, "Reflectance 25 m")
    coarse = steps.add_layer(drive, lst, "LST 100 m")
    parameters = {"LST": coarse.id(), "GUIDANCE": [guidance.id()], "METHOD": "tsharp", "OUTPUT": output}
    dialog = processing.createAlgorithmDialog("groklst:downscale", parameters)
    dialog.show()
    drive.pump(0.3)
    drive.screenshot("dialog")
    (run_button,) = [button for button in dialog.findChildren(QPushButton) if button.text() == "Run"]
    drive.click(run_button)
    (log,) = [text for text in dialog.findChildren(QTextEdit) if text.objectName() == "txtLog"]
    drive.wait(lambda: "Loading resulting layers" in log.toPlainText() or "failed" in log.toPlainText(), "the end", 40)
    drive.pump(0.5)
    drive.screenshot("result")
    assert len(QgsProject.instance().mapLayers()) == 3, log.toPlainText()
    (fine,) = QgsProject.instance().mapLayersByName("Fine LST")
    assert fine.source() == output
    assert fine.extent() == coarse.extent()
    assert steps.colours(fine) == steps.colours(coarse)
    drive.click(dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Close))
