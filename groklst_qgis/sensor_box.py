"""A folded part of the dock: what a run may know of sensor, ground and sun."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsMapLayerProxyModel
from qgis.gui import QgsCheckableComboBox, QgsDateTimeEdit, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QFormLayout, QSizePolicy, QSpinBox

from .choices import DERIVED, DOMAINS, PSFS, check_derived
from .folded_box import FoldedBox
from .layers import raster_path


class SensorBox(FoldedBox):
    """Cross-sensor mode, quality, what a coarse pixel sees, and guidance from terrain, sun and bands."""

    cross_sensor_changed = pyqtSignal(bool)
    quality_changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Sensor, terrain and sun", "sensorBox")
        self.cross_sensor = QCheckBox("LST and guidance are of two sensors")
        self.cross_sensor.setObjectName("crossSensorCheck")
        self.cross_sensor.setToolTip(
            "Find shift and blur of the LST against the guidance first; coarse values are then not kept"
        )
        self.quality = QCheckBox("Leave out pixels of poor quality")
        self.quality.setObjectName("qualityCheck")
        self.quality.setChecked(True)
        self.quality.setToolTip("What the quality layers of known products call bad counts as missing")
        self.psf = _choice("psfCombo", PSFS, "How the sensor gathers what a coarse pixel shows")
        self.contrast = _percent("contrastSpin", 5, 95, 30)
        self.contrast.setToolTip("Contrast that the blur leaves of the finest pattern the coarse pixels show (MTF)")
        self.domain = _choice("domainCombo", DOMAINS, "What averages over a coarse pixel")
        self.emissivity = QgsMapLayerComboBox()
        self.emissivity.setObjectName("emissivityLayerCombo")
        self.emissivity.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.emissivity.setAllowEmptyLayer(True, "1 everywhere")
        self.emissivity.setCurrentIndex(0)
        self.emissivity.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.emissivity.setToolTip("Layer with the emissivity, 0 to 1; without one it is 1 everywhere")
        self.strength = _percent("strengthSpin", 1, 100, 100)
        self.strength.setToolTip("Share of the difference to the coarse values that is removed")
        self.derived = QgsCheckableComboBox()
        self.derived.setObjectName("derivedCombo")
        self.derived.setDefaultText("Nothing")
        self.derived.setToolTip("Further guidance to be made of the bands that are given")
        for name, derived in DERIVED.items():
            self.derived.addItemWithCheckState(derived.label, Qt.CheckState.Unchecked, name)
        self.overpass = QgsDateTimeEdit()
        self.overpass.setObjectName("overpassEdit")
        self.overpass.setAllowNull(True)
        self.overpass.setDisplayFormat("yyyy-MM-dd HH:mm")
        self.overpass.setNullRepresentation("As the LST's file says")
        self.overpass.clear()
        self.overpass.setToolTip("When the LST was taken, UTC: a hillshade tells sunny slopes from shady ones")
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.cross_sensor)
        form.addRow(self.quality)
        form.addRow("Coarse pixel", self.psf)
        form.addRow("Contrast left", self.contrast)
        form.addRow("Average of", self.domain)
        form.addRow("Emissivity", self.emissivity)
        form.addRow("Keep values by", self.strength)
        form.addRow("Derive", self.derived)
        form.addRow("Overpass, UTC", self.overpass)
        self.cross_sensor.toggled.connect(self.cross_sensor_changed)
        self.quality.toggled.connect(self.quality_changed)
        self.psf.currentIndexChanged.connect(self._enable)
        self.domain.currentIndexChanged.connect(self._enable)
        self._keeps = True
        self._enable()

    def keep_values(self, keep: bool) -> None:
        """Coarse values are to be kept, or not: what says how is of no use then."""
        self._keeps = keep
        self._enable()

    def quality_rule(self) -> str:
        """The engine's word for which pixels to take."""
        return "recommended" if self.quality.isChecked() else "any"

    def fields(self, roles: set[str]) -> dict[str, Any]:
        """The fields of a job that this box knows.

        Args:
            roles: Of the guidance bands.

        Raises:
            EngineError: A wish cannot be fulfilled.
        """
        derived = list(self.derived.checkedItemsData())
        check_derived(derived, roles)
        emissivity = self.emissivity.currentLayer() if self.emissivity.isEnabled() else None
        known = not self.overpass.isNull()
        return {
            "cross_sensor": self.cross_sensor.isChecked(),
            "consistency": self.strength.value() / 100 if self._keeps else 0.0,
            "psf": self.psf.currentData(),
            "mtf": self.contrast.value() / 100,
            "domain": self.domain.currentData(),
            "emissivity": None if emissivity is None else raster_path(emissivity),
            "derive": derived,
            "overpass": self.overpass.dateTime().toString("yyyy-MM-ddTHH:mm") + "Z" if known else None,
        }

    def _enable(self) -> None:
        for widget in (self.psf, self.domain, self.strength):
            widget.setEnabled(self._keeps)
        self.contrast.setEnabled(self._keeps and self.psf.currentData() == "gaussian")
        self.emissivity.setEnabled(self._keeps and self.domain.currentData() == "radiance")


def _choice(name: str, labels: dict[str, str], explanation: str) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(name)
    for value, label in labels.items():
        combo.addItem(label, value)
    combo.setToolTip(explanation)
    return combo


def _percent(name: str, low: int, high: int, value: int) -> QSpinBox:
    spin = QSpinBox()
    spin.setObjectName(name)
    spin.setRange(low, high)
    spin.setValue(value)
    spin.setSuffix(" %")
    return spin
