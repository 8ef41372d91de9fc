"""Runs inside QGIS Desktop (``qgis --code player.py``): plays one scenario on the GUI thread, then closes QGIS.

``desktop.py`` starts QGIS and hands over the task in the environment variable ``GROKLST_SCENARIO``. What happened is
written to ``outcome.json`` in the scenario's folder; errors raised in slots and callbacks count as failures too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import qgis.utils
from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QApplication

TASK: dict[str, Any] = json.loads(os.environ["GROKLST_SCENARIO"])
sys.path.insert(0, TASK["modules"])

from drive import Drive  # noqa: E402 - QGIS does not know this folder before


def play(drive: Drive) -> None:
    """Run the scenario and record what went wrong."""

    def on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        drive.errors.append("".join(traceback.format_exception(kind, error, trace)))

    sys.excepthook = on_error  # QGIS's own hook only shows a message bar
    window = drive.iface.mainWindow()
    window.showNormal()
    window.setGeometry(QGuiApplication.primaryScreen().geometry())
    drive.pump(0.3)
    drive.log("QGIS", Qgis.QGIS_VERSION, "with", qgis.utils.active_plugins)
    try:
        importlib.import_module(f"scenarios.{TASK['name']}").run(drive, **TASK["arguments"])
    except Exception:
        drive.errors.append(traceback.format_exc())
        with contextlib.suppress(OSError):
            drive.screenshot("failure")


def close(drive: Drive) -> None:
    """Leave QGIS as a user does; what is alive then (layers, tracebacks) would crash it at exit."""
    sys.last_value = sys.last_traceback = None
    gc.collect()
    QgsProject.instance().setDirty(False)
    drive.iface.newProject(False)
    drive.pump(0.1)
    qgis.utils.unloadPlugin("groklst")
    QgsProject.instance().setDirty(False)
    drive.pump(0.1)
    write_outcome(drive)
    QTimer.singleShot(0, lambda: QCoreApplication.exit(0))


def write_outcome(drive: Drive) -> None:
    """Tell ``desktop.py`` how it went."""
    (drive.folder / "outcome.json").write_text(json.dumps({"errors": drive.errors}), encoding="utf-8")


def give_up(drive: Drive) -> None:
    """End a QGIS that hangs, e.g. in a modal dialog nobody answers."""
    dialog = QApplication.activeModalWidget()
    drive.errors.append(f"The scenario did not end in time; open dialog: {dialog and dialog.windowTitle()!r}.")
    with contextlib.suppress(OSError):
        drive.screenshot("stuck")
    write_outcome(drive)
    os._exit(1)


def main() -> None:
    """Play the scenario as soon as QGIS's event loop runs."""
    drive = Drive(qgis.utils.iface, Path(TASK["folder"]))
    faulthandler.enable((drive.folder / "crash.log").open("w"))
    watchdog = QTimer(drive.iface.mainWindow())
    watchdog.timeout.connect(lambda: give_up(drive))
    watchdog.start(int(TASK["seconds"] * 1000))

    def start() -> None:
        play(drive)
        watchdog.stop()
        close(drive)

    QTimer.singleShot(300, start)


main()
