"""Two dates over one guidance, from the menu: progress, results in one range of colours, and the summary."""

from __future__ import annotations

from pathlib import Path

from drive import Drive
from qgis.core import QgsProject
from qgis.gui import QgsProcessingAlgorithmDialogBase
from qgis.PyQt.QtWidgets import QAction, QApplication, QDialogButtonBox, QPushButton, QTextEdit
from scenarios import steps


def run(drive: Drive, lst: str, reflectance: str, later: str, folder: str) -> None:
    """Play."""
    guidance = steps.add_layer(drive, reflectance, "Reflectance 25 m")
    dates = [steps.add_layer(drive, path, name) for path, name in ((lst, "LST 1 July"), (later, "LST 2 July"))]
    drive.find(QAction, "groklstArchiveAction").trigger()
    drive.pump(0.5)
    drive.screenshot("dialog")
    is_open = [
        window for window in QApplication.topLevelWidgets() if isinstance(window, QgsProcessingAlgorithmDialogBase)
    ]
    (dialog,) = is_open
    parameters = {"LST": [layer.id() for layer in dates], "GUIDANCE": [guidance.id()], "METHOD": "tsharp"}
    dialog.setParameters({**parameters, "OUTPUT": folder, "LOAD": True})
    drive.pump(0.3)
    drive.screenshot("filled")
    (run_button,) = [button for button in dialog.findChildren(QPushButton) if button.text() == "Run"]
    drive.click(run_button)
    (log,) = [text for text in dialog.findChildren(QTextEdit) if text.objectName() == "txtLog"]
    drive.wait(lambda: "Loading resulting layers" in log.toPlainText() or "failed" in log.toPlainText(), "the end", 180)
    drive.pump(0.5)
    drive.screenshot("result")
    said = log.toPlainText()
    assert "2 of 2 scenes done" in said, said
    fine = [QgsProject.instance().mapLayersByName(name)[0] for name in ("lst_x4", "later_x4")]
    assert [Path(layer.source()).parent for layer in fine] == [Path(folder)] * 2
    assert steps.colours(fine[0]) == steps.colours(fine[1])
    drive.click(dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Close))
