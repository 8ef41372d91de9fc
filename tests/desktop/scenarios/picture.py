"""The picture for the documentation: the demo scene, downscaled by the default method, beside its coarse LST."""

from __future__ import annotations

from drive import Drive
from qgis.core import QgsMapThemeCollection, QgsProject
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QDockWidget, QLabel, QTabWidget, QToolButton
from scenarios import steps


def run(drive: Drive, lst: str, guidance: str, dem: str) -> None:
    """Play."""
    for path, name in ((guidance, "Reflectance and NDVI"), (dem, "Elevation"), (lst, "LST 120 m")):
        steps.add_layer(drive, path, name)
    steps.open_dock(drive)
    drive.choose(drive.find(QgsMapLayerComboBox, "lstLayerCombo"), "LST 120 m")
    for name in ("Reflectance and NDVI", "Elevation"):
        drive.choose(drive.find(QgsMapLayerComboBox, "guidanceLayerCombo"), name)
        drive.click(drive.find(QToolButton, "guidanceAddButton"))
    drive.wait(lambda: "Result: " in drive.find(QLabel, "preflightMessage").text(), "the pre-flight check", 60)
    steps.start(drive)
    steps.wait_until_idle(drive, 200)

    tree = QgsProject.instance().layerTreeRoot()
    for name in ("Reflectance and NDVI", "Elevation"):
        (layer,) = QgsProject.instance().mapLayersByName(name)
        node = tree.findLayer(layer)
        node.setItemVisibilityChecked(False)
        node.setExpanded(False)
    show_beside(drive, "LST 120 m")
    drive.iface.messageBar().clearWidgets()
    drive.find(QTabWidget, "groklstTabs").setCurrentIndex(0)
    drive.wait_for_map()
    drive.pump(2)
    drive.screenshot("dock")


def show_beside(drive: Drive, name: str) -> None:
    """A second map that shows one layer only."""
    project, window = QgsProject.instance(), drive.iface.mainWindow()
    (layer,) = project.mapLayersByName(name)
    record = QgsMapThemeCollection.MapThemeLayerRecord(layer)
    theme = QgsMapThemeCollection.MapThemeRecord()
    theme.setLayerRecords([record])
    project.mapThemeCollection().insert("coarse", theme)
    canvas = drive.iface.createNewMapCanvas("Coarse LST")
    canvas.setTheme("coarse")
    canvas.setExtent(layer.extent())
    dock = canvas.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    browser = window.findChild(QDockWidget, "Browser")
    browser.hide()
    layers = window.findChild(QgsDockWidget, "Layers") or window.findChild(QDockWidget, "Layers")
    dock.setFloating(False)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.splitDockWidget(layers, dock, Qt.Orientation.Horizontal)
    window.resizeDocks([layers, dock], [210, 480], Qt.Orientation.Horizontal)
    drive.pump(1)
    canvas.refresh()
