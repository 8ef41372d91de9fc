from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import scene

ROOT = Path(__file__).resolve().parents[2]


def test_downscale(play: Callable[..., None], layers: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "fine.tif"
    play("downscale", **layers, output=str(output), seconds=240)
    coarse = scene.read(layers["lst"])
    fine = scene.read(output)
    assert abs(scene.block_means(fine, scene.SCALE) - coarse).max() < 0.01
    assert fine.std() > coarse.std()


@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_interrupted(end: str, play: Callable[..., None], layers: dict[str, str], tmp_path: Path) -> None:
    lst = scene.make_large_lst(tmp_path / "large.tif", layers["lst"], 32)
    folder = tmp_path / "output"
    folder.mkdir()
    play(end, lst=lst, output=str(folder / "fine.tif"))


def test_processing_toolbox(play: Callable[..., None], layers: dict[str, str], tmp_path: Path) -> None:
    play("toolbox", **layers, output=str(tmp_path / "fine.tif"))


def test_many_scenes(play: Callable[..., None], layers: dict[str, str], tmp_path: Path) -> None:
    later = scene.make_later_lst(tmp_path / "later.tif", layers["lst"])
    play("archive", **layers, later=later, folder=str(tmp_path / "fine"), seconds=240)
    assert (tmp_path / "fine" / "archive.html").stat().st_size > 1000
    for name in ("lst", "later"):
        means = scene.block_means(scene.read(tmp_path / "fine" / f"{name}_x4.tif"), scene.SCALE)
        assert abs(means - scene.read(later if name == "later" else layers["lst"])).max() < 0.01


def test_options_page(play: Callable[..., None]) -> None:
    play("options", engine_python=str(ROOT / ".venv" / "bin" / "python"))


@pytest.mark.parametrize(("scenario", "name"), [("train", "fields"), ("fine_tune", "groklst-small-tuned")])
def test_training_wizard(
    scenario: str,
    name: str,
    play: Callable[..., None],
    layers: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GROKLST_WEIGHTS", str(tmp_path / "weights"))
    fine = scene.make_fine_lst(tmp_path / "fine.tif")
    play(scenario, lst=fine, reflectance=layers["reflectance"], seconds=400)
    assert (tmp_path / "weights" / f"{name}.safetensors").stat().st_size > 100_000
