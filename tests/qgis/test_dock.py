from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docks import choose_method
from qgis.core import Qgis, QgsProject
from qgis.gui import QgsCollapsibleGroupBox, QgsScrollArea
from qgis.PyQt.QtCore import QDateTime, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QWheelEvent
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QLabel, QToolButton, QWidget

from groklst_qgis.choices import parse_steps, parse_workers
from groklst_qgis.computation_box import ComputationBox
from groklst_qgis.dock import GroklstDock
from groklst_qgis.engine import PYTHON_VARIABLE, Engine, EngineError
from groklst_qgis.preflight import format_pixel
from groklst_qgis.roles import LABELS
from groklst_qgis.weights_dialog import WeightsDialog

AddRaster = Callable[..., Any]


def role_combos(dock: GroklstDock) -> list[Any]:
    return dock.guidance.tree.findChildren(QComboBox, "guidanceRoleCombo")


def table(dock: GroklstDock) -> list[list[str]]:
    items = dock.preflight.table
    rows = [[items.item(row, column) for column in range(3)] for row in range(items.rowCount())]
    return [[item.text() for item in row if item] for row in rows]


def test_methods_come_from_the_engine(dock: GroklstDock) -> None:
    combo = dock.method.method_combo
    assert [combo.itemText(i) for i in range(combo.count())] == [
        "Bicubic (no guidance)",
        "GrokLST small (×2, 4, 8)",
        "Slow",
        "Deadly",
        "Automatic",
    ]
    assert combo.currentData()["name"] == "groklst-small"
    assert dock.method.description.text() == "A network."
    assert "Engine 0.0.1 on cpu" in dock.log.toPlainText()


def test_scales_follow_the_method(dock: GroklstDock, qtbot: Any) -> None:
    combo = dock.method.scale_combo
    assert [combo.itemText(i) for i in range(combo.count())] == ["2", "4", "8"]
    assert combo.currentText() == "4"
    assert not combo.isEditable()
    choose_method(dock, "bicubic")
    assert [combo.itemText(i) for i in range(combo.count())] == ["2", "3", "4", "5", "6", "8", "10"]
    combo.lineEdit().clear()
    qtbot.keyClicks(combo.lineEdit(), "7")
    assert dock.method.scale() == 7
    choose_method(dock, "groklst-small")
    assert combo.currentText() in ("2", "4", "8")


def test_roles_are_guessed_and_can_be_changed(dock: GroklstDock) -> None:
    assert dock.guidance.sources()[0]["roles"] == ["red", "other"]
    assert [combo.accessibleName() for combo in role_combos(dock)] == ["Role of s2, B04", "Role of s2, nothing known"]
    role_combos(dock)[1].setCurrentText("Not used")
    role_combos(dock)[0].setCurrentText("NIR")
    assert dock.guidance.sources()[0]["roles"] == ["nir", None]


def test_bands_that_the_method_cannot_use_are_named(dock: GroklstDock) -> None:
    note = dock.findChild(QLabel, "guidanceNote")
    assert note.text() == "GrokLST small makes no use of: Other."
    role_combos(dock)[1].setCurrentText("NIR")
    assert not note.isVisibleTo(dock)
    choose_method(dock, "bicubic")
    assert note.text() == "Bicubic takes no guidance: these layers are left out."
    choose_method(dock, "slow")
    assert not note.isVisibleTo(dock)


def test_guidance_layers_come_and_go(dock: GroklstDock, add_raster: AddRaster) -> None:
    names = lambda: [layer.name() for layer in dock.guidance.layers()]  # noqa: E731
    assert not dock.guidance.add_button.isEnabled(), "s2 is there already"
    dem, ndvi = add_raster("dem"), add_raster("ndvi")
    for layer in (dem, ndvi):
        dock.guidance.layer_combo.setLayer(layer)
        dock.guidance.add_button.click()
    assert names() == ["s2", "dem", "ndvi"]
    dock.guidance.tree.setCurrentItem(dock.guidance.tree.topLevelItem(1).child(0))
    dock.guidance.remove_button.click()
    assert names() == ["s2", "ndvi"]
    QgsProject.instance().removeMapLayer(ndvi)
    assert names() == ["s2"]
    QgsProject.instance().clear()
    assert names() == []


def test_lst_is_not_offered_as_its_own_guidance(dock: GroklstDock) -> None:
    offered = [dock.guidance.layer_combo.itemText(i) for i in range(dock.guidance.layer_combo.count())]
    assert offered == ["s2"]


def test_preflight_says_what_will_be_done(dock: GroklstDock, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: dock.preflight.table.rowCount() == 6)
    assert table(dock) == [
        ["MODIS LST"],
        ["EPSG:32632", "1000 m", "88%"],
        ["Taken as it is"],
        ["s2"],
        ["EPSG:32632", "1000 m", "88%"],
        ["Averaged from 100 m to 250 m"],
    ]
    assert dock.preflight.message.text().splitlines() == [
        "Warning: 13 % of the temperature has no data.",
        "Result: 40 × 32 pixels of 250 m, EPSG:32632.",
    ]
    choose_method(dock, "bicubic")
    qtbot.waitUntil(lambda: dock.preflight.table.rowCount() == 3)


def test_preflight_problems_are_said_in_words(dock: GroklstDock, qtbot: Any) -> None:
    choose_method(dock, "bicubic")
    dock.method.scale_combo.setCurrentText("2.5")
    qtbot.waitUntil(lambda: "2.5" in dock.preflight.message.text())
    assert dock.preflight.message.text().startswith("The scale '2.5' is no whole number")
    assert dock.preflight.icon.isVisibleTo(dock)
    assert not dock.preflight.table.isVisibleTo(dock)
    path = Path(dock.lst_combo.currentLayer().source())
    path.unlink()
    dock.method.scale_combo.setCurrentText("2")
    qtbot.waitUntil(lambda: dock.preflight.message.text() == f"The file {path} does not exist.")


def test_preflight_names_the_product_and_what_is_left_of_it(
    dock: GroklstDock, add_raster: AddRaster, qtbot: Any
) -> None:
    lst, mask = add_raster("MOD11A1"), add_raster("clear")
    dock.lst_combo.setLayer(lst)
    dock.mask_combo.setLayer(mask)
    assert dock._inspect_job()[0]["mask"] == mask.source()
    qtbot.waitUntil(lambda: dock.preflight.table.rowCount() == 7)
    assert table(dock)[2:4] == [["MOD11A1: 83% pass mask and quality layers"], ["Taken as it is"]]


def test_options_of_sensor_and_terrain_reach_the_job(dock: GroklstDock, add_raster: AddRaster) -> None:
    plain = dock._downscale_job()
    assert (plain["consistency"], plain["cross_sensor"], plain["lst"]["qc"]) == (1.0, False, "recommended")
    assert (plain["psf"], plain["domain"], plain["emissivity"], plain["derive"]) == ("box", "temperature", None, [])
    assert (plain["overpass"], plain["mask"]) == (None, None)
    sensor = dock.sensor
    emissivity = add_raster("emissivity")
    assert not sensor.contrast.isEnabled()
    assert not sensor.emissivity.isEnabled()
    for combo, value in ((sensor.psf, "gaussian"), (sensor.domain, "radiance")):
        combo.setCurrentIndex(combo.findData(value))
    sensor.contrast.setValue(20)
    sensor.emissivity.setLayer(emissivity)
    sensor.strength.setValue(60)
    sensor.quality.setChecked(False)
    job = dock._downscale_job()
    assert (job["psf"], job["mtf"], job["domain"]) == ("gaussian", 0.2, "radiance")
    assert (job["emissivity"], job["consistency"]) == (emissivity.source(), 0.6)
    assert (job["lst"]["qc"], job["guidance"][0]["qc"]) == ("any", "any")
    sensor.derived.setCheckedItems(["Hillshade at the overpass", "NDVI"])
    sensor.overpass.setDateTime(QDateTime(2020, 7, 14, 10, 45))
    with pytest.raises(
        EngineError, match=r"Hillshade at the overpass cannot be derived, .* no guidance band is Elevation:"
    ):
        dock._downscale_job()
    role_combos(dock)[1].setCurrentText(LABELS["dem"])
    with pytest.raises(EngineError, match="NDVI cannot be derived, because no guidance band is NIR:"):
        dock._downscale_job()
    sensor.derived.deselectAllOptions()
    sensor.derived.setCheckedItems(["Hillshade at the overpass"])
    job = dock._downscale_job()
    assert (job["overpass"], job["derive"]) == ("2020-07-14T10:45Z", ["hillshade"])


def test_cross_sensor_mode_keeps_no_coarse_values(dock: GroklstDock) -> None:
    dock.sensor.cross_sensor.setChecked(True)
    assert not any(widget.isEnabled() for widget in (dock.sensor.psf, dock.sensor.domain, dock.sensor.strength))
    job = dock._downscale_job()
    assert (job["cross_sensor"], job["consistency"], job["uncertainty"]) == (True, 0.0, True)


def test_options_of_the_computation_reach_the_job(dock: GroklstDock, messages: Any, tmp_path: Path) -> None:
    plain = dock._downscale_job()
    assert (plain["steps"], plain["budget"], plain["precision"]) == ([], 300, "auto")
    assert (plain["memory"], plain["resume"], plain["uncertainty"]) == (None, False, True)
    assert (plain["cluster"], plain["cog"]) == (None, False)
    box = dock.computation
    box.steps.setText("2, 2")
    box.budget.setValue(60)
    box.precision.setCurrentIndex(box.precision.findData("float32"))
    box.memory.setValue(2.5)
    box.workers.setText(" local:2 ")
    dock.result.cog.setChecked(True)
    box.resume.setChecked(True)
    dock.run_button.click()
    assert "needs an output file" in messages(Qgis.MessageLevel.Critical)[0]
    dock.result.output.setFilePath(str(tmp_path / "fine.tif"))
    job = dock._downscale_job()
    assert (job["steps"], job["uncertainty"], job["budget"]) == ([2, 2], False, 60)
    assert (job["precision"], job["memory"], job["resume"]) == ("float32", 2.5, True)
    assert (job["cluster"], job["cog"]) == ("local:2", True)
    again = ComputationBox()
    assert (again.memory.value(), again.workers.text()) == (2.5, " local:2 "), "they hold for this computer"
    box.memory.setValue(0)
    box.workers.clear()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2,x", "'x' is no step"),
        ("2,,2", "'' is no step"),
        ("1,4", "'1' is no step"),
        ("2,3", "make the scale 6, not 4"),
    ],
)
def test_steps_must_make_the_scale(text: str, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        parse_steps(text, 4)


@pytest.mark.parametrize(
    "text", ["2", "local", "local:", "local:0", "local:1000", "local:2.5", "10.0.0.1:8786", "tcp://", "x local:2"]
)
def test_workers_that_nobody_knows(dock: GroklstDock, messages: Any, text: str) -> None:
    dock.computation.workers.setText(text)
    dock.run_button.click()
    assert f"The workers '{text}' are unknown: give a number of processes" in messages(Qgis.MessageLevel.Critical)[0]
    assert dock.run_button.isEnabled()
    dock.computation.workers.clear()


def test_workers_elsewhere_need_an_output_that_they_see(dock: GroklstDock, messages: Any, tmp_path: Path) -> None:
    address = "tcp://10.0.0.1:8786"
    dock.computation.workers.setText(address)
    dock.run_button.click()
    assert "Workers on other machines need an output file" in messages(Qgis.MessageLevel.Critical)[0]
    dock.result.output.setFilePath(str(tmp_path / "fine.tif"))
    assert dock._downscale_job()["cluster"] == address
    dock.computation.workers.clear()
    assert parse_workers(" ") is None


@pytest.mark.parametrize("scale", ["", "x", "1", "0", "-2", "3.5"])
def test_scale_must_be_a_whole_number(dock: GroklstDock, messages: Any, scale: str) -> None:
    choose_method(dock, "bicubic")
    dock.method.scale_combo.setCurrentText(scale)
    dock.run_button.click()
    assert f"The scale '{scale}' is no whole number" in messages(Qgis.MessageLevel.Critical)[0]
    assert dock.run_button.isEnabled()


def test_empty_project(
    fake_engine: Engine, qgis_new_project: Any, make_dock: Callable[[], GroklstDock], qtbot: Any, messages: Any
) -> None:
    dock = make_dock()
    dock.run_button.click()
    sentence = "Add a land surface temperature raster to the project and choose it above."
    assert messages(Qgis.MessageLevel.Critical) == [f"GrokLST:{sentence}"]
    qtbot.waitUntil(lambda: dock.preflight.message.text() == sentence)


def test_missing_engine_leads_to_the_settings(
    add_raster: AddRaster,
    make_dock: Callable[[], GroklstDock],
    messages: Any,
    monkeypatch: pytest.MonkeyPatch,
    fake_engine: Engine,
) -> None:
    add_raster("lst")
    monkeypatch.setenv(PYTHON_VARIABLE, "/no/such/python")
    dock = make_dock()
    assert "Settings ▸ Options ▸ GrokLST" in dock.method.description.text()
    assert not dock.method.method_combo.isEnabled()
    dock.run_button.click()
    assert "/no/such/python" in messages(Qgis.MessageLevel.Critical)[0]
    monkeypatch.setenv(PYTHON_VARIABLE, str(fake_engine.python))
    dock.method.settings_button.click()  # the user chooses another Python there
    assert not dock.method.settings_button.isVisibleTo(dock)


def test_new_weights_are_methods_at_once(dock: GroklstDock, qtbot: Any) -> None:
    dock.method.ask_again("slow")
    assert not dock.method.method_combo.isEnabled()
    qtbot.waitUntil(dock.method.method_combo.isEnabled, timeout=10_000)
    assert dock.method.method()["name"] == "slow"
    dock.method.ask_again()
    qtbot.waitUntil(dock.method.method_combo.isEnabled, timeout=10_000)
    assert dock.method.method()["name"] == "slow", "the present choice is kept"


def test_weights_and_training_are_a_click_away(
    dock: GroklstDock, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROKLST_WEIGHTS", str(tmp_path / "registry"))
    with qtbot.waitSignal(dock.training_wanted):
        dock.method.train_button.click()
    dock.method.weights_button.click()
    dialog = dock.findChild(WeightsDialog)
    qtbot.waitUntil(lambda: dialog.list.topLevelItemCount() == 1, timeout=10_000)
    dialog.weights_changed.emit()
    qtbot.waitUntil(dock.method.method_combo.isEnabled, timeout=10_000)
    dialog.close()


def test_every_control_can_be_named_and_reached(dock: GroklstDock) -> None:
    names = [
        "lstLayerCombo", "lstBandCombo", "lstUnitCombo", "maskLayerCombo", "guidanceLayerCombo", "guidanceAddButton",
        "guidanceRemoveButton", "guidanceTree", "methodCombo", "scaleCombo", "outputFile", "uncertaintyCheck",
        "consistencyCheck", "reportCheck", "cogCheck", "crossSensorCheck", "qualityCheck", "psfCombo", "contrastSpin",
        "domainCombo", "emissivityLayerCombo", "strengthSpin", "derivedCombo", "overpassEdit", "stepsEdit",
        "budgetSpin", "precisionCombo", "memorySpin", "workersEdit", "resumeCheck",
        "preflightTable", "preflightMessage", "progressBar", "runButton", "cancelButton",
        "reportBrowser", "openReportButton", "logText", "groklstTabs", "statusLabel",
    ]  # fmt: skip
    for name in names:
        assert dock.findChild(QWidget, name) is not None, name
    order = []
    widget = dock.lst_combo
    while widget is not dock.lst_combo or not order:
        if widget.objectName() in names and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            order.append(widget.objectName())
        widget = widget.nextInFocusChain()
    wanted = [name for name in names[: names.index("resumeCheck") + 1] if name in order]
    assert [name for name in order if name in wanted] == wanted


def test_tab_key_goes_from_the_tree_to_the_roles(dock: GroklstDock, add_raster: AddRaster) -> None:
    dock.guidance.add(add_raster("dem"))
    reached: list[str] = []
    widget = dock.guidance.tree
    while widget is not dock.method.method_combo:
        widget = widget.nextInFocusChain()
        if isinstance(widget, QComboBox):
            reached.append(widget.accessibleName())
    assert reached == ["Role of s2, B04", "Role of s2, nothing known", "Role of dem, Band 1", "Method"]


@pytest.mark.parametrize("name", ["sensorBox", "computationBox"])
def test_keyboard_unfolds_what_is_folded(dock: GroklstDock, qtbot: Any, name: str) -> None:
    box = dock.findChild(QgsCollapsibleGroupBox, name)
    button = box.findChild(QToolButton, "collapseButton")
    assert button.accessibleName() == f"{box.title()}: show or hide"
    assert not box.focusPolicy() & Qt.FocusPolicy.TabFocus
    folded = box.isCollapsed()
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert box.isCollapsed() != folded


def test_scrolling_past_a_field_does_not_change_it(dock: GroklstDock) -> None:
    area, combo = dock.findChild(QgsScrollArea, "inputsArea"), dock.method.method_combo
    before = combo.currentText()
    for widget in (area.viewport(), combo):
        middle = QPointF(widget.rect().center())
        turn = QWheelEvent(
            middle,
            QPointF(widget.mapToGlobal(middle.toPoint())),
            QPoint(),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, turn)
    assert area.verticalScrollBar().value() > 0
    assert combo.currentText() == before


def test_time_to_choose_is_for_the_automatic_choice(dock: GroklstDock) -> None:
    assert not dock.computation.budget.isEnabled()
    choose_method(dock, "auto")
    assert dock.computation.budget.isEnabled()


def test_pixel_sizes_carry_their_unit() -> None:
    assert format_pixel([250.0, 250.0], "EPSG:32632") == "250 m"
    assert format_pixel([0.01, 0.02], "EPSG:4326") == "0.01 × 0.02 °"
