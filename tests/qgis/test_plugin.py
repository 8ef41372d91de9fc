from __future__ import annotations

import ast
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtWidgets import QAction, QMainWindow, QWizard

import groklst_qgis
from groklst_qgis.engine import Engine, EngineProcess


@pytest.fixture
def iface(qtbot: Any) -> MagicMock:
    """QGIS Desktop as far as the plugin talks to it."""
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()
    iface = MagicMock()
    iface.mainWindow.return_value = window
    iface.addTabifiedDockWidget.side_effect = lambda area, dock, *_: window.addDockWidget(area, dock)
    return iface


def test_life_of_the_plugin(iface: MagicMock, fake_engine: Engine, qtbot: Any) -> None:
    plugin = groklst_qgis.classFactory(iface)
    plugin.initGui()
    action = iface.mainWindow().findChild(QAction, "groklstAction")
    iface.addToolBarIcon.assert_called_once_with(action)
    archive = iface.mainWindow().findChild(QAction, "groklstArchiveAction")
    train = iface.mainWindow().findChild(QAction, "groklstTrainAction")
    assert [call.args for call in iface.addPluginToRasterMenu.call_args_list] == [
        ("GrokLST", action),
        ("GrokLST", archive),
        ("GrokLST", train),
    ]
    assert QgsApplication.processingRegistry().providerById("groklst") is not None
    assert not action.icon().isNull()
    assert not iface.addTabifiedDockWidget.called, "no dock before it is wanted"

    action.trigger()
    dock = iface.addTabifiedDockWidget.call_args[0][1]
    qtbot.waitUntil(dock.isVisible)
    action.trigger()
    qtbot.waitUntil(lambda: not dock.isVisible())
    dock.show()
    qtbot.waitUntil(action.isChecked)

    plugin.unload()
    iface.removeDockWidget.assert_called_once_with(dock)
    iface.removeToolBarIcon.assert_called_once_with(action)
    assert iface.removePluginRasterMenu.call_count == 3
    iface.unregisterOptionsWidgetFactory.assert_called_once()
    assert QgsApplication.processingRegistry().providerById("groklst") is None
    qtbot.waitUntil(lambda: not EngineProcess.running)


def test_one_wizard_at_a_time(iface: MagicMock, fake_engine: Engine, qtbot: Any) -> None:
    plugin = groklst_qgis.classFactory(iface)
    plugin.initGui()
    train = iface.mainWindow().findChild(QAction, "groklstTrainAction")
    train.trigger()
    train.trigger()
    (wizard,) = iface.mainWindow().findChildren(QWizard)
    assert wizard.isVisible()
    wizard.registered.emit("slow")
    dock = iface.addTabifiedDockWidget.call_args[0][1]
    qtbot.waitUntil(lambda: dock.method.method_combo.isEnabled(), timeout=10_000)
    assert dock.method.method()["name"] == "slow"
    plugin.unload()
    assert not wizard.isVisible()
    qtbot.waitUntil(lambda: not EngineProcess.running, timeout=10_000)


def test_plugin_without_a_screen() -> None:
    plugin = groklst_qgis.classFactory(None)
    plugin.initProcessing()
    assert QgsApplication.processingRegistry().algorithmById("groklst:downscale") is not None
    plugin.unload()
    assert QgsApplication.processingRegistry().providerById("groklst") is None


def test_plugin_imports_nothing_of_the_engine() -> None:
    foreign = {"torch", "rasterio", "groklst_engine", "pydantic", "PyQt5", "PyQt6"}
    for file in Path(groklst_qgis.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not foreign & {name.split(".")[0] for name in names}, f"{file}:{node.lineno}"
