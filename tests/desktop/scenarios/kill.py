"""The system kills the engine half-way: a sentence in the message bar, no partial output, and QGIS goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from drive import Drive
from qgis.core import QgsProject
from scenarios import steps


def run(drive: Drive, lst: str, output: str) -> None:
    """Play."""
    steps.add_layer(drive, lst, "Large LST")
    steps.open_dock(drive)
    steps.choose_inputs(drive, "Large LST", [], "bicubic", 4, output)
    steps.start(drive)
    process = steps.wait_until_writing(drive, Path(output))
    os.kill(process, signal.SIGKILL)
    steps.wait_until_idle(drive, 15)
    drive.screenshot("killed")
    assert "The engine was stopped by the system" in drive.iface.messageBar().currentItem().text()
    assert not steps.is_alive(process)
    assert list(Path(output).parent.iterdir()) == []
    assert len(QgsProject.instance().mapLayers()) == 1
    drive.wait_for_map()
