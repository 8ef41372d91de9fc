"""Fine-tuning with the training wizard, with an engine that only pretends; see test_wizard.py for the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qgis.PyQt.QtCore import Qt
from wizards import add_scene, choose_model, go_to_options, wait_for

from groklst_qgis.training import DONE
from groklst_qgis.wizard.wizard import MODEL, OPTIONS, RESULT, TrainingWizard


@pytest.fixture
def at_network(wizard: TrainingWizard, qtbot: Any) -> TrainingWizard:
    """The wizard on the page of the network, which knows networks and weights."""
    wizard.next()
    qtbot.waitUntil(lambda: wizard.model.list.topLevelItemCount() > 0 and wizard.model.start.combo.count() > 2)
    return wizard


def choose_weights(wizard: TrainingWizard, qtbot: Any, name: str = "groklst-small") -> None:
    combo = wizard.model.start.combo
    combo.setCurrentIndex(combo.findData(name))
    qtbot.waitUntil(lambda: wizard.model.start.card is not None)


def choose_file(wizard: TrainingWizard, path: Path) -> None:
    combo = wizard.model.start.combo
    combo.setCurrentIndex(combo.count() - 1)
    wizard.model.start.file.setFilePath(str(path))


def learn_job(wizard: TrainingWizard) -> dict[str, Any]:
    _, _, (_, learn, _) = wizard.options.jobs()
    return learn


def test_random_weights_come_first(at_network: TrainingWizard) -> None:
    start = at_network.model.start
    texts = [start.combo.itemText(i) for i in range(start.combo.count())]
    assert texts == ["Random weights", "groklst-small (guided-residual; ×2, 4)", "Weights file…"]
    assert start.combo.currentIndex() == 0
    assert not start.file.isVisible()
    at_network.next()
    learn = learn_job(at_network)
    assert "start_from" not in learn
    assert learn["freeze"] == []
    assert not at_network.options.advanced.freeze.isEnabled()


def test_network_and_options_follow_from_the_weights(at_network: TrainingWizard, qtbot: Any, tmp_path: Path) -> None:
    page = at_network.model
    combo = page.start.combo
    combo.setCurrentIndex(1)
    assert not page.isComplete(), "the card is not there yet"
    assert page.start.message.text() == "Reading the model card…"
    qtbot.waitUntil(page.isComplete)
    assert not page.search.isVisible()
    assert page.card.isVisible()
    assert page.card.toPlainText() == "Card of groklst-small"
    assert not page.preset.isEnabled()
    assert page.about.text() == (
        "<b>GrokLST small</b>: Guided residual, for ×2, ×3, ×4, ×8.<br/>"
        "Guidance bands of the weights that the scenes have: Red, NDVI.<br/>"
        "The others count as absent: Blue."
    )
    qtbot.waitUntil(lambda: page.speed.seconds is not None)
    at_network.next()
    options = at_network.options
    assert options.subTitle() == "Fine-tuning of groklst-small, with the scales and the normalisation that it knows."
    assert [options.scale.itemText(i) for i in range(options.scale.count())] == ["2, 3, 4, 8", "2", "3", "4", "8"]
    assert not options.scale.isEditable()
    assert (options.advanced.chip.value(), options.advanced.crop.value()) == (48, 48), "multiples of 24"
    assert options.advanced.learning_rate.value() == 1e-3
    assert options.isComplete()
    name, folder, (prepare, learn, score) = options.jobs()
    assert (name, folder) == ("groklst-small-tuned", tmp_path / "trainings" / "groklst-small-tuned")
    assert (prepare["scales"], prepare["crop"]) == ([2, 3, 4, 8], 48)
    assert (learn["start_from"], learn["roles"], learn["scales"]) == ("groklst-small", [], [2, 3, 4, 8])
    assert not {"model", "preset", "arguments"} & set(learn), "those of the weights are taken by the engine"
    assert score["methods"] == ["bicubic", "groklst-small", learn["output"]]


def test_further_bands_are_learned_on_request(at_network: TrainingWizard, qtbot: Any) -> None:
    choose_weights(at_network, qtbot)
    further = at_network.model.further
    assert further.isVisible()
    assert further.text() == "Also learn from bands that the weights do not know: NIR"
    assert at_network.model.sizes() == {
        "model": "guided-residual",
        "arguments": {"width": 48},
        "guidance_bands": 3,
    }
    further.setChecked(True)
    sizes = at_network.model.sizes()
    assert sizes is not None
    assert sizes["guidance_bands"] == 4
    at_network.next()
    assert learn_job(at_network)["roles"] == ["nir"]
    at_network.back()
    at_network.model.start.combo.setCurrentIndex(0)
    assert not further.isVisible()


def test_weights_need_one_of_their_bands(make_wizard: Any, add_raster: Callable[..., Any], qtbot: Any) -> None:
    add_raster("Fine LST")
    wizard = make_wizard()
    add_scene(wizard, guided=False)
    qtbot.waitUntil(wizard.data.isComplete)
    wizard.next()
    qtbot.waitUntil(lambda: wizard.model.start.combo.count() > 2)
    choose_weights(wizard, qtbot)
    assert not wizard.model.isComplete()
    expected = "The scenes have none of the guidance bands of these weights: add layers of Blue, Red, NDVI."
    assert expected in wizard.model.about.text()


def test_a_file_is_fine_tuned_as_it_was_normalised(at_network: TrainingWizard, qtbot: Any, tmp_path: Path) -> None:
    file = tmp_path / "My Fields.safetensors"
    choose_file(at_network, file)
    assert at_network.model.start.file.isVisible()
    qtbot.waitUntil(at_network.model.isComplete)
    assert "<b>My Fields</b>: EDSR, for ×2." in at_network.model.about.text()
    assert not at_network.model.further.isVisible(), "the network takes no guidance"
    at_network.next()
    advanced = at_network.options.advanced
    assert not advanced.normalize_lst.isEnabled()
    assert not advanced.normalize_guidance.isEnabled()
    learn = learn_job(at_network)
    assert (learn["start_from"], learn["roles"], learn["scales"]) == (str(file), [], [2])
    assert (learn["normalize_lst"], learn["normalize_guidance"]) == ("z-score", "min-max")
    assert at_network.options.name.text() == "my-fields-tuned"
    at_network.back()
    at_network.model.start.combo.setCurrentIndex(0)
    at_network.next()
    assert at_network.options.subTitle() == "The usual options suit most data."
    assert advanced.normalize_lst.isEnabled()
    assert learn_job(at_network)["normalize_lst"] == "scene"
    assert at_network.options.scale.currentText() == "4"
    assert advanced.chip.value() == 64


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Choose a weights file that was made by GrokLST; its name ends in .safetensors."),
        ("other.pth", "Choose a weights file that was made by GrokLST; its name ends in .safetensors."),
        ("damaged.safetensors", "damaged.safetensors' is missing or damaged: get it again."),
    ],
)
def test_files_that_do_not_serve(
    at_network: TrainingWizard, qtbot: Any, tmp_path: Path, name: str, sentence: str
) -> None:
    choose_file(at_network, tmp_path / name if name else Path())
    if not name:
        at_network.model.start.file.setFilePath("")
    qtbot.waitUntil(lambda: at_network.model.start.message.text().endswith(sentence))
    assert at_network.model.start.message.isVisible()
    assert not at_network.model.isComplete()
    assert at_network.model.speed.text() == ""
    at_network.model.start.combo.setCurrentIndex(0)
    assert not at_network.model.start.message.isVisible()
    assert at_network.model.isComplete()


def test_parts_can_be_kept_but_not_all(at_network: TrainingWizard, qtbot: Any) -> None:
    choose_weights(at_network, qtbot)
    at_network.next()
    freeze = at_network.options.advanced.freeze
    assert [freeze.itemText(i) for i in range(freeze.count())] == ["stem", "blocks", "gain"]
    freeze.setCheckedItems(["stem", "gain"])
    assert learn_job(at_network)["freeze"] == ["stem.", "gain"]
    assert at_network.options.isComplete()
    freeze.selectAllOptions()
    assert not at_network.options.isComplete()
    assert at_network.options.reasons.text() == (
        "All parts of the network are kept unchanged, so there is nothing to learn: keep fewer."
    )


def test_going_back_and_forth_keeps_what_was_chosen(at_network: TrainingWizard, qtbot: Any) -> None:
    choose_weights(at_network, qtbot)
    at_network.next()
    at_network.options.scale.setCurrentText("4")
    at_network.options.advanced.chip.setValue(96)
    at_network.options.advanced.freeze.setCheckedItems(["stem"])
    at_network.back()
    at_network.back()
    at_network.next()
    assert at_network.currentId() == MODEL
    assert at_network.model.isComplete()
    at_network.next()
    learn = learn_job(at_network)
    assert (learn["start_from"], learn["scales"], learn["freeze"]) == ("groklst-small", [4], ["stem."])
    assert at_network.options.advanced.chip.value() == 96


def test_a_preset_is_kept_when_going_back(wizard: TrainingWizard, qtbot: Any) -> None:
    go_to_options(wizard, qtbot, "mocolsk")
    wizard.back()
    wizard.model.preset.setCurrentIndex(1)
    wizard.back()
    wizard.next()
    assert wizard.model.preset.currentData() == "paper"
    choose_model(wizard, "edsr")
    assert wizard.model.preset.isEnabled()


def test_fine_tuned_weights_are_compared_with_what_they_were(
    at_network: TrainingWizard, qtbot: Any, registry: Path
) -> None:
    choose_weights(at_network, qtbot)
    at_network.next()
    assert at_network.currentId() == OPTIONS
    at_network.options.scale.setCurrentText("4")
    at_network.next()
    training = at_network.run.training
    assert training is not None
    wait_for(training, DONE, qtbot)
    at_network.next()
    assert at_network.currentId() == RESULT
    assert at_network.result.verdict.text() == (
        "Its RMSE is 0.50 of bicubic's at ×4 on 2 test samples; before the fine-tuning it was 0.75."
    )
    assert "groklst-small ×4" in " ".join(at_network.result.browser.toPlainText().split())
    qtbot.mouseClick(at_network.result.use_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil((registry / "groklst-small-tuned.safetensors").is_file, timeout=10_000)
