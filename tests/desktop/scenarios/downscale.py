"""The main job: add layers, choose them in the dock, run, and find the result and its report."""

from __future__ import annotations

from drive import Drive
from qgis.core import QgsProject
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QPushButton, QScrollArea, QTextBrowser, QWidget
from scenarios import steps


def run(drive: Drive, lst: str, reflectance: str, output: str) -> None:
    """Play."""
    steps.add_layer(drive, reflectance, "Reflectance 25 m")
    coarse = steps.add_layer(drive, lst, "LST 100 m")
    steps.open_dock(drive)
    steps.choose_inputs(drive, "LST 100 m", ["Reflectance 25 m"], "auto", 4, output)
    drive.screenshot("inputs")
    for name, last in (("sensorBox", "overpassEdit"), ("computationBox", "resumeCheck")):
        box = drive.find(QgsCollapsibleGroupBox, name)
        box.setCollapsed(False)
        drive.pump(0.3)
        drive.find(QScrollArea, "inputsArea").ensureWidgetVisible(drive.find(QWidget, last))
        drive.pump(0.3)
        drive.screenshot(name)
        box.setCollapsed(True)
    steps.start(drive)
    steps.wait_until_idle(drive, 150)
    drive.wait_for_map()
    drive.screenshot("result")
    message = drive.iface.messageBar().currentItem().text()
    assert "is done after" in message, message

    (error,) = QgsProject.instance().mapLayersByName("Standard error")
    QgsProject.instance().layerTreeRoot().findLayer(error).setItemVisibilityChecked(True)
    drive.wait_for_map()
    drive.screenshot("error")
    low, high, _ = steps.colours(error)
    assert low == 0 < high

    (fine,) = [layer for layer in QgsProject.instance().mapLayers().values() if layer.source() == output]
    assert fine.extent() == coarse.extent()
    assert (fine.width(), fine.height()) == (4 * coarse.width(), 4 * coarse.height())
    assert fine.crs() == coarse.crs()
    assert steps.colours(fine) == steps.colours(coarse)
    report = drive.find(QTextBrowser, "reportBrowser")
    assert report.isVisible()
    assert "RMSE" in report.toPlainText()
    assert "✓ " in report.toPlainText()
    assert drive.find(QPushButton, "openReportButton").isEnabled()
