"""Steps in the dock that several tests take."""

from __future__ import annotations

from typing import Any

from groklst_qgis.dock import GroklstDock


def choose_method(dock: GroklstDock, name: str) -> None:
    combo = dock.method.method_combo
    combo.setCurrentIndex(next(i for i in range(combo.count()) if combo.itemData(i)["name"] == name))


def run(dock: GroklstDock, qtbot: Any) -> None:
    dock.run_button.click()
    qtbot.waitUntil(dock.run_button.isEnabled, timeout=10_000)
