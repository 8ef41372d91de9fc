"""Cancel half-way, alone and with workers: no partial output, no process left."""

from __future__ import annotations

from pathlib import Path

from drive import Drive
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QLineEdit, QPushButton
from scenarios import steps


def run(drive: Drive, lst: str, output: str) -> None:
    """Play."""
    steps.add_layer(drive, lst, "Large LST")
    steps.open_dock(drive)
    steps.choose_inputs(drive, "Large LST", [], "bicubic", 4, output)
    cancel_half_way(drive, Path(output))
    drive.find(QgsCollapsibleGroupBox, "computationBox").setCollapsed(False)
    drive.pump(0.3)
    drive.type_text(drive.find(QLineEdit, "workersEdit"), "local:2")
    cancel_half_way(drive, Path(output))


def cancel_half_way(drive: Drive, output: Path) -> None:
    """Run, and cancel when part of the output is there."""
    drive.iface.messageBar().clearWidgets()
    steps.start(drive)
    process = steps.wait_until_writing(drive, output)
    drive.click(drive.find(QPushButton, "cancelButton"))
    steps.wait_until_idle(drive, 15)
    drive.screenshot("cancelled")
    assert not steps.is_alive(process)
    assert steps.engine_processes() == []
    assert list(output.parent.iterdir()) == []
    assert drive.iface.messageBar().currentItem().text() == "Cancelled; nothing was written."
