"""The closed loop on generated scenes, and what ``auto`` makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from rasters import block_means, read, write

from groklst_engine.auto import SIMPLEST, best_of, choose
from groklst_engine.cli import main
from groklst_engine.closed_loop import ClosedLoop, Trial
from groklst_engine.data.synthetic import ScenePaths, SyntheticScene, synthetic_scene, write_scene
from groklst_engine.errors import Cancelled, InputError
from groklst_engine.events import CancelToken, Event, ignore
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.jobs import DownscaleJob


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """96 × 96 coarse pixels, by 2."""
    scene: SyntheticScene = synthetic_scene(size=192, seed=3)
    return write_scene(scene, tmp_path_factory.mktemp("wide"), 2)


def job_for(paths: ScenePaths, scale: int = 2, **options: Any) -> DownscaleJob:
    guidance = (GuidanceSource(path=str(paths.guidance)), GuidanceSource(path=str(paths.dem)))
    wish = {"lst": LstSource(path=str(paths.lst)), "guidance": guidance, "output": "unused.tif", "device": "cpu"}
    return DownscaleJob(**{**wish, "scale": scale, **options})


def test_the_truth_of_the_loop_is_the_input_itself(wide: ScenePaths) -> None:
    coarse = read(wide.lst)
    with ClosedLoop(job_for(wide), CancelToken()) as loop:
        (part,) = loop.restore("nearest")
        trial = loop.trial("nearest")
    assert loop.scale == 2
    assert part.counted.all()
    np.testing.assert_allclose(part.truth, coarse, atol=1e-4)
    blocks = block_means(coarse, 2).repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(part.result, blocks, atol=1e-3)
    assert trial.rmse == pytest.approx(np.sqrt(np.mean((blocks - coarse) ** 2)), rel=1e-3)
    assert trial.ratio > 1
    assert trial.blocks < 0.5


def test_a_scene_too_small_for_its_scale_is_tried_at_two(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", 300 + np.arange(256, dtype=np.float32).reshape(16, 16) / 10)
    job = DownscaleJob(lst=LstSource(path=str(lst)), scale=4, output=tmp_path / "out.tif")
    with ClosedLoop(job, CancelToken()) as loop:  # 16 pixels by four, 64 by two
        assert loop.scale == 2


def test_a_scene_too_small_for_any_is_a_sentence(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", 300 + np.arange(100, dtype=np.float32).reshape(10, 10))
    job = DownscaleJob(lst=LstSource(path=str(lst)), scale=2, output=tmp_path / "out.tif")
    with pytest.raises(InputError, match="25 valid pixels when degraded by 2, and 30 are needed"):
        ClosedLoop(job, CancelToken())
    events: list[Event] = []
    choice = choose(job, events.append, CancelToken())
    assert (choice.method, choice.trials) == ("bicubic-ibp", ())
    assert [event.level for event in events if event.level == "warning"] == ["warning"]


def test_auto_takes_what_wins(wide: ScenePaths) -> None:
    choice = choose(job_for(wide, candidates=("tsharp", "nearest", "groklst-small")), ignore, CancelToken())
    assert choice.method == "groklst-small"
    assert [trial.method for trial in choice.trials] == [*SIMPLEST, "tsharp", "nearest", "groklst-small"]
    best = choice.trials[-1]
    assert best.ratio == min(trial.ratio for trial in choice.trials)
    assert f"{best.ratio:.2f} times bicubic" in choice.reason


def test_guidance_that_says_nothing_is_not_followed(wide: ScenePaths, tmp_path: Path) -> None:
    """Speckle in place of the guidance: methods that follow it lose, and auto falls back."""
    speckle = np.random.default_rng(0).uniform(0, 1, (192, 192)).astype(np.float32)
    noise = write(tmp_path / "ndvi.tif", speckle, names=["ndvi"], pixel=30.0)
    with_place = GuidanceSource(path=str(_placed_like(wide.truth, noise, tmp_path)), roles=("ndvi",))
    job = job_for(wide, guidance=(with_place,), candidates=("tsharp",))
    events: list[Event] = []
    choice = choose(job, events.append, CancelToken())
    assert choice.method in SIMPLEST
    assert any("may not help" in event.message for event in events if event.level == "warning")


def _placed_like(model: Path, raster: Path, folder: Path) -> Path:
    """The raster's values on the model's grid."""
    import rasterio

    with rasterio.open(model) as dataset:
        place, crs = dataset.transform, dataset.crs
    return write(folder / "placed.tif", read(raster), transform=place, crs=crs, names=["ndvi"])


def test_no_time_left_tries_the_first_three_only(wide: ScenePaths) -> None:
    events: list[Event] = []
    job = job_for(wide, candidates=("nearest", "bilinear", "tsharp"), budget=1e-6)
    choice = choose(job, events.append, CancelToken())
    assert [trial.method for trial in choice.trials] == [*SIMPLEST, "nearest"]
    assert any("No time left to try bilinear, tsharp" in event.message for event in events)


def test_a_method_that_cannot_do_it_is_left_out(wide: ScenePaths) -> None:
    events: list[Event] = []
    job = job_for(wide, guidance=(), candidates=("tsharp", "bilinear"))
    choice = choose(job, events.append, CancelToken())
    assert [trial.method for trial in choice.trials] == [*SIMPLEST, "bilinear"]
    assert any(event.message.startswith("tsharp was not tried: ") for event in events)


def test_what_learns_from_the_scene_must_win_by_far() -> None:
    """Its gain shrinks one scale down; a network's, and the plain methods', does not."""

    def chosen(*rivals: tuple[str, float, float]) -> str:
        tried = [Trial(name, rmse, rmse, blocks, 1.0) for name, rmse, blocks in rivals]
        return best_of(
            [Trial("bicubic", 1.0, 1.0, 0.0, 1.0), Trial("bicubic-ibp", 0.95, 0.95, 1.0, 1.0), *tried]
        ).method

    assert chosen(("groklst-small", 0.8, 0.9)) == "groklst-small"
    assert chosen(("groklst-small", 0.94, 0.9)) == "bicubic-ibp", "hardly better"
    assert chosen(("groklst-small", 0.8, 0.3)) == "bicubic-ibp", "in a corner only"
    assert chosen(("groklst-small", float("nan"), 0.9)) == "bicubic-ibp", "it leaves holes"
    assert chosen(("self-scale", 0.6, 1.0)) == "bicubic-ibp"
    assert chosen(("self-scale", 0.4, 1.0)) == "self-scale"
    assert chosen(("groklst-small", 0.7, 1.0), ("self-scale", 0.4, 1.0)) == "groklst-small"
    assert chosen(("self-scale", 0.3, 1.0), ("groklst-small", 0.7, 1.0)) == "self-scale"


def test_cancelling(wide: ScenePaths) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        choose(job_for(wide), ignore, cancel)


def test_the_command_chooses_and_says_what_it_tried(
    wide: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["downscale", "--lst", str(wide.lst), "--guidance", str(wide.guidance), str(wide.dem), "--scale", "2"]
    command += ["--method", "auto", "--candidates", "tsharp,groklst-small", "--json"]
    assert main([*command, "-o", str(tmp_path / "fine.tif"), "--report", str(tmp_path / "report")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["method"] == "groklst-small"
    tried = ["bicubic", "bicubic-ibp", "tsharp", "groklst-small"]
    assert [trial["method"] for trial in result["choice"]["trials"]] == tried
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert [trial["method"] for trial in report["trials"]] == tried
    assert "Methods tried on your rasters" in (tmp_path / "report" / "report.html").read_text("utf-8")
    plain = ["--method", "groklst-small", "-o", str(tmp_path / "plain.tif")]
    assert main([*command, *plain]) == 0
    np.testing.assert_array_equal(read(tmp_path / "fine.tif"), read(tmp_path / "plain.tif"))


def test_auto_is_no_candidate_of_its_own(wide: ScenePaths) -> None:
    with pytest.raises(ValidationError, match="leave it out"):
        job_for(wide, candidates=("tsharp", "auto"))
