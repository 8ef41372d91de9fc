"""The part of the data page where layers of the project become scenes to train on."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayerProxyModel, QgsProject, QgsRasterLayer
from qgis.gui import QgsMapLayerComboBox, QgsRasterBandComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..engine import EngineError
from ..guidance import GuidanceBox
from ..layers import raster_path

_SCENE = Qt.ItemDataRole.UserRole


class SceneEditor(QWidget):
    """A scene to be made of layers.

    Attributes:
        made: The scenes made so far, to be shown beside it.
    """

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.lst_combo = _layer_combo("sceneLstCombo", "Layer of the fine land surface temperature")
        self.band_combo = QgsRasterBandComboBox()
        self.band_combo.setObjectName("sceneBandCombo")
        self.band_combo.setAccessibleName("Band with the temperature")
        self.band_combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.band_combo.setLayer(self.lst_combo.currentLayer())
        self.mask_combo = _layer_combo("sceneMaskCombo", "Layer that is 1 where the scene is clear")
        self.mask_combo.setAllowEmptyLayer(True)
        self.mask_combo.setLayer(None)
        self.native = QSpinBox()
        self.native.setObjectName("sceneNative")
        self.native.setRange(1, 64)
        self.native.setToolTip(
            "The thermal sensor's own pixel divided by the delivered one: there is no detail below.\n"
            "At 30 m: 2 for Landsat 7, 3 for Landsat 8 and 9, 4 for Landsat 5."
        )
        self.guidance = GuidanceBox()
        self.open_button = QPushButton("Open raster files…")
        self.open_button.setObjectName("sceneOpenButton")
        self.open_button.setToolTip("Add raster files to the project's layers, to be chosen here")
        self.name = QLineEdit()
        self.name.setObjectName("sceneName")
        self.name.setToolTip("Scenes of one region are kept in one split")
        self.add_button = QPushButton("Add scene")
        self.add_button.setObjectName("sceneAddButton")
        self.add_button.setToolTip("Train on the scene as it stands here, too")
        self.list = QListWidget()
        self.list.setObjectName("sceneList")
        self.list.setAccessibleName("Scenes to train on")
        self.remove_button = QPushButton("Remove scene")
        self.remove_button.setObjectName("sceneRemoveButton")
        self.remove_button.setToolTip("Take the selected scene out")
        self.message = QLabel()
        self.message.setObjectName("sceneMessage")
        self.message.setWordWrap(True)

        lst = QGroupBox("Fine land surface temperature")
        form = QFormLayout(lst)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Layer", self.lst_combo)
        form.addRow("Band", self.band_combo)
        form.addRow("Clear-sky mask", self.mask_combo)
        form.addRow("Sensor pixel ÷ pixel", self.native)
        form.addRow("Name", self.name)
        self.made = QGroupBox("Scenes to train on")
        column = QVBoxLayout(self.made)
        column.addWidget(self.list)
        column.addWidget(self.remove_button)
        buttons = QHBoxLayout()
        buttons.addWidget(self.open_button)
        buttons.addStretch()
        buttons.addWidget(self.add_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(lst)
        layout.addWidget(self.guidance)
        layout.addLayout(buttons)
        layout.addWidget(self.message)
        layout.addStretch()

        self.lst_combo.layerChanged.connect(self._follow_layer)
        self.open_button.clicked.connect(self._open)
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.list.currentRowChanged.connect(self._update_buttons)
        self._follow_layer(self.lst_combo.currentLayer())
        self._update_buttons()

    def scenes(self) -> list[dict[str, Any]]:
        """The scenes, as a job wants them."""
        return [self.list.item(row).data(_SCENE) for row in range(self.list.count())]

    def _follow_layer(self, layer: Any) -> None:
        self.band_combo.setLayer(layer)
        self.guidance.exclude(layer)
        self.name.setText(layer.name() if layer is not None else "")
        self._update_buttons()

    def _open(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Open raster files", "", "Rasters (*.tif *.tiff *.vrt *.img);;All (*)"
        )
        for path in paths:
            layer = QgsRasterLayer(path, path.rsplit("/", 1)[-1].rsplit(".", 1)[0])
            if layer.isValid():
                QgsProject.instance().addMapLayer(layer)
            else:
                self.message.setText(f"{path} is no raster that QGIS can read: choose another.")

    def _add(self) -> None:
        try:
            scene = self._scene()
        except EngineError as error:
            self.message.setText(str(error))
            return
        self.message.clear()
        bands = sum(role is not None for source in scene["guidance"] for role in source["roles"])
        item = QListWidgetItem(f"{scene['name']}: {bands} guidance bands")
        item.setToolTip(scene["lst"]["path"])
        item.setData(_SCENE, scene)
        self.list.addItem(item)
        self._update_buttons()
        self.changed.emit()

    def _scene(self) -> dict[str, Any]:
        """The scene that the editor shows.

        Raises:
            EngineError: It is not complete, or there already.
        """
        layer = self.lst_combo.currentLayer()
        if layer is None:
            raise EngineError("There is no raster layer in the project: open the files of a scene.")
        name = self.name.text().strip() or layer.name()
        if name in (scene["name"] for scene in self.scenes()):
            raise EngineError(f"There is a scene '{name}' already: give this one another name.")
        mask = self.mask_combo.currentLayer()
        return {
            "name": name,
            "lst": {"path": raster_path(layer), "band": self.band_combo.currentBand()},
            "guidance": self.guidance.sources(),
            "mask": None if mask is None else raster_path(mask),
            "native": self.native.value(),
        }

    def _remove(self) -> None:
        self.list.takeItem(self.list.currentRow())
        self._update_buttons()
        self.changed.emit()

    def _update_buttons(self) -> None:
        self.add_button.setEnabled(self.lst_combo.currentLayer() is not None)
        self.remove_button.setEnabled(self.list.currentRow() >= 0)


def _layer_combo(name: str, accessible_name: str) -> QgsMapLayerComboBox:
    combo = QgsMapLayerComboBox()
    combo.setObjectName(name)
    combo.setAccessibleName(accessible_name)
    combo.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo
