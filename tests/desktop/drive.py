"""What a scenario can do with QGIS: find, click, type, wait, take pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QEventLoop, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QScrollArea, QWidget

WidgetT = TypeVar("WidgetT", bound=QWidget)


class Drive:
    """QGIS at a scenario's hands.

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
        """Click with the left mouse button, in the middle unless told, scrolling there first."""
        area = widget.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is not None:
            area.ensureWidgetVisible(widget)
            self.pump()
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
        self.pump(QApplication.doubleClickInterval() / 1000 + 0.05)  # Qt ignores a click that follows sooner
        self.click(view.viewport(), view.visualRect(item).center())
        self.wait(lambda: not view.isVisible(), f"the list of {combo.objectName()} to close", 5)
        if combo.currentText() != text:
            raise AssertionError(f"{combo.objectName()} shows {combo.currentText()!r} after a click on {text!r}.")

    def type_text(self, widget: QWidget, text: str) -> None:
        """Click into a widget and type."""
        self.click(widget)
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
