"""The pre-flight: what the inputs are, what would be done, and what to be wary of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import from_origin
from rasters import PIXEL, coarse_lst, repeated, write

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.inspection import inspect_inputs
from groklst_engine.jobs import InspectJob


def inspected(lst: Path, *guidance: Path, scale: int = 4) -> dict[str, Any]:
    sources = tuple(GuidanceSource(path=str(path)) for path in guidance)
    result = inspect_inputs(InspectJob(lst=LstSource(path=str(lst)), guidance=sources, scale=scale))
    json.dumps(result)
    return result


@pytest.fixture
def lst(tmp_path: Path) -> Path:
    return write(tmp_path / "lst.tif", coarse_lst(16), names=["surface"])


def ndvi(path: Path, pixel: float, side: int = 64) -> Path:
    return write(path, np.ones((side, side), np.float32), pixel=pixel)


def test_layers_grids_and_roles(cloudy: ScenePaths) -> None:
    result = inspected(cloudy.lst, cloudy.guidance, cloudy.dem)
    assert (result["unit"], result["scale"]) == ("K", 4)
    assert result["fine"] == {"crs": "EPSG:32612", "width": 96, "height": 96, "pixel": [30, 30]}
    lst, guidance, dem = result["layers"]
    assert [layer["kind"] for layer in result["layers"]] == ["lst", "guidance", "guidance"]
    assert [layer["path"] for layer in result["layers"]] == [str(cloudy.lst), str(cloudy.guidance), str(cloudy.dem)]
    assert (lst["crs"], lst["pixel"], lst["width"], lst["height"]) == ("EPSG:32612", [120, 120], 24, 24)
    assert lst["action"] == "Downscaled from 120 m to 30 m"
    assert 0.5 < lst["coverage"] < 1
    assert (guidance["crs"], guidance["pixel_unit"]) == ("EPSG:4326", "°")
    assert "reprojected to EPSG:32612" in guidance["action"]
    assert [band["role"] for band in guidance["bands"]] == ["blue", "green", "red", "nir", "swir1", "swir2", "ndvi"]
    assert dem["bands"] == [{"band": 1, "description": "dem", "role": "dem"}]
    low, high = result["range"]
    assert 270 < low < high < 330


@pytest.mark.parametrize(
    ("pixel", "action"),
    [(60, "Used at its own 60 m"), (20, "Averaged from 20 m to 60 m"), (90, "Interpolated from 90 m to 60 m")],
)
def test_what_will_be_done(pixel: float, action: str, lst: Path, tmp_path: Path) -> None:
    guidance = ndvi(tmp_path / "ndvi.tif", pixel, side=round(16 * PIXEL / pixel) + 1)
    assert inspected(lst, guidance)["layers"][1]["action"] == action


def test_good_inputs_give_no_warning(clear: ScenePaths) -> None:
    assert inspected(clear.lst, clear.guidance, clear.dem)["warnings"] == []


@pytest.mark.parametrize(
    ("pixel", "side", "words"),
    [(60, 32, "covers 25% of the LST"), (240, 16, "not finer than the LST"), (120, 32, "adds no detail below")],
)
def test_warnings_about_guidance(pixel: float, side: int, words: str, lst: Path, tmp_path: Path) -> None:
    path = ndvi(tmp_path / "ndvi.tif", pixel, side)
    (warning,) = inspected(lst, path)["warnings"]
    assert words in warning
    assert str(path) in warning


def test_warnings_about_the_lst(tmp_path: Path) -> None:
    values = coarse_lst(6)
    values[0, :3] = 0
    few, small = inspected(write(tmp_path / "lst.tif", values))["warnings"]
    assert few == "8.3% of the LST pixels hold no possible temperature and count as missing."
    assert "only 6 × 6 pixels" in small


def test_a_geographic_lst(tmp_path: Path) -> None:
    place = from_origin(-112, 40, 0.01, 0.01)
    result = inspected(write(tmp_path / "lst.tif", repeated(coarse_lst(8), 2), crs="EPSG:4326", transform=place))
    assert result["layers"][0]["action"] == "Downscaled from 0.01 ° to 0.0025 °"
    assert result["fine"]["pixel"] == pytest.approx([0.0025, 0.0025])


def test_it_answers_without_torch() -> None:
    code = "import sys, groklst_engine.inspection; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
