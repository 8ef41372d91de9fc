"""Standard errors: the model, its calibration, and the raster beside a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import read, write
from scipy.stats import spearmanr

from groklst_engine.cli import main
from groklst_engine.closed_loop import ClosedLoop
from groklst_engine.data.synthetic import ScenePaths, synthetic_scene, write_scene
from groklst_engine.events import CancelToken
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.uncertainty import LEARNED_HERE, ErrorModel, calibrate, local_deviation, result_factor


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """96 × 96 coarse pixels, by 2."""
    return write_scene(synthetic_scene(size=192, seed=3), tmp_path_factory.mktemp("wide"), 2)


def job_for(paths: ScenePaths, **options: Any) -> DownscaleJob:
    guidance = (GuidanceSource(path=str(paths.guidance)), GuidanceSource(path=str(paths.dem)))
    wish = {"lst": LstSource(path=str(paths.lst)), "guidance": guidance, "output": "unused.tif", "device": "cpu"}
    return DownscaleJob(**{**wish, "scale": 2, **options})


def test_local_deviation_is_that_of_the_valid_neighbours() -> None:
    values = np.random.default_rng(0).normal(300, 2, (6, 7)).astype(np.float32)
    values[2, 3] = np.nan
    found = local_deviation(values)
    assert np.isnan(found[2, 3])
    neighbours = values[1:4, 2:5]  # around (2, 3)
    around = values[0:3, 2:5]
    assert found[1, 3] == pytest.approx(np.nanstd(around), rel=1e-4)
    assert np.isfinite(neighbours).sum() == 8
    assert (np.isfinite(found) == np.isfinite(values)).all()
    assert local_deviation(np.full((5, 5), 290.0, np.float32)).max() < 1e-4


def test_errors_that_grow_with_variability_are_found() -> None:
    random = np.random.default_rng(1)
    variability = random.uniform(0.1, 3, 50_000)
    sigma = 0.4 * variability**0.7
    model = ErrorModel.fit(variability, random.normal(0, sigma))
    predicted = model(variability.astype(np.float32))
    assert np.median(np.abs(predicted / sigma - 1)) < 0.1
    assert model.power == pytest.approx(0.7, abs=0.15)


@pytest.mark.parametrize("variability", [np.full(1000, 0.5), np.zeros(1000)])
def test_places_that_are_all_alike_get_one_error(variability: np.ndarray) -> None:
    errors = np.random.default_rng(2).normal(0, 0.8, 1000)
    model = ErrorModel.fit(variability, errors)
    assert model(variability.astype(np.float32)) == pytest.approx(np.quantile(np.abs(errors), 0.683), rel=1e-3)


def test_errors_are_never_thought_smaller_where_temperature_varies_more() -> None:
    variability = np.linspace(0.1, 3, 10_000)
    model = ErrorModel.fit(variability, np.random.default_rng(3).normal(0, 1 / variability))
    assert model.power == 0


def test_calibration_is_honest_about_blocks_it_has_not_seen(wide: ScenePaths) -> None:
    with ClosedLoop(job_for(wide), CancelToken()) as loop:
        (part,) = loop.restore("bicubic")
        calibration = calibrate(loop, "bicubic", 2)
    errors = (part.result - part.truth)[part.counted]
    predicted = calibration.model.scaled(1 / result_factor(2, "bicubic", 2))(local_deviation(part.result))[part.counted]
    assert np.mean(np.abs(errors) <= predicted) == pytest.approx(0.683, abs=0.01)
    assert spearmanr(predicted, np.abs(errors))[0] > 0.2
    one, two = calibration.reliability
    assert (one.multiple, two.multiple) == (1.0, 2.0)
    assert one.actual == pytest.approx(0.683, abs=0.1)
    assert one.actual < two.actual <= 1


def test_calibration_is_of_the_detail_that_is_kept(wide: ScenePaths) -> None:
    """Without any, a method's errors are those of the interpolation."""
    with ClosedLoop(job_for(wide), CancelToken()) as loop:
        none, plain = calibrate(loop, "tsharp", 2, detail=0.0), calibrate(loop, "bicubic-ibp", 2)
        assert calibrate(loop, "tsharp", 2).model.power != pytest.approx(none.model.power, rel=1e-2)
    factor = result_factor(2, "tsharp", 2) / result_factor(2, "bicubic-ibp", 2)
    assert none.model.level == pytest.approx(factor * plain.model.level, rel=1e-3)


def test_errors_are_carried_over_to_the_result_s_scale() -> None:
    """Larger where the loop left octaves out, and for what learns from the scene."""
    same = result_factor(2, "bicubic", 2)
    assert same < 1
    assert result_factor(8, "groklst-small", 8) == same
    assert same < 1 < result_factor(2, "bicubic", 4) < result_factor(2, "bicubic", 8)
    assert result_factor(2, "self-scale", 2) == pytest.approx(LEARNED_HERE * same)
    assert result_factor(4, "dms", 4) == pytest.approx(LEARNED_HERE * same)


def test_the_raster_beside_the_result(wide: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written next to the output, on its grid, and right about most of the errors the truth reveals."""
    command = ["downscale", "--lst", str(wide.lst), "--guidance", str(wide.guidance), str(wide.dem), "--scale", "2"]
    command += ["--method", "groklst-small", "--uncertainty", "--report", str(tmp_path / "report"), "--json"]
    assert main([*command, "-o", str(tmp_path / "fine.tif")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["uncertainty"] == str(tmp_path / "fine_uncertainty.tif")
    fine, sigma, truth = (read(Path(name)) for name in (result["output"], result["uncertainty"], wide.truth))
    assert sigma.shape == fine.shape
    assert (sigma > 0).all()
    assert 0.5 < np.mean(np.abs(fine - truth) <= sigma) < 0.95
    assert np.mean(np.abs(fine - truth) <= 2 * sigma) > 0.85
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert [row["nominal"] for row in report["reliability"]] == [0.683, 0.954]
    assert [panel["title"] for panel in report["maps"]][2] == "Standard error of the result"
    assert main([*command, "-o", str(tmp_path / "fine.tif")]) == 1, "nothing is replaced unasked"
    assert not list(tmp_path.glob("*.part"))


def test_too_small_a_scene_gets_none_and_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lst = write(tmp_path / "lst.tif", 300 + np.arange(25, dtype=np.float32).reshape(5, 5) / 10)
    command = ["downscale", "--lst", str(lst), "--scale", "2", "--method", "bicubic", "--uncertainty", "--json"]
    assert main([*command, "-o", str(tmp_path / "fine.tif")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["uncertainty"] is None
    assert any(warning.startswith("No standard error can be given.") for warning in result["warnings"])
    assert not (tmp_path / "fine_uncertainty.tif").exists()
