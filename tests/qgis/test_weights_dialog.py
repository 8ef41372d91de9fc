from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qgis.PyQt.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from groklst_qgis.engine import Engine, EngineError, EngineProcess
from groklst_qgis.import_dialog import ImportDialog, parse_arguments
from groklst_qgis.weights_dialog import WeightsDialog


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("GROKLST_WEIGHTS", str(folder))
    for name in ("alberta", "prairie"):
        (folder / f"{name}.safetensors").write_text(name)
    return folder


@pytest.fixture
def dialog(fake_engine: Engine, registry: Path, qtbot: Any) -> Iterator[WeightsDialog]:
    """The dialog with the card of the first of the user's weights."""
    dialog = WeightsDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: dialog.list.topLevelItemCount() == 3, timeout=10_000)
    dialog.list.setCurrentItem(dialog.list.topLevelItem(1))
    qtbot.waitUntil(lambda: dialog.card.toPlainText() == "Card of alberta", timeout=10_000)
    yield dialog
    dialog.close()
    qtbot.waitUntil(lambda: not EngineProcess.running, timeout=10_000)


def names(dialog: WeightsDialog) -> list[str]:
    return [dialog.list.topLevelItem(row).text(0) for row in range(dialog.list.topLevelItemCount())]


def test_shipped_weights_stay_as_they_are(dialog: WeightsDialog) -> None:
    rows = [[dialog.list.topLevelItem(row).text(column) for column in range(4)] for row in range(2)]
    assert rows[0] == ["groklst-small", "guided-residual", "2, 4", "shipped"]
    assert rows[1] == ["alberta", "guided-residual", "2, 4", "own"]
    assert dialog.rename_button.isEnabled()
    dialog.list.setCurrentItem(dialog.list.topLevelItem(0))
    assert not dialog.rename_button.isEnabled()
    assert not dialog.delete_button.isEnabled()
    assert dialog.export_button.isEnabled()


def test_rename(dialog: WeightsDialog, registry: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [("groklst-small", True), ("heihe", True)]
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: answers.pop(0))
    dialog.rename_button.click()
    qtbot.waitUntil(lambda: "is the name of a method" in dialog.message.text(), timeout=10_000)
    assert (registry / "alberta.safetensors").exists()
    with qtbot.waitSignal(dialog.weights_changed, timeout=10_000):
        dialog.rename_button.click()
    qtbot.waitUntil(lambda: names(dialog) == ["groklst-small", "heihe", "prairie"], timeout=10_000)
    assert dialog.list.currentItem().text(0) == "heihe"


def test_delete_asks_first(dialog: WeightsDialog, registry: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]

    def question(parent: Any, title: str, text: str) -> Any:
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(QMessageBox, "question", question)
    dialog.delete_button.click()
    assert (registry / "alberta.safetensors").exists()
    dialog.delete_button.click()
    qtbot.waitUntil(lambda: names(dialog) == ["groklst-small", "prairie"], timeout=10_000)
    assert asked[0] == f"Delete the weights 'alberta' for good? Their file is in {registry}."


def test_export_and_add(
    dialog: WeightsDialog, registry: Path, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "copy"), ""))
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.message.text() == f"Exported to {tmp_path / 'copy.safetensors'}.", timeout=10_000)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "copy.safetensors"), ""))
    dialog.add_button.click()
    qtbot.waitUntil(lambda: "copy" in names(dialog), timeout=10_000)
    assert (registry / "copy.safetensors").read_text() == "exported"


def test_import_shows_tensors(fake_engine: Engine, registry: Path, qtbot: Any, tmp_path: Path) -> None:
    dialog = ImportDialog()
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: dialog.model.count() == 3, timeout=10_000)
    dialog.import_button.click()
    assert dialog.message.text() == "Choose the file and the network it was trained as."
    dialog.file.setFilePath(str(tmp_path / "EDSR_x8.pth"))
    assert dialog.name.text() == "edsr_x8"
    dialog.roles.setText("nir, heat")
    dialog.import_button.click()
    assert dialog.message.text().startswith("'heat' is no role of a guidance band")
    dialog.roles.clear()
    dialog.scale.setValue(8)
    dialog.import_button.click()
    qtbot.waitUntil(lambda: dialog.message.text() == "1 of 2 tensors do not fit.", timeout=10_000)
    first = dialog.tensors.topLevelItem(0)
    assert [first.text(column) for column in range(5)] == [
        "other shape",
        "tail.weight",
        "8 × 1 × 3 × 3",
        "a.w",
        "8 × 1",
    ]
    assert not (registry / "edsr_x8.safetensors").exists()
    dialog.scale.setValue(4)
    with qtbot.waitSignal(dialog.imported, timeout=10_000):
        dialog.import_button.click()
    assert (registry / "edsr_x8.safetensors").exists()
    assert dialog.tensors.topLevelItemCount() == 2
    dialog.reject()


def test_arguments_are_parsed() -> None:
    assert parse_arguments("n_resblocks=16, fusion = S, gain=0.5,") == {"n_resblocks": 16, "fusion": "S", "gain": 0.5}
    with pytest.raises(EngineError, match="'deep' is no argument"):
        parse_arguments("deep")
