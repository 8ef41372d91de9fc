"""The guidance part of the dock: which layers guide, and what each of their bands shows."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsMapLayerProxyModel, QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .layers import band_descriptions, raster_path
from .roles import LABELS, guess_roles

_LAYER_ID = Qt.ItemDataRole.UserRole


class _RoleCombo(QComboBox):
    """A role; the wheel scrolls past it instead of changing it."""

    def __init__(self, band: str, role: str) -> None:
        super().__init__()
        self.setObjectName("guidanceRoleCombo")
        self.setAccessibleName(f"Role of {band}")
        self.addItem("Not used", None)
        for name, label in LABELS.items():
            self.addItem(label, name)
        self.setCurrentIndex(self.findData(role))
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the dock."""
        event.ignore()


class GuidanceBox(QGroupBox):
    """A tree of layers and their bands, each band with its role."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Guidance")
        self.layer_combo = QgsMapLayerComboBox()
        self.layer_combo.setObjectName("guidanceLayerCombo")
        self.layer_combo.setAccessibleName("Guidance layer to add")
        self.layer_combo.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.add_button = _tool_button("guidanceAddButton", "symbologyAdd.svg", "Add the layer to the guidance")
        self.remove_button = _tool_button(
            "guidanceRemoveButton", "symbologyRemove.svg", "Take the selected layer out of the guidance"
        )
        self.tree = QTreeWidget()
        self.tree.setObjectName("guidanceTree")
        self.tree.setAccessibleName("Guidance layers, their bands and roles")
        self.tree.setIndentation(self.tree.indentation() * 3 // 4)
        self.tree.setHeaderLabels(["Layer and band", "Role"])
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setStretchLastSection(False)
        self._note = QLabel()
        self._note.setObjectName("guidanceNote")
        self._note.setWordWrap(True)
        self._note.hide()

        top = QHBoxLayout()
        top.addWidget(self.layer_combo, 1)
        self.layer_combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        top.addWidget(self.add_button)
        top.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(self.tree)
        layout.addWidget(self._note)

        self.add_button.clicked.connect(self._add_current)
        self.remove_button.clicked.connect(self._remove_current)
        self.layer_combo.layerChanged.connect(self._update_buttons)
        self.tree.currentItemChanged.connect(self._update_buttons)
        self.tree.itemExpanded.connect(self._fit_height)
        self.tree.itemCollapsed.connect(self._fit_height)
        QgsProject.instance().layersWillBeRemoved.connect(self._forget_layers)
        self._update_buttons()
        self._fit_height()

    def exclude(self, layer: Any) -> None:
        """Do not offer this layer: it is the one to be guided."""
        self.layer_combo.setExceptedLayerList([] if layer is None else [layer])

    def layers(self) -> list[Any]:
        """The layers that guide, in order."""
        return [QgsProject.instance().mapLayer(item.data(0, _LAYER_ID)) for item in self._items()]

    def sources(self) -> list[dict[str, Any]]:
        """Path and band roles of each layer, as a job wants them.

        Raises:
            EngineError: A layer is no raster file.
        """
        roles = [self._roles(item) for item in self._items()]
        return [{"path": raster_path(layer), "roles": roles[i]} for i, layer in enumerate(self.layers())]

    def roles(self) -> set[str]:
        """All roles that are given to a band."""
        return {role for item in self._items() for role in self._roles(item) if role is not None}

    def note(self, text: str) -> None:
        """Say something about the layers below them."""
        self._note.setText(text)
        self._note.setVisible(bool(text))

    def add(self, layer: Any) -> None:
        """Add a raster layer with a guessed role for each band; a layer that is there already stays as it is."""
        if layer is None or self._find(layer.id()) is not None:
            return
        descriptions = band_descriptions(layer)
        item = QTreeWidgetItem([layer.name()])
        item.setToolTip(0, layer.source())
        item.setData(0, _LAYER_ID, layer.id())
        self.tree.addTopLevelItem(item)
        for i, role in enumerate(guess_roles(layer.source().split("|")[0], descriptions)):
            name = descriptions[i] or layer.bandName(i + 1)
            item.addChild(QTreeWidgetItem([name]))
            combo = _RoleCombo(f"{layer.name()}, {name}", role)
            combo.currentIndexChanged.connect(self.changed)
            self.tree.setItemWidget(item.child(i), 1, combo)
        self._order_tabs()
        item.setExpanded(True)
        self.tree.setCurrentItem(item)
        self._update_buttons()
        self._fit_height()
        self.changed.emit()

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.tree.topLevelItem(row) for row in range(self.tree.topLevelItemCount())]

    def _find(self, layer_id: str) -> QTreeWidgetItem | None:
        return next((item for item in self._items() if item.data(0, _LAYER_ID) == layer_id), None)

    def _roles(self, item: QTreeWidgetItem) -> list[str | None]:
        return [self.tree.itemWidget(item.child(band), 1).currentData() for band in range(item.childCount())]

    def _order_tabs(self) -> None:
        """From the tree to the roles, one after the other: Qt puts what comes later behind the rest of the window."""
        before: QWidget = self.tree
        for item in self._items():
            for band in range(item.childCount()):
                combo = self.tree.itemWidget(item.child(band), 1)
                QWidget.setTabOrder(before, combo)
                before = combo

    def _add_current(self) -> None:
        self.add(self.layer_combo.currentLayer())

    def _remove_current(self) -> None:
        item = self.tree.currentItem()
        self._take(item.parent() or item)

    def _forget_layers(self, layer_ids: list[str]) -> None:
        for item in [self._find(layer_id) for layer_id in layer_ids]:
            if item is not None:
                self._take(item)

    def _take(self, item: QTreeWidgetItem) -> None:
        self.tree.takeTopLevelItem(self.tree.indexOfTopLevelItem(item))
        self._update_buttons()
        self._fit_height()
        self.changed.emit()

    def _update_buttons(self) -> None:
        layer = self.layer_combo.currentLayer()
        self.add_button.setEnabled(layer is not None and self._find(layer.id()) is None)
        self.remove_button.setEnabled(self.tree.currentItem() is not None)

    def _fit_height(self) -> None:
        """Show all rows, up to a dozen: scrolling inside the scrolling dock is a nuisance."""
        rows = sum(1 + (item.childCount() if item.isExpanded() else 0) for item in self._items())
        row_height = self._row_height()
        self.tree.setFixedHeight(self.tree.header().sizeHint().height() + row_height * min(max(rows, 2), 12) + 4)

    def _row_height(self) -> int:
        combos = self.tree.findChildren(_RoleCombo)
        return int(combos[0].sizeHint().height() if combos else self.tree.fontMetrics().height() * 1.5)


def _tool_button(name: str, icon: str, action: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setIcon(QgsApplication.getThemeIcon(icon))
    button.setAutoRaise(True)
    button.setToolTip(action)
    button.setAccessibleName(action)
    return button
