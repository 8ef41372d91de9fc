"""The options page finds the checkout's engine by itself, tests it, and saves another choice."""

from __future__ import annotations

from drive import Drive
from qgis.core import QgsSettings
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog, QDialogButtonBox, QLabel, QPushButton


def run(drive: Drive, engine_python: str) -> None:
    """Play."""
    failures: list[BaseException] = []

    def in_dialog() -> None:
        try:
            use_dialog(drive, engine_python)
        except BaseException as error:
            failures.append(error)
        finally:
            for dialog in QApplication.topLevelWidgets():
                if isinstance(dialog, QDialog) and dialog.isVisible():
                    dialog.reject()

    QTimer.singleShot(500, in_dialog)
    drive.iface.showOptionsDialog(drive.iface.mainWindow(), "GrokLST")  # returns when the dialog is closed
    if failures:
        raise failures[0]
    assert QgsSettings().value("groklst/engine_python") == engine_python


def use_dialog(drive: Drive, engine_python: str) -> None:
    """Test the engine that is found, then choose it by hand, and accept."""
    assert drive.find(QLabel, "foundLabel").text() == engine_python
    outcome = drive.find(QLabel, "outcomeLabel")
    drive.click(drive.find(QPushButton, "testButton"))
    drive.wait(lambda: "The engine works" in outcome.text(), "the engine's answer", 40)
    drive.log(outcome.text())
    assert "torch" in outcome.text()
    assert "Devices: cpu" in outcome.text()
    drive.screenshot("page")
    drive.type_text(drive.find(QgsFileWidget, "enginePython").lineEdit(), engine_python)
    assert outcome.text() == "Not tested yet."
    dialog = QApplication.activeModalWidget()
    drive.click(dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok))
