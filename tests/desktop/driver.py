"""Runs inside QGIS Desktop (``qgis --code driver.py``): plays one scenario on the GUI thread, then closes QGIS.

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
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import qgis.utils
from qgis.core import Qgis, QgsProject
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QWidget

TASK: dict[str, Any] = json.loads(os.environ["GROKLST_SCENARIO"])
WidgetT = TypeVar("WidgetT", bound=QWidget)


class Drive:
    """What a scenario can do with QGIS.

    Attributes:
        iface: QGIS's interface object.
        folder: Where the scenario may write.
        errors: Tracebacks of everything that went wrong so far.
    """

    def __init__(self, iface: QgisInterface, folder: Path) -> None:
        self.iface = iface
        self.folder = folder
        self.errors: list[str] = []
        self._start = time.monotonic()

    def log(self, *words: object) -> None:
        """Write a line that pytest shows when the scenario fails."""
        line = f"[{time.monotonic() - self._start:6.2f} s] {' '.join(map(str, words))}\n"
        with (self.folder / "drive.log").open("a", encoding="utf-8") as log:
            log.write(line)

    def pump(self, seconds: float = 0.05) -> None:
        """Let QGIS's event loop run."""
        loop = QEventLoop()
        QTimer.singleShot(int(seconds * 1000), loop.quit)
        loop.exec()

    def wait(self, condition: Callable[[], object], what: str, seconds: float = 30) -> None:
        """Let QGIS run until the condition holds.

        Raises:
            TimeoutError: It did not within the given time.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Waited {seconds:g} s for {what}.")
            self.pump()

    def find(self, kind: type[WidgetT], name: str, parent: QWidget | None = None) -> WidgetT:
        """The widget of that class and object name, in QGIS's main window or any other window."""
        for window in [parent] if parent else [self.iface.mainWindow(), *QApplication.topLevelWidgets()]:
            widget = (
                window if window.objectName() == name and isinstance(window, kind) else window.findChild(kind, name)
            )
            if widget is not None:
                return widget
        raise LookupError(f"There is no {kind.__name__} named {name!r}.")

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Click with the left mouse button, in the middle unless told."""
        if not (widget.isVisible() and widget.isEnabled()):
            raise AssertionError(f"{widget.objectName()} cannot be clicked: it is hidden or disabled.")
        button, no_keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(widget, button, no_keys, at or widget.rect().center())
        self.pump()

    def choose(self, combo: QComboBox, text: str) -> None:
        """Open a combo box and click the item with that text."""
        index = combo.findText(text)
        if index < 0:
            offered = [combo.itemText(i) for i in range(combo.count())]
            raise LookupError(f"{combo.objectName()} does not offer {text!r}, only {offered}.")
        self.click(combo, QPoint(combo.width() - 10, combo.height() // 2))
        view = combo.view()
        self.wait(view.isVisible, f"the list of {combo.objectName()}", 5)
        item = combo.model().index(index, combo.modelColumn(), combo.rootModelIndex())
        view.scrollTo(item)
        self.pump(0.2)  # a click sooner than the double-click interval after the opening one is ignored
        self.click(view.viewport(), view.visualRect(item).center())
        self.wait(lambda: combo.currentText() == text, f"{text!r} in {combo.objectName()}", 5)

    def type_text(self, widget: QWidget, text: str) -> None:
        """Type into a widget."""
        QTest.keyClicks(widget, text)
        self.pump()

    def wait_for_map(self) -> None:
        """Wait until the map canvas has drawn itself."""
        canvas = self.iface.mapCanvas()
        canvas.refresh()
        self.pump(0.3)
        self.wait(lambda: not canvas.isDrawing(), "the map")

    def screenshot(self, name: str) -> None:
        """Save a picture of the whole screen, menus and dialogs included."""
        self.pump(0.3)
        path = self.folder / f"{name}.png"
        if not QGuiApplication.primaryScreen().grabWindow(0).save(str(path)):
            raise OSError(f"The screenshot could not be written to {path}.")


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
    sys.path.insert(0, TASK["scenarios"])
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
