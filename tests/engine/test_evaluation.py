"""Evaluation by Wald's protocol."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rasters import block_means, place_of, read, write

from groklst_engine.cli import main
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, GroklstError, InputError
from groklst_engine.evaluation import evaluate
from groklst_engine.events import CancelToken, Event
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.jobs import EvaluateJob
from groklst_engine.metrics import score
from groklst_engine.resample import upsample


def scene(paths: ScenePaths, name: str = "valley", **options: object) -> SceneSource:
    guidance = (GuidanceSource(path=str(paths.guidance)), GuidanceSource(path=str(paths.dem)))
    return SceneSource(name=name, lst=LstSource(path=str(paths.truth)), guidance=guidance, **options)


def bicubic(coarse: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic with repeated edges."""
    return upsample(torch.from_numpy(coarse.astype(np.float32))[None, None], scale, "bicubic")[0, 0].numpy()


def test_scores_are_those_of_the_method(clear: ScenePaths, tmp_path: Path) -> None:
    """Bicubic computed here, scored here; the report says the same."""
    job = EvaluateJob(
        scenes=(scene(clear, region="north"),),
        scales=(2, 4),
        methods=("tsharp", "bicubic"),
        report=tmp_path / "report",
        device="cpu",
    )
    result = evaluate(job)
    truth = read(clear.truth)
    for scale in (2, 4):
        rows = {row.method: row for row in result.rows if row.scale == scale}
        assert list(rows) == ["bicubic", "tsharp"]
        expected = score(bicubic(block_means(truth, scale), scale), truth)
        assert rows["bicubic"].scores.to_json() == pytest.approx(expected.to_json(), rel=1e-3, abs=1e-5)
        assert rows["bicubic"].ratio == 1
        assert rows["tsharp"].ratio == pytest.approx(rows["tsharp"].scores.rmse / expected.rmse, rel=1e-3)
        assert rows["tsharp"].region == "north"
    document = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert document == json.loads(json.dumps(result.to_json()))
    with (tmp_path / "report" / "scores.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["rmse"]) for row in table] == [row.scores.rmse for row in result.rows]
    means = {(mean["method"], mean["scale"]): mean for mean in document["means"]}
    assert means["bicubic", 4]["rmse_to_bicubic"] == 1
    ratios = [row.ratio for row in result.rows if row.method == "tsharp"]
    assert means["tsharp", "all"]["rmse_to_bicubic"] == pytest.approx(np.mean(ratios))
    assert (means["tsharp", "all"]["scenes"], means["tsharp", "all"]["worst_to_bicubic"]) == (1, max(ratios))


def test_means_are_over_the_scenes(clear: ScenePaths, cloudy: ScenePaths) -> None:
    scenes = (scene(clear, region="a"), scene(cloudy, "hills", region="b"), scene(clear, "again", region="a"))
    result = evaluate(EvaluateJob(scenes=scenes, scales=(4,), methods=("nearest",)))
    rows = [row for row in result.rows if row.method == "nearest"]
    assert [row.scene for row in rows] == ["valley", "hills", "again"]
    mean = next(mean for mean in result.to_json()["means"] if mean["method"] == "nearest")
    assert mean["rmse"] == pytest.approx(np.mean([row.scores.rmse for row in rows]))
    assert mean["rmse_to_bicubic"] == pytest.approx(np.mean([row.ratio for row in rows]))
    assert mean["regions_to_bicubic"] == pytest.approx((rows[0].ratio + rows[1].ratio) / 2) != mean["rmse_to_bicubic"]
    assert mean["worst_to_bicubic"] == max(row.ratio for row in rows) > mean["rmse_to_bicubic"]
    assert mean["worse_than_bicubic"] == sum(row.ratio > 1 for row in rows) > 0


def test_a_scene_too_small_for_a_method_is_left_out_with_a_warning(clear: ScenePaths) -> None:
    events: list[Event] = []
    job = EvaluateJob(scenes=(scene(clear),), scales=(16,), methods=("self-scale-boosted", "bicubic-ibp"))
    result = evaluate(job, events.append)
    assert [row.method for row in result.rows] == ["bicubic", "bicubic-ibp"]
    warnings = [event.message for event in events if event.level == "warning"]
    assert len(warnings) == 1
    assert warnings[0].startswith("valley x16 self-scale-boosted: ")
    assert {(mean["method"], mean["scenes"]) for mean in result.to_json()["means"]} == {
        ("bicubic", 1),
        ("bicubic-ibp", 1),
    }


def test_clouded_pixels_do_not_count(clear: ScenePaths, tmp_path: Path) -> None:
    truth = read(clear.truth)
    clouds = np.zeros(truth.shape, np.uint8)
    clouds[:, 20:] = 1
    mask = write(tmp_path / "clear.tif", clouds, transform=place_of(clear.truth))
    result = evaluate(EvaluateJob(scenes=(scene(clear, mask=str(mask)),), scales=(4,), methods=("tsharp",)))
    assert {row.scores.n for row in result.rows} == {96 * 76}


def test_native_averages_the_scene_first(clear: ScenePaths) -> None:
    result = evaluate(EvaluateJob(scenes=(scene(clear, native=2),), scales=(2,), methods=("bicubic",)))
    assert result.rows[0].scores.n == 48 * 48


def test_a_scene_that_is_too_small(clear: ScenePaths) -> None:
    with pytest.raises(InputError, match="'valley' is smaller than 16 pixels"):
        evaluate(EvaluateJob(scenes=(scene(clear, native=8),), scales=(16,)))


def test_a_report_that_cannot_be_written(clear: ScenePaths) -> None:
    job = EvaluateJob(scenes=(scene(clear),), methods=("bicubic",), report=clear.truth / "report")
    with pytest.raises(GroklstError, match="cannot be written"):
        evaluate(job)


def test_cancel(clear: ScenePaths, tmp_path: Path) -> None:
    cancel = CancelToken()
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if event.message == "Scoring bicubic on valley at x4":
            cancel.cancel()

    job = EvaluateJob(scenes=(scene(clear),), scales=(2, 4), methods=("bicubic",), report=tmp_path / "report")
    with pytest.raises(Cancelled):
        evaluate(job, listen, cancel)
    assert events[0].fraction == 0
    assert not (tmp_path / "report").exists()


def test_auto_says_what_it_chose(clear: ScenePaths) -> None:
    job = EvaluateJob(scenes=(scene(clear),), scales=(2,), methods=("auto",), candidates=("nearest", "groklst-small"))
    result = evaluate(job).to_json()
    plain, auto = result["rows"]
    assert (plain["chosen"], auto["chosen"]) == (None, "groklst-small")
    again = evaluate(EvaluateJob(scenes=(scene(clear),), scales=(2,), methods=("groklst-small",))).to_json()
    assert auto["rmse"] == again["rows"][1]["rmse"]
    assert "chosen" not in again["rows"][0]


def test_standard_errors_are_held_against_the_truth(
    clear: ScenePaths, cloudy: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each row, pooled in the means, and named where there are none."""
    options = {"scales": (2, 24), "methods": ("bicubic-ibp",), "uncertainty": True, "report": tmp_path / "report"}
    result = evaluate(EvaluateJob(scenes=(scene(clear), scene(cloudy, "hills")), **options)).to_json()
    rows = [row for row in result["rows"] if row["scale"] == 2]
    assert len(rows) == 4
    assert all(0.3 < row["within_1_sigma"] < row["within_2_sigma"] <= 1 for row in rows)
    assert all(row["sigma_correlation"] > 0.1 for row in rows)
    mean = next(mean for mean in result["means"] if (mean["method"], mean["scale"]) == ("bicubic-ibp", 2))
    assert mean["with_sigma"] == 2
    shares = [row["within_1_sigma"] for row in rows if row["method"] == "bicubic-ibp"]
    assert mean["within_1_sigma"] == pytest.approx(np.mean(shares), abs=0.03), "as many pixels of each"
    assert result["without_sigma"] == ["valley x24", "hills x24"], "4 x 4 coarse pixels"
    assert all(row["within_1_sigma"] is None for row in result["rows"] if row["scale"] == 24)
    with (tmp_path / "report" / "scores.csv").open(newline="") as file:
        assert {row["within_1_sigma"] for row in csv.DictReader(file) if row["scale"] == "24"} == {""}
    command = ["evaluate", "--lst", str(clear.truth), "--scales", "24", "--methods", "bicubic", "--uncertainty"]
    assert main(command) == 0
    assert "No standard error, because too small" in capsys.readouterr().out
