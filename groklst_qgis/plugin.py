"""What QGIS loads and unloads: the icon, the menu entry, the dock, the options page and the Processing provider."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .engine import stop_all
from .paths import resource

_MENU = "GrokLST"


class GroklstPlugin:
    """The plugin; nothing is started before the user opens the dock or runs an algorithm.

    Args:
        iface: QGIS Desktop; None in ``qgis_process``, which calls ``initProcessing`` only.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._action: Any = None
        self._dock: Any = None
        self._options: Any = None
        self._provider: Any = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS's name
        """Register the Processing provider."""
        from .processing.provider import GroklstProvider

        self._provider = GroklstProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802 - QGIS's name
        """Add what the user can see."""
        from .options import GroklstOptionsFactory

        self.initProcessing()
        self._options = GroklstOptionsFactory()
        self._iface.registerOptionsWidgetFactory(self._options)
        self._action = QAction(QIcon(str(resource("icons/groklst.svg"))), "GrokLST", self._iface.mainWindow())
        self._action.setObjectName("groklstAction")
        self._action.setToolTip("Downscale land surface temperature")
        self._action.setCheckable(True)
        self._action.toggled.connect(self._make_dock)
        self._iface.addToolBarIcon(self._action)
        self._iface.addPluginToRasterMenu(_MENU, self._action)

    def unload(self) -> None:
        """Take everything away again and stop the engine."""
        if self._dock is not None:
            self._dock.stop()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
        stop_all()
        if self._action is not None:
            self._iface.removePluginRasterMenu(_MENU, self._action)
            self._iface.removeToolBarIcon(self._action)
            self._action.deleteLater()
        if self._options is not None:
            self._iface.unregisterOptionsWidgetFactory(self._options)
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
        self._dock = self._action = self._options = self._provider = None

    def _make_dock(self) -> None:
        """Make the dock when it is wanted for the first time; from then on it and the action follow each other."""
        from .dock import GroklstDock

        self._action.toggled.disconnect(self._make_dock)
        self._dock = GroklstDock(self._iface)
        self._dock.setToggleVisibilityAction(self._action)
        self._iface.addTabifiedDockWidget(
            Qt.DockWidgetArea.RightDockWidgetArea, self._dock, ["ProcessingToolbox", "LayerStyling"], True
        )
