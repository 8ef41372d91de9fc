"""The closed loop on generated scenes, and what ``auto`` makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from rasters import block_means, read, write

from groklst_engine.auto import BASELINE, CAUTIOUS, FALLBACK, LOST, PER_OCTAVE, best_of, choose, share
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


def test_a_scene_too_small_for_the_loop_is_a_sentence(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", 300 + np.arange(100, dtype=np.float32).reshape(10, 10))
    job = DownscaleJob(lst=LstSource(path=str(lst)), scale=2, output=tmp_path / "out.tif")
    with pytest.raises(InputError, match="25 valid pixels when degraded by 2, and 30 are needed"):
        ClosedLoop(job, CancelToken())
    with ClosedLoop(job, CancelToken(), at_least=20) as loop:
        assert (loop.pixels, loop.whole) == (25, 100)


def small_job(folder: Path, side: int, scale: int = 8, **options: Any) -> DownscaleJob:
    """``side`` coarse pixels to either side, at most 8."""
    paths = write_scene(synthetic_scene(size=8 * scale, seed=5), folder, scale)
    cut = write(folder / "cut.tif", read(paths.lst)[:side, :side], **_place(paths.lst), names=["lst"])
    return job_for(paths, scale, lst=LstSource(path=str(cut), unit="K"), **options)


def _place(raster: Path) -> dict[str, Any]:
    import rasterio

    with rasterio.open(raster) as dataset:
        return {"transform": dataset.transform, "crs": dataset.crs}


def test_little_evidence_draws_a_network_to_caution(tmp_path: Path) -> None:
    """Learners are not even tried, and where nothing can be, a network is used with care."""
    choice = choose(small_job(tmp_path, 8), ignore, CancelToken())
    assert [trial.method for trial in choice.trials] == [BASELINE, FALLBACK, "groklst-small"], "16 pixels: no learner"
    (tmp_path / "tiny").mkdir()
    events: list[Event] = []
    tiny = choose(small_job(tmp_path / "tiny", 7), events.append, CancelToken())  # 9 pixels: too few for statistics
    assert (tiny.method, tiny.detail, tiny.trials, tiny.scale) == ("groklst-small", CAUTIOUS, (), 0)
    assert [event.message for event in events if event.level == "warning"] == [tiny.reason]


@pytest.mark.parametrize("options", [{"guidance": ()}, {"scale": 16}, {"candidates": ("tsharp",)}])
def test_where_no_network_fits_a_tiny_scene_is_interpolated(tmp_path: Path, options: dict[str, Any]) -> None:
    events: list[Event] = []
    choice = choose(small_job(tmp_path, 5, **options), events.append, CancelToken())
    assert (choice.method, choice.detail, choice.trials) == ("bicubic-ibp", 1.0, ())
    assert [event.level for event in events if event.level == "warning"] == ["warning"]


def test_what_a_trial_says_of_less_detail_is_what_comes_out(wide: ScenePaths) -> None:
    """Its gain is what the detail has to be multiplied by for the least RMSE; with less of it the RMSE is foretold."""
    with ClosedLoop(job_for(wide), CancelToken()) as loop:
        trial = loop.trial("local-linear")

        def rmse(detail: float) -> float:
            (part,) = loop.restore("local-linear", detail=detail)
            return float(np.sqrt(np.mean(np.square(part.result - part.truth)[part.counted])))

        assert replace(trial, detail=1.0).damped == pytest.approx(trial.rmse)
        for detail in (0.3, 0.7):
            assert replace(trial, detail=detail).damped == pytest.approx(rmse(detail), rel=1e-3)
        assert rmse(0.0) == pytest.approx(loop.trial("bicubic-ibp").rmse, rel=1e-3)
        at_best = min(1.0, trial.gain)
        assert rmse(at_best) <= min(rmse(at_best - 0.05), rmse(1.0)) + 1e-6


def test_the_job_s_own_options_hold_for_the_candidates(wide: ScenePaths) -> None:
    """A blurred sensor's loop is blurred likewise, and a derived band is there for the candidates."""
    plain, blurred = job_for(wide), job_for(wide, psf="gaussian", mtf=0.1)
    with ClosedLoop(plain, CancelToken()) as box, ClosedLoop(blurred, CancelToken()) as gaussian:
        assert gaussian.trial("bicubic").rmse > 1.02 * box.trial("bicubic").rmse
        loose = ClosedLoop(job_for(wide, consistency=0.0), CancelToken())
        with loose:
            assert np.abs(loose.restore("linear")[0].result - box.restore("linear")[0].result).max() > 0.05
    no_height = job_for(wide, guidance=(GuidanceSource(path=str(wide.guidance)),), derive=("slope",))
    with ClosedLoop(no_height, CancelToken()) as loop, pytest.raises(InputError, match="slope"):
        loop.restore("linear")


def test_auto_takes_what_wins(wide: ScenePaths) -> None:
    choice = choose(job_for(wide, candidates=("tsharp", "nearest", "groklst-small")), ignore, CancelToken())
    assert choice.method == "groklst-small"
    assert [trial.method for trial in choice.trials] == [BASELINE, FALLBACK, "tsharp", "nearest", "groklst-small"]
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
    assert choice.method == FALLBACK
    assert any("may not help" in event.message for event in events if event.level == "warning")


def _placed_like(model: Path, raster: Path, folder: Path) -> Path:
    """The raster's values on the model's grid."""
    return write(folder / "placed.tif", read(raster), **_place(model), names=["ndvi"])


def test_without_consistency_the_fallback_has_none_either(wide: ScenePaths) -> None:
    choice = choose(job_for(wide, consistency=0.0, candidates=("nearest",)), ignore, CancelToken())
    assert choice.method == "bicubic"
    assert [trial.method for trial in choice.trials] == ["bicubic", "nearest"]


def test_no_time_left_tries_the_first_three_only(wide: ScenePaths) -> None:
    events: list[Event] = []
    job = job_for(wide, candidates=("nearest", "bilinear", "tsharp"), budget=1e-6)
    choice = choose(job, events.append, CancelToken())
    assert [trial.method for trial in choice.trials] == [BASELINE, FALLBACK, "nearest"]
    assert any("No time left to try bilinear, tsharp" in event.message for event in events)


def test_a_method_that_cannot_do_it_is_left_out(wide: ScenePaths) -> None:
    events: list[Event] = []
    job = job_for(wide, guidance=(), candidates=("tsharp", "bilinear"))
    choice = choose(job, events.append, CancelToken())
    assert [trial.method for trial in choice.trials] == [BASELINE, FALLBACK, "bilinear"]
    assert any(event.message.startswith("tsharp was not tried: ") for event in events)


def test_what_explains_less_one_scale_up_keeps_less_one_scale_down() -> None:
    # with an RMSE of 1 after adding detail of 1: interpolation misses the square root of 1.6, the best factor 0.96
    trial = Trial("groklst-small", 1.0, 0.8, 0.9, 1.0, gain=0.8, added=1.0)
    many = 10**6
    assert trial.unexplained == pytest.approx(0.6**0.5)
    kept = 1 - LOST * trial.unexplained
    assert share(trial, 0, many) == pytest.approx(0.8 * kept, abs=1e-3)
    assert share(trial, 1, many) == pytest.approx(0.8 * kept * PER_OCTAVE, abs=1e-3), "an octave left out"
    assert share(replace(trial, rmse=0.2), 0, many) == pytest.approx(0.8, abs=1e-3), "all is explained"
    nothing = share(replace(trial, rmse=10.0), 0, many)
    assert nothing == pytest.approx(0.8 * (1 - LOST), abs=5e-3), "hardly anything is explained"
    assert share(replace(trial, gain=9.0), 0, many) == 1.0
    assert share(replace(trial, gain=-1.0), 0, many) == 0.0
    assert share(trial, 0, 16) < share(trial, 0, 160), "by chance, few pixels fit better"
    surprise = replace(trial, rmse=2.0, gain=2.0)
    assert share(surprise, 0, 1) == pytest.approx(CAUTIOUS, abs=0.1), "one pixel is no evidence"
    assert share(replace(surprise, method="self-scale"), 0, 1) < 0.1
    assert share(Trial("bilinear", 1.0, 0.8, 0.9, 1.0), 0, many) == 1.0, "interpolation is taken as it is"


def test_what_learns_from_the_scene_must_win_by_far() -> None:
    """It looks better one scale up than it is."""

    def chosen(*rivals: tuple[str, float]) -> str:
        tried = [Trial(name, rmse, rmse, 0.9, 1.0) for name, rmse in rivals]
        return best_of(
            [Trial("bicubic", 1.0, 1.0, 0.0, 1.0), Trial("bicubic-ibp", 0.95, 0.95, 1.0, 1.0), *tried]
        ).method

    assert chosen(("groklst-small", 0.8)) == "groklst-small"
    assert chosen(("groklst-small", 0.94)) == "bicubic-ibp", "hardly better"
    assert chosen(("groklst-small", float("nan"))) == "bicubic-ibp", "it leaves holes"
    assert chosen(("self-scale", 0.9)) == "self-scale", "beside interpolation nothing counts against it"
    assert chosen(("groklst-small", 0.7), ("self-scale", 0.6)) == "groklst-small"
    assert chosen(("groklst-small", 0.7), ("self-scale", 0.45)) == "self-scale"
    assert chosen(("self-scale", 0.6), ("groklst-small", 0.7)) == "groklst-small"


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
