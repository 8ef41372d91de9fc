"""The folded part of the dock: what a run may know of the sensors, and steps."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsDateTimeEdit
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QLineEdit, QSpinBox

from .engine import EngineError


class AdvancedBox(QgsCollapsibleGroupBox):
    """Cross-sensor mode, steps, strength of the consistency, and the time of the overpass."""

    cross_sensor_changed = pyqtSignal(bool)
    steps_changed = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__("Advanced")
        self.setObjectName("advancedBox")
        self.setCollapsed(True)
        self.cross_sensor = QCheckBox("LST and guidance are of two sensors")
        self.cross_sensor.setObjectName("crossSensorCheck")
        self.cross_sensor.setToolTip(
            "Find shift and blur of the LST against the guidance first; coarse values are then not kept"
        )
        self.steps = QLineEdit()
        self.steps.setObjectName("stepsEdit")
        self.steps.setPlaceholderText("One; or e.g. 2,2")
        self.steps.setToolTip("Scales of the steps in which to downscale; there is no standard error then")
        self.strength = QSpinBox()
        self.strength.setObjectName("strengthSpin")
        self.strength.setRange(1, 100)
        self.strength.setValue(100)
        self.strength.setSuffix(" %")
        self.strength.setToolTip("Share of the difference to the coarse values that is removed")
        self.overpass = QgsDateTimeEdit()
        self.overpass.setObjectName("overpassEdit")
        self.overpass.setAllowNull(True)
        self.overpass.setDisplayFormat("yyyy-MM-dd HH:mm")
        self.overpass.setNullRepresentation("Not known")
        self.overpass.clear()
        self.overpass.setToolTip(
            "When the LST was taken, UTC; slopes in the sun are then told from slopes in the shade by the elevation"
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.cross_sensor)
        form.addRow("Steps", self.steps)
        form.addRow("Keep values by", self.strength)
        form.addRow("Overpass, UTC", self.overpass)
        self.cross_sensor.toggled.connect(self.cross_sensor_changed)
        self.steps.textChanged.connect(lambda text: self.steps_changed.emit(bool(text.strip())))

    def fields(self, scale: int, keep: bool, elevation: bool) -> dict[str, Any]:
        """The fields of a job that this box knows.

        Args:
            scale: Of the job, which the steps must make.
            keep: Whether coarse values are to be kept.
            elevation: Whether a guidance band shows it.

        Raises:
            EngineError: A wish cannot be fulfilled.
        """
        fields: dict[str, Any] = {
            "consistency": self.strength.value() / 100 if keep else 0.0,
            "cross_sensor": self.cross_sensor.isChecked(),
            "steps": parse_steps(self.steps.text(), scale),
        }
        if not self.overpass.isNull():
            if not elevation:
                raise EngineError("The sun on the slopes needs elevation: add it to the guidance, or empty Overpass.")
            fields["overpass"] = self.overpass.dateTime().toString("yyyy-MM-ddTHH:mm") + "Z"
            fields["derive"] = ["hillshade"]
        return fields


def parse_steps(text: str, scale: int) -> list[int]:
    """Steps such as ``2,2``; none for one step.

    Raises:
        EngineError: They are no scales, or do not make the scale.
    """
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    wrong = next((word for word in words if not word.isdecimal() or int(word) < 2), None)
    if wrong is not None:
        raise EngineError(f"'{wrong}' is no step: give whole numbers of 2 or more with commas between, such as 2,2.")
    steps = [int(word) for word in words]
    product = 1
    for step in steps:
        product *= step
    if steps and product != scale:
        raise EngineError(f"The steps {text.strip()} make the scale {product}, not {scale}: change one of them.")
    return steps
