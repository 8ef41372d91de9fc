"""The training wizard's pages, with an engine that only pretends; the test in QGIS Desktop has the real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QAbstractSpinBox, QComboBox, QLabel, QMessageBox
from wizards import add_scene, choose_model, go_to_options, layer, train, wait_for

from groklst_qgis.engine import EngineProcess
from groklst_qgis.training import DISCARDED, DONE, FAILED, PAUSED, RUNNING, Training
from groklst_qgis.wizard.wizard import DATA, MODEL, OPTIONS, RESULT, RUN, TrainingWizard

MakeWizard = Callable[..., TrainingWizard]


def test_data_are_looked_at(wizard: TrainingWizard) -> None:
    assert wizard.data.pictures.count() == 1
    assert wizard.data.pictures.item(0).text() == "Fine LST\n200 × 200, 40% valid"
    assert wizard.data.message.text().splitlines() == [
        "Warning: Only 40% of 'Fine LST' has LST and all guidance bands.",
        "Scenes: 1. Guidance bands of all: Red, NIR.",
    ]
    (scene,) = wizard.data.data()["scenes"]
    assert scene["lst"] == {"path": layer("Fine LST").source(), "band": 1}
    assert scene["guidance"] == [{"path": layer("s2").source(), "roles": ["red", "nir"]}]
    assert (scene["mask"], scene["native"]) == (None, 1)


def test_scenes_come_and_go(wizard: TrainingWizard, qtbot: Any) -> None:
    scenes = wizard.data.scenes
    add_scene(wizard)
    assert "There is a scene 'Fine LST' already" in scenes.message.text()
    scenes.mask_combo.setLayer(layer("s2"))
    scenes.native.setValue(3)
    add_scene(wizard, "second")
    assert not wizard.data.isComplete(), "not looked at yet"
    qtbot.waitUntil(wizard.data.isComplete)
    assert wizard.data.data()["scenes"][1]["native"] == 3
    assert wizard.data.data()["scenes"][1]["mask"] == layer("s2").source()
    for _ in range(2):
        scenes.list.setCurrentRow(0)
        scenes.remove_button.click()
    assert not wizard.data.isComplete()
    assert wizard.data.message.text().startswith("Choose the layers of a scene")


def test_a_small_scene_is_refused(wizard: TrainingWizard, qtbot: Any) -> None:
    add_scene(wizard, "small")
    qtbot.waitUntil(lambda: "has 32 pixels a side, and 48 are needed" in wizard.data.message.text())
    assert not wizard.data.isComplete()


def test_a_data_set_is_looked_at(make_wizard: MakeWizard, qtbot: Any, tmp_path: Path) -> None:
    wizard = make_wizard()
    wizard.data.from_dataset.setChecked(True)
    assert wizard.data.message.text() == "Choose the folder of a data set."
    wizard.data.folder.setFilePath(str(tmp_path))
    qtbot.waitUntil(lambda: "holds none" in wizard.data.message.text())
    (tmp_path / "manifest.json").touch()
    wizard.data.split.setCurrentIndex(1)
    qtbot.waitUntil(wizard.data.isComplete)
    assert wizard.data.pictures.count() == 2
    go_to_options(wizard, qtbot)
    _, _, jobs = wizard.options.jobs()
    assert [job["kind"] for job in jobs] == ["train", "benchmark"]
    assert (jobs[0]["dataset"], jobs[0]["split"]) == (str(tmp_path), "trainval")
    assert not wizard.options.advanced.chip.isEnabled()


def test_networks_can_be_searched(wizard: TrainingWizard, qtbot: Any) -> None:
    wizard.next()
    qtbot.waitUntil(lambda: wizard.model.model() is not None)
    assert wizard.model.model()["name"] == "guided-residual", "the first choice"
    qtbot.waitUntil(lambda: wizard.model.speed.seconds is not None)
    assert wizard.model.speed.text().startswith("About 0.25 s a step on this device (cpu, bf16), measured")
    tree = wizard.model.list
    wizard.model.search.setText("moco kernels")
    shown = [
        tree.topLevelItem(row).text(0)
        for row in range(tree.topLevelItemCount())
        if not tree.topLevelItem(row).isHidden()
    ]
    assert shown == ["MoCoLSK"]
    assert not wizard.model.isComplete(), "the chosen one is not in sight"
    choose_model(wizard, "mocolsk")
    assert wizard.model.isComplete()
    assert "A. Author: Kernels. TGRS 2024 10.1/2" in wizard.model.about.text()
    assert [wizard.model.preset.itemData(i) for i in range(wizard.model.preset.count())] == ["small", "paper"]


def test_a_guided_network_needs_guidance(make_wizard: MakeWizard, add_raster: Callable[..., Any], qtbot: Any) -> None:
    add_raster("Fine LST")
    wizard = make_wizard()
    add_scene(wizard, guided=False)
    qtbot.waitUntil(wizard.data.isComplete)
    wizard.next()
    qtbot.waitUntil(lambda: wizard.model.model() is not None)
    assert not wizard.model.isComplete()
    assert "needs guidance bands" in wizard.model.about.text()
    choose_model(wizard, "edsr")
    assert wizard.model.isComplete()
    wizard.next()
    assert wizard.options.jobs()[2][1]["roles"] == []


def test_options_make_jobs(wizard: TrainingWizard, qtbot: Any, tmp_path: Path) -> None:
    go_to_options(wizard, qtbot)
    options = wizard.options
    options.scale.setCurrentText("2, 4")
    options.name.setText("alberta")
    name, folder, (prepare, learn, score) = options.jobs()
    assert (name, folder) == ("alberta", tmp_path / "trainings" / "alberta")
    assert prepare["scenes"] == wizard.data.data()["scenes"]
    assert (prepare["scales"], prepare["crop"]) == ([2, 4], 64)
    assert (learn["dataset"], learn["split"]) == (prepare["output"], "train")
    assert (learn["model"], learn["scales"], learn["roles"]) == ("guided-residual", [2, 4], ["red", "nir"])
    assert (learn["iterations"], learn["validate_every"], learn["learning_rate"]) == (2000, 200, 0.002)
    assert (score["protocol"], score["methods"]) == ("wald", ["bicubic", learn["output"]])
    qtbot.waitUntil(lambda: options.speed.seconds is not None)
    assert options.speed.text().startswith("About 8 min 20 s: 2000 steps")
    options.length.setCurrentIndex(2)
    assert options.speed.text().startswith("About 41 min 40 s: 10000 steps"), "no new measurement for more of the same"


def test_presets_set_the_published_options(wizard: TrainingWizard, qtbot: Any) -> None:
    go_to_options(wizard, qtbot, "mocolsk")
    assert wizard.options.advanced.learning_rate.value() == 2e-3
    wizard.back()
    wizard.model.preset.setCurrentIndex(1)
    wizard.next()
    learn = wizard.options.jobs()[2][1]
    assert (learn["preset"], learn["learning_rate"], learn["weight_decay"]) == ("paper", 1e-4, 1e-5)
    assert (learn["schedule"], learn["loss"], learn["batch"]) == ("cosine-restarts", "l1", 4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda o: o.scale.setCurrentText("2.5"), "The scale is no whole number of 2 or more"),
        (lambda o: o.scale.setCurrentText("99"), "Guided residual is not built for the scale 99: choose another."),
        (lambda o: o.name.setText("Two words"), "The name must begin with a lower-case letter or digit"),
        (lambda o: o.name.setText("taken"), "There is a training 'taken' already: give another name."),
        (lambda o: o.advanced.chip.setValue(256), "The smallest scene has 200 pixels a side: choose chips no larger"),
        (
            lambda o: o.advanced.crop.setValue(128),
            "Crops of 128 pixels do not fit into chips of 64: make them smaller.",
        ),
        (lambda o: o.scale.setCurrentText("32"), "A crop of 64 pixels holds too few coarse pixels of ×32."),
        (
            lambda o: o.advanced.chip.setValue(70),
            "Chips of 70 pixels are no multiple of 4, as the scale needs it: choose 68",
        ),
        (lambda o: o.advanced.folder.setFilePath("here"), "The folder of trainings is not complete: choose one."),
    ],
)
def test_what_speaks_against_the_options_is_said(
    wizard: TrainingWizard, qtbot: Any, tmp_path: Path, change: Callable[[Any], None], reason: str
) -> None:
    (tmp_path / "trainings" / "taken").mkdir(parents=True)
    go_to_options(wizard, qtbot)
    assert wizard.options.isComplete()
    assert not wizard.options.reasons.isVisible()
    change(wizard.options)
    assert not wizard.options.isComplete()
    assert wizard.options.reasons.text().startswith(reason)


def test_chips_and_crops_follow_the_scale(wizard: TrainingWizard, qtbot: Any) -> None:
    go_to_options(wizard, qtbot)
    options = wizard.options
    options.scale.setCurrentText("3")
    assert (options.advanced.chip.value(), options.advanced.crop.value()) == (63, 63)
    options.scale.setCurrentText("5, 8")
    assert options.advanced.chip.value() == 80, "the least multiple of 40 that is large enough"
    assert options.isComplete()


def test_weights_that_cannot_be_scored_are_kept(wizard: TrainingWizard, qtbot: Any) -> None:
    go_to_options(wizard, qtbot)
    wizard.options.scale.setCurrentText("3")
    wizard.next()
    training = wizard.run.training
    assert training is not None
    wait_for(training, DONE, qtbot)
    wizard.next()
    assert wizard.result.verdict.text() == "The weights could not be scored: The test samples are too small."
    assert training.weights.is_file()
    assert not wizard.result.report_button.isEnabled()


def test_a_training_from_beginning_to_use(
    wizard: TrainingWizard, qtbot: Any, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (registry / "guided-residual.safetensors").write_text("others")
    training = train(wizard, qtbot)
    wait_for(training, DONE, qtbot)
    assert wizard.run.progress.value() == 100
    assert [row["loss"] for row in training.metrics if "loss" in row] == [0.1, 0.05]
    losses, errors = wizard.run.curves.figure.axes
    assert list(losses.lines[0].get_xdata()) == [10, 20]
    assert list(errors.lines[0].get_ydata()) == [0.7]
    assert list(errors.lines[1].get_ydata()) == [1.4], "bicubic's, from the ratio"
    assert "Validation at step 40: " in wizard.run.log.toPlainText()
    wizard.next()
    assert wizard.currentId() == RESULT
    assert wizard.result.verdict.text() == "Its RMSE is 0.50 of bicubic's at ×4 on 2 test samples."
    assert "Card of mine" in wizard.result.browser.toPlainText()
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    wizard.result.report_button.click()
    assert opened == [QUrl.fromLocalFile(str(training.folder / "scores" / "table.html"))]
    qtbot.waitUntil(lambda: wizard.result.name.text() == "guided-residual-2", timeout=10_000)
    assert wizard.result.message.text() == "There are other weights with the name 'guided-residual'."
    with qtbot.waitSignal(wizard.registered, timeout=10_000) as added:
        wizard.result.use_button.click()
    assert added.args == ["guided-residual-2"]
    assert (registry / "guided-residual-2.safetensors").read_text() == "weights"
    assert (registry / "guided-residual.safetensors").read_text() == "others"
    assert Training.unfinished(training.folder.parent) == []


def test_pause_and_resume(wizard: TrainingWizard, qtbot: Any) -> None:
    training = train(wizard, qtbot, 77)
    qtbot.waitUntil(lambda: training.message == "Training step 20 of 40", timeout=20_000)
    assert wizard.run.pause_button.isEnabled()
    assert not wizard.run.resume_button.isEnabled()
    assert not wizard.run.isComplete()
    wizard.run.pause_button.click()
    wait_for(training, PAUSED, qtbot)
    assert wizard.run.status.text() == "Paused."
    assert training.problem == "Cancelled; what was learned is kept."
    wizard.run.resume_button.click()
    assert training.state == RUNNING
    wait_for(training, DONE, qtbot)
    assert [row["loss"] for row in training.metrics if "loss" in row] == [1 / 10, 1 / 20, 1 / 30, 1 / 40]


def test_closing_the_wizard_leaves_the_training(wizard: TrainingWizard, make_wizard: MakeWizard, qtbot: Any) -> None:
    training = train(wizard, qtbot, 77)
    qtbot.waitUntil(lambda: training.message == "Training step 20 of 40", timeout=20_000)
    wizard.close()
    assert training.state == RUNNING
    again = make_wizard(training)
    assert again.currentId() == RUN
    assert list(again.run.curves.figure.axes[0].lines[0].get_xdata()) == [10, 20], "the curves so far"
    assert "Step 20: " in again.run.log.toPlainText()
    again.run.pause_button.click()
    wait_for(training, PAUSED, qtbot)
    assert again.run.resume_button.isEnabled()


def test_a_training_survives_qgis(wizard: TrainingWizard, make_wizard: MakeWizard, qtbot: Any) -> None:
    training = train(wizard, qtbot, 77)
    qtbot.waitUntil(lambda: training.message == "Training step 20 of 40", timeout=20_000)
    wizard.close()
    training.detach()  # as the plugin does when QGIS is closed
    again = make_wizard()
    assert again.data.from_training.isVisibleTo(again)
    again.data.from_training.setChecked(True)
    again.next()
    assert again.currentId() == RUN
    resumed = again.run.training
    assert resumed is not None
    assert [row["loss"] for row in resumed.metrics[:2]] == [0.1, 0.05], "from the training's log"
    assert resumed.metrics[2]["rmse"] == 0.8
    wait_for(resumed, DONE, qtbot)
    assert [job["kind"] for job in resumed.jobs] == ["prepare", "train", "benchmark"]
    assert set(resumed.results) == {"prepare", "train", "benchmark"}


def test_cancelling_deletes_after_a_question(
    wizard: TrainingWizard, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = train(wizard, qtbot, 77)
    qtbot.waitUntil(lambda: training.message == "Training step 20 of 40", timeout=20_000)
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    wizard.run.cancel_button.click()
    assert training.state == RUNNING
    wizard.run.cancel_button.click()
    assert training.state == DISCARDED
    qtbot.waitUntil(lambda: not EngineProcess.running, timeout=10_000)
    assert not training.folder.exists()
    assert wizard.run.status.text() == "Cancelled; the training was deleted."


def test_a_failure_is_a_sentence_and_can_be_tried_again(wizard: TrainingWizard, qtbot: Any) -> None:
    training = train(wizard, qtbot, 13)
    wait_for(training, FAILED, qtbot)
    assert wizard.run.status.text() == "The training scenes hold too few crops."
    assert wizard.run.resume_button.isEnabled()
    assert not wizard.run.isComplete()


def test_no_validation_without_samples_for_it(wizard: TrainingWizard, qtbot: Any) -> None:
    go_to_options(wizard, qtbot)
    wizard.options.advanced.chip.setValue(52)
    wizard.options.advanced.crop.setValue(48)
    wizard.next()
    training = wizard.run.training
    assert training is not None
    wait_for(training, DONE, qtbot)
    (line,) = [line for line in training.log if line.startswith("Train guided-residual: ")]
    assert '"validate_every": 0' in line


def test_pages_are_in_order(wizard: TrainingWizard) -> None:
    assert sorted(wizard.pageIds()) == [DATA, MODEL, OPTIONS, RUN, RESULT]
    for number in wizard.pageIds():
        page = wizard.page(number)
        assert page.title()
        assert page.subTitle()


def test_fields_have_names_and_tooltips(wizard: TrainingWizard, qtbot: Any) -> None:
    go_to_options(wizard, qtbot)
    kinds = (QComboBox, QAbstractSpinBox)
    advanced = wizard.options.advanced
    for page in (wizard.data, wizard.model, wizard.options):
        labelled = [label.buddy() for label in page.findChildren(QLabel) if label.buddy() is not None]
        for field in (field for kind in kinds for field in page.findChildren(kind)):
            assert field.accessibleName() or field in labelled, field.objectName()
    for field in (field for kind in kinds for field in advanced.findChildren(kind)):
        if field.parentWidget() is advanced:
            assert field.toolTip(), field.objectName()
