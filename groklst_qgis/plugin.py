"""What QGIS loads and unloads: the icon, the menu entry, the dock, the options page and the Processing provider."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsApplication
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
        self._archive_action: Any = None
        self._train_action: Any = None
        self._dock: Any = None
        self._archive: Any = None
        self._wizard: Any = None
        self._training: Any = None
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
        self._archive_action = self._menu_action("Downscale many scenes…", "groklstArchiveAction", self._open_archive)
        self._train_action = self._menu_action("Train a network…", "groklstTrainAction", self._open_wizard)

    def unload(self) -> None:
        """Take everything away again and stop the engine; a training keeps what it has learned."""
        if self._wizard is not None:
            self._wizard.close()
        if self._training is not None:
            self._training.detach()
        if self._dock is not None:
            self._dock.stop()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
        stop_all()
        if self._action is not None:
            self._iface.removeToolBarIcon(self._action)
            for action in (self._action, self._archive_action, self._train_action):
                self._iface.removePluginRasterMenu(_MENU, action)
                action.deleteLater()
        if self._options is not None:
            self._iface.unregisterOptionsWidgetFactory(self._options)
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
        self._dock = self._action = self._archive_action = self._train_action = self._options = self._provider = None
        self._archive = self._wizard = self._training = None

    def _menu_action(self, text: str, name: str, slot: Any) -> QAction:
        action = QAction(text, self._iface.mainWindow())
        action.setObjectName(name)
        action.triggered.connect(slot)
        self._iface.addPluginToRasterMenu(_MENU, action)
        return action

    def _make_dock(self) -> None:
        """Make the dock when it is wanted for the first time; from then on it and the action follow each other."""
        from .dock import GroklstDock

        self._action.toggled.disconnect(self._make_dock)
        self._dock = GroklstDock(self._iface)
        self._dock.training_wanted.connect(self._open_wizard)
        self._dock.setToggleVisibilityAction(self._action)
        self._iface.addTabifiedDockWidget(
            Qt.DockWidgetArea.RightDockWidgetArea, self._dock, ["ProcessingToolbox", "LayerStyling"], True
        )

    def _open_archive(self) -> None:
        """Show the dialog of the algorithm for many scenes."""
        import processing

        self._archive = processing.createAlgorithmDialog("groklst:downscalearchive")
        self._archive.show()

    def _open_wizard(self) -> None:
        """Show the training at work, or the result that nobody has seen yet, or a new wizard."""
        from .training import DISCARDED
        from .wizard.wizard import TrainingWizard

        if self._wizard is not None:
            self._wizard.raise_()
            self._wizard.activateWindow()
            return
        if self._training is not None and (self._training.seen or self._training.state == DISCARDED):
            self._training = None
        self._wizard = TrainingWizard(self._iface.mainWindow(), self._training)
        self._wizard.started.connect(self._take_training)
        self._wizard.registered.connect(self._choose_method)
        self._wizard.finished.connect(self._forget_wizard)
        self._wizard.show()

    def _take_training(self, training: Any) -> None:
        self._training = training
        training.changed.connect(self._announce)

    def _forget_wizard(self) -> None:
        self._wizard = None

    def _announce(self) -> None:
        """Say how a training ended, unless its wizard is there to show it."""
        from .training import DONE, FAILED

        training, bar = self._training, self._iface.messageBar()
        if self._wizard is not None or training is None:
            return
        if training.state == DONE:
            text = f"The training '{training.name}' is done: see Raster ▸ GrokLST ▸ Train a network."
            bar.pushMessage("GrokLST", text, Qgis.MessageLevel.Success, 0)
        elif training.state == FAILED:
            bar.pushMessage(
                "GrokLST", f"The training '{training.name}': {training.problem}", Qgis.MessageLevel.Critical, 0
            )

    def _choose_method(self, name: str) -> None:
        """New weights: show the dock, with them chosen."""
        self._action.setChecked(True)
        self._dock.method.ask_again(name)
