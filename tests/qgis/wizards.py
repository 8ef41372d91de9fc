"""Steps in the training wizard that several tests take."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt

from groklst_qgis.training import Training
from groklst_qgis.wizard.wizard import OPTIONS, RUN, TrainingWizard


def layer(name: str) -> Any:
    return QgsProject.instance().mapLayersByName(name)[0]


def add_scene(wizard: TrainingWizard, name: str = "Fine LST", guided: bool = True) -> None:
    scenes = wizard.data.scenes
    scenes.lst_combo.setLayer(layer("Fine LST"))
    if guided and not scenes.guidance.layers():
        scenes.guidance.layer_combo.setLayer(layer("s2"))
        scenes.guidance.add_button.click()
    scenes.name.setText(name)
    scenes.add_button.click()


def go_to_options(wizard: TrainingWizard, qtbot: Any, model: str = "guided-residual") -> None:
    wizard.next()
    qtbot.waitUntil(lambda: wizard.model.list.topLevelItemCount() > 0)
    choose_model(wizard, model)
    wizard.next()
    assert wizard.currentId() == OPTIONS


def choose_model(wizard: TrainingWizard, name: str) -> None:
    tree = wizard.model.list
    items = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount())]
    (item,) = [item for item in items if item.data(0, Qt.ItemDataRole.UserRole)["name"] == name]
    tree.setCurrentItem(item)


def train(wizard: TrainingWizard, qtbot: Any, steps: int = 40) -> Training:
    go_to_options(wizard, qtbot)
    wizard.options.length.setCurrentIndex(3)
    wizard.options.steps.setValue(steps)
    wizard.next()
    assert wizard.currentId() == RUN
    assert wizard.run.training is not None
    return wizard.run.training


def wait_for(training: Training, state: str, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: training.state == state, timeout=20_000)
