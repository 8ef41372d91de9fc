"""Cancel half-way: no partial output, no process left."""

from __future__ import annotations

from pathlib import Path

from drive import Drive
from qgis.PyQt.QtWidgets import QPushButton
from scenarios import steps


def run(drive: Drive, lst: str, output: str) -> None:
    """Play."""
    steps.add_layer(drive, lst, "Large LST")
    steps.open_dock(drive)
    steps.choose_inputs(drive, "Large LST", [], "bicubic", 4, output)
    steps.start(drive)
    process = steps.wait_until_writing(drive, Path(output))
    drive.click(drive.find(QPushButton, "cancelButton"))
    steps.wait_until_idle(drive, 15)
    drive.screenshot("cancelled")
    assert not steps.is_alive(process)
    assert steps.engine_processes() == []
    assert list(Path(output).parent.iterdir()) == []
    assert drive.iface.messageBar().currentItem().text() == "Cancelled; nothing was written."
