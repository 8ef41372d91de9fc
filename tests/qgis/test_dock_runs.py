"""What comes of a run in the dock: a result and its report, or a sentence and nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docks import choose_method, run
from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QMessageBox

from groklst_qgis import engine as engine_module
from groklst_qgis.dock import GroklstDock
from groklst_qgis.engine import EngineProcess

AddRaster = Callable[..., Any]


def test_the_choice_of_auto_is_told(dock: GroklstDock, qtbot: Any, messages: Any) -> None:
    choose_method(dock, "auto")
    run(dock, qtbot)
    assert messages(Qgis.MessageLevel.Success)[0].endswith("(Automatic: dms) is done after 1.5 s.")
    assert QgsProject.instance().layerTreeRoot().children()[0].name() == "MODIS LST ×4 (Automatic: dms)"
    text = dock.report.browser.toPlainText()
    assert "On your rasters dms was best." in text
    assert "✓ dms" in text
    assert "1.250" in text
    assert "80%" in text
    assert "on 81 coarse pixels" in text
    dock.method.scale_combo.setCurrentText("2")
    run(dock, qtbot)
    warned = messages(Qgis.MessageLevel.Warning)
    assert warned[0].endswith("is done after 1.5 s. On your rasters bicubic was best.")


def test_run_brings_result_and_report(
    dock: GroklstDock, qtbot: Any, messages: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "results" / "fine"
    output.parent.mkdir()
    dock.result.output.setFilePath(str(output))
    run(dock, qtbot)
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert group.name() == "MODIS LST ×4 (GrokLST small)"
    error, fine = group.children()
    assert (error.name(), error.itemVisibilityChecked()) == ("Standard error", False)
    assert error.layer().source() == f"{output}_uncertainty.tif"
    layer = fine.layer()
    assert layer.source() == f"{output}.tif"
    assert (layer.width(), layer.height()) == (40, 32)
    assert dock.tabs.currentWidget() is dock.report
    text = dock.report.browser.toPlainText()
    assert "Bicubic <plain>" in text
    assert "Few <pixels>." in text
    assert messages(Qgis.MessageLevel.Success) == ["GrokLST:MODIS LST ×4 (GrokLST small) is done after 1.5 s."]
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    dock.report.open_button.click()
    assert opened == [QUrl.fromLocalFile(str(output.parent / "fine_report" / "report.html"))]


def test_empty_output_is_a_temporary_file_and_report_can_be_left_out(dock: GroklstDock, qtbot: Any) -> None:
    dock.result.write_report.setChecked(False)
    dock.result.uncertainty.setChecked(False)
    run(dock, qtbot)
    layer = QgsProject.instance().layerTreeRoot().children()[0].children()[0].layer()
    assert Path(layer.source()).name == "lst_x4.tif"
    assert layer.isTemporary()
    assert not dock.report.open_button.isEnabled()


def test_cancel_leaves_nothing(dock: GroklstDock, qtbot: Any, messages: Any, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    choose_method(dock, "slow")
    dock.result.output.setFilePath(str(tmp_path / "out.tif"))
    dock.run_button.click()
    qtbot.waitUntil(lambda: dock.progress.value() == 25)
    assert dock.status.text() == "Downscaling tile 1 of 4"
    assert not dock.run_button.isEnabled()
    dock.cancel_button.click()
    qtbot.waitUntil(dock.run_button.isEnabled)
    assert messages(Qgis.MessageLevel.Info) == ["GrokLST:Cancelled; nothing was written."]
    assert set(tmp_path.iterdir()) == before
    qtbot.waitUntil(lambda: not EngineProcess.running)
    assert not dock.cancel_button.isEnabled()


def unfinished(output: Path) -> tuple[Path, Path]:
    """What an interrupted run leaves."""
    files = output.with_name(f"{output.name}.part"), output.with_name(f"{output.name}.part.done")
    for file in files:
        file.write_text("half")
    return files


@pytest.mark.parametrize(("answer", "jobs"), [("Go on", [True]), ("Start anew", [False]), ("Cancel", [])])
def test_interrupted_run_can_go_on(
    dock: GroklstDock, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, jobs: list[bool]
) -> None:
    output = tmp_path / "out.tif"
    files = unfinished(output)
    dock.result.output.setFilePath(str(output))

    def press(box: QMessageBox) -> int:
        assert str(output) in box.text()
        (button,) = [button for button in box.buttons() if button.text().replace("&", "") == answer]
        button.click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", press)
    run(dock, qtbot)
    done = [line for line in dock.log.toPlainText().splitlines() if line.startswith("{")]
    assert [json.loads(line)["resume"] for line in done] == jobs
    assert output.exists() == bool(jobs)
    assert files[1].exists() == (answer != "Start anew"), "this engine takes no note away, the plugin does"


@pytest.mark.parametrize("method", ["slow", "deadly"])
def test_what_is_done_is_kept_when_wanted(dock: GroklstDock, qtbot: Any, tmp_path: Path, method: str) -> None:
    choose_method(dock, method)
    dock.result.output.setFilePath(str(tmp_path / "out.tif"))
    dock.computation.resume.setChecked(True)
    dock.run_button.click()
    qtbot.waitUntil(lambda: dock.progress.value() == 25 or dock.run_button.isEnabled())
    dock.cancel_button.click()
    qtbot.waitUntil(dock.run_button.isEnabled, timeout=10_000)
    assert (tmp_path / "out.tif.part").exists()


def test_shift_between_sensors_is_told(dock: GroklstDock, qtbot: Any) -> None:
    dock.sensor.cross_sensor.setChecked(True)
    run(dock, qtbot)
    assert "Shift of 1 row." in dock.report.browser.toPlainText()


def test_killed_engine_is_one_sentence(dock: GroklstDock, qtbot: Any, messages: Any, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    choose_method(dock, "deadly")
    dock.result.output.setFilePath(str(tmp_path / "out.tif"))
    run(dock, qtbot)
    assert len(messages(Qgis.MessageLevel.Critical)) == 1
    assert "probably out of memory" in messages(Qgis.MessageLevel.Critical)[0]
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("answer", [QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No])
def test_existing_output_is_replaced_only_with_consent(
    dock: GroklstDock, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    output = tmp_path / "out.tif"
    output.write_text("precious")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answer)
    dock.result.output.setFilePath(str(output))
    run(dock, qtbot)
    assert (output.read_bytes() == b"precious") == (answer == QMessageBox.StandardButton.No)


def test_output_without_folder_is_refused(dock: GroklstDock, messages: Any) -> None:
    dock.result.output.setFilePath("out.tif")
    dock.run_button.click()
    assert "'out.tif' has no folder" in messages(Qgis.MessageLevel.Critical)[0]


def test_stop_ends_a_running_job(dock: GroklstDock, qtbot: Any) -> None:
    choose_method(dock, "slow")
    dock.run_button.click()
    qtbot.waitUntil(lambda: dock.progress.value() == 25)
    dock.preflight.stop()
    dock.stop()
    engine_module.stop_all()
    qtbot.waitUntil(lambda: not EngineProcess.running)
