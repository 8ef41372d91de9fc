"""The main job: where the result lies, what is nodata in it, what it aggregates to, and that tiles do not show."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin
from rasters import (
    CORNER,
    NODATA,
    PIXEL,
    block_means,
    coarse_lst,
    cropped,
    fine,
    job_for,
    place_of,
    random_weights,
    read,
    repeated,
    run,
    write,
)

from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.errors import Cancelled, GroklstError
from groklst_engine.events import CancelToken, Event
from groklst_engine.inputs import LstSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.predict import downscale

TILE = 64
LOCAL = ["nearest", "bilinear", "bicubic", "bicubic-ibp", "tsharp", "network"]
SCALES = [2, 3, 4, 8]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "fine.tif"


# --- georeferencing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:32612", from_origin(*CORNER, PIXEL, PIXEL)),
        ("EPSG:32612", from_origin(400_013.7, 4_499_871.3, 926.62543305, 926.62543305)),
        ("EPSG:4326", from_origin(-112.18, 40.65, 1 / 480, 1 / 480)),
        ("EPSG:32612", from_origin(*CORNER, PIXEL, PIXEL) @ Affine.rotation(25)),
        ("EPSG:32612", Affine(PIXEL, 0, CORNER[0], 0, PIXEL, 4_496_160)),
    ],
    ids=["utm", "odd pixel", "degrees", "rotated", "south up"],
)
def test_the_result_nests_in_the_lst(crs: str, place: Affine, scale: int, out: Path, tmp_path: Path) -> None:
    """The guidance lies in degrees on a grid of its own."""
    lst = write(tmp_path / "lst.tif", coarse_lst(12), crs=crs, transform=place)
    ndvi = np.random.default_rng(0).random((150, 250)).astype(np.float32)
    guidance = write(tmp_path / "ndvi.tif", ndvi, crs="EPSG:4326", transform=from_origin(-112.4, 40.75, 0.002, 0.002))
    run(lst, guidance, output=out, scale=scale, method="tsharp")
    with rasterio.open(lst) as coarse, rasterio.open(out) as result:
        assert result.crs == coarse.crs
        assert result.shape == (12 * scale, 12 * scale)
        for column, row in [(0, 0), (12, 0), (0, 12), (12, 12), (5, 7)]:
            there = ~result.transform @ (coarse.transform @ (column, row))
            assert there == pytest.approx((column * scale, row * scale), abs=1e-6)


# --- nodata ----------------------------------------------------------------------------------------------------------


def with_holes(tmp_path: Path, scale: int) -> tuple[Path, Path, NDArray[np.bool_]]:
    """LST, guidance that does not reach its right edge, and where both are there."""
    lst, side = coarse_lst(20), 20 * scale
    lst[3:6, 4], lst[0, 0], lst[19, 19] = NODATA, NODATA, NODATA
    bands = np.random.default_rng(0).random((2, side, side - 5)).astype(np.float32)
    bands[0, 30, 20:33] = bands[1, 2, 7] = bands[1, 25:29, 25:29] = NODATA
    there = repeated(lst != NODATA, scale)
    there[:, : side - 5] &= (bands != NODATA).all(0)
    there[:, side - 5 :] = False
    guidance = write(tmp_path / "g.tif", bands, pixel=PIXEL / scale, nodata=NODATA, names=["ndvi", "dem"])
    return write(tmp_path / "lst.tif", lst, nodata=NODATA), guidance, there


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("method", LOCAL)
def test_exactly_the_missing_pixels_are_nodata(
    method: str, scale: int, out: Path, tmp_path: Path, local_network: Path
) -> None:
    lst, guidance, there = with_holes(tmp_path, scale)
    result = fine(lst, guidance, output=out, scale=scale, method=named(method, local_network), tile=32)
    guided = method in ("tsharp", "network")
    expected = there if guided else repeated(read(lst) > 0, scale)
    np.testing.assert_array_equal(np.isfinite(result), expected)
    with rasterio.open(out) as dataset:
        stored = dataset.read(1)
        assert dataset.nodata == NODATA
    assert np.isfinite(stored).all()
    assert ((stored == NODATA) == ~expected).all()
    assert 270 < stored[expected].min() < stored[expected].max() < 330


# --- coarse consistency ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bicubic-ibp", "tsharp", "network"])
@pytest.mark.parametrize("scale", SCALES)
def test_block_means_are_the_input(
    method: str, scale: int, landscape: SyntheticScene, local_network: Path, out: Path, tmp_path: Path
) -> None:
    paths = cropped(landscape, 96, tmp_path, scale, cloud=0.15, noise=0.3, guidance_crs="EPSG:4326")
    job = job_for(paths.lst, paths.guidance, paths.dem, output=out, scale=scale, method=named(method, local_network))
    result = downscale(job)
    means = block_means(read(out), scale)
    both = np.isfinite(means)
    assert both.mean() > 0.3
    assert np.abs(means - read(paths.lst))[both].max() < 0.01
    assert result.scores[0]["rmse"] < 0.01
    assert result.scores[0]["n"] == both.sum()


def test_consistency_can_be_switched_off(clear: ScenePaths, out: Path, tmp_path: Path) -> None:
    with_it = fine(clear.lst, clear.guidance, output=out, method="tsharp")
    without = fine(clear.lst, clear.guidance, output=tmp_path / "b.tif", method="tsharp", consistency=False)
    assert np.abs(block_means(without, 4) - read(clear.lst)).max() > 0.05
    assert np.abs(block_means(with_it, 4) - read(clear.lst)).max() < 0.01


# --- tiles -----------------------------------------------------------------------------------------------------------


def named(method: str, local_network: Path) -> str:
    return str(local_network) if method == "network" else method


@pytest.mark.parametrize("beyond", [-2, 0, 1], ids=["smaller", "equal", "one more"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("method", LOCAL)
def test_tiles_have_the_bits_of_the_whole(
    method: str, scale: int, beyond: int, landscape: SyntheticScene, local_network: Path, tmp_path: Path
) -> None:
    """With clouds, and with guidance in another CRS; a tile is ``TILE // scale`` coarse pixels wide."""
    side = (TILE // scale + beyond) * scale
    paths = cropped(landscape, side, tmp_path, scale, cloud=0.15, guidance_crs="EPSG:4326")
    job = {"scale": scale, "method": named(method, local_network)}
    inputs = paths.lst, paths.guidance, paths.dem
    tiled = fine(*inputs, output=tmp_path / "tiled.tif", tile=TILE, **job)
    whole = fine(*inputs, output=tmp_path / "whole.tif", tile=4096, **job)
    assert np.isfinite(whole).mean() > 0.5
    assert np.array_equal(tiled, whole, equal_nan=True)


@pytest.mark.parametrize("method", LOCAL)
def test_many_small_tiles_have_the_bits_of_the_whole(
    method: str, cloudy: ScenePaths, local_network: Path, tmp_path: Path
) -> None:
    inputs, job = (cloudy.lst, cloudy.guidance, cloudy.dem), {"method": named(method, local_network)}
    tiled = fine(*inputs, output=tmp_path / "tiled.tif", tile=32, **job)
    assert np.array_equal(tiled, fine(*inputs, output=tmp_path / "whole.tif", **job), equal_nan=True)


@pytest.mark.parametrize("beyond", [-2, 0, 1], ids=["smaller", "equal", "one more"])
def test_global_statistics_leave_no_seam(
    beyond: int, landscape: SyntheticScene, global_network: Path, tmp_path: Path
) -> None:
    core = TILE // 2
    paths = cropped(landscape, 2 * (core + beyond), tmp_path, 2)
    inputs = paths.lst, paths.guidance, paths.dem
    job = {"scale": 2, "method": str(global_network), "precision": "float32"}  # whose rounding hides no seam
    tiled = fine(*inputs, output=tmp_path / "tiled.tif", tile=TILE, **job)
    whole = fine(*inputs, output=tmp_path / "whole.tif", tile=4096, **job)
    plain = fine(paths.lst, output=tmp_path / "plain.tif", scale=2)
    assert 0.3 < (whole - plain).std() < 2, "the network must add about as much detail as a trained one"
    difference = tiled - whole
    assert np.abs(difference).max() < 0.05
    if beyond > 0:
        across = [difference[TILE] - difference[TILE - 1], difference[:, TILE] - difference[:, TILE - 1]]
        assert np.abs(across).mean() < 0.01


@pytest.fixture(scope="module")
def global_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_weights(tmp_path_factory.mktemp("global") / "x2.safetensors", "mocolsk", (2,), head=1, preset="small")


# --- units -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bicubic", "tsharp"])
def test_celsius_in_celsius_out(method: str, clear: ScenePaths, out: Path, tmp_path: Path) -> None:
    celsius = write(tmp_path / "c.tif", read(clear.lst) - np.float32(273.15), transform=place_of(clear.lst), unit="°C")
    result = run(celsius, clear.guidance, output=out, method=method)
    kelvin = run(clear.lst, clear.guidance, output=tmp_path / "k.tif", method=method)
    assert (result.unit, kelvin.unit) == ("C", "K")
    np.testing.assert_allclose(read(out), read(tmp_path / "k.tif") - 273.15, atol=0.002)
    assert result.range == pytest.approx([limit - 273.15 for limit in kelvin.range], abs=0.01)
    with rasterio.open(out) as dataset:
        assert dataset.units == ("°C",)


def test_scaled_integers_give_the_floats_result(clear: ScenePaths, out: Path, tmp_path: Path) -> None:
    stored = np.round(read(clear.lst) / 0.01).astype(np.uint16)
    integers = write(tmp_path / "i.tif", stored, transform=place_of(clear.lst), nodata=0, scale=0.01)
    rounded = fine(integers, clear.guidance, output=out, method="tsharp")
    np.testing.assert_allclose(
        rounded, fine(clear.lst, clear.guidance, output=tmp_path / "f.tif", method="tsharp"), atol=0.05
    )


@pytest.mark.parametrize("fill", [0.0, NODATA])
def test_undeclared_fills_are_nodata_in_the_result(fill: float, out: Path, tmp_path: Path) -> None:
    values = coarse_lst()
    values[4:7, 4:7] = fill
    result = run(write(tmp_path / "lst.tif", values), output=out)
    np.testing.assert_array_equal(np.isnan(read(out)), repeated(values == fill, 4))
    assert read(out)[np.isfinite(read(out))].min() > 280
    assert any("no possible temperature" in warning for warning in result.warnings)


# --- the rest --------------------------------------------------------------------------------------------------------


def test_the_output_says_how_it_was_made(clear: ScenePaths, local_network: Path, out: Path) -> None:
    job = job_for(clear.lst, clear.guidance, clear.dem, output=out, method=str(local_network))
    result = downscale(job)
    with rasterio.open(out) as dataset:
        tags = dataset.tags()
        assert dataset.dtypes == ("float32",)
        assert dataset.compression.value == "DEFLATE"
        assert dataset.descriptions == ("Land surface temperature",)
    assert json.loads(tags["GROKLST_JOB"])["scale"] == 4
    assert len(tags["GROKLST_WEIGHTS_SHA256"]) == 64
    assert tags["GROKLST_VERSION_TORCH"]
    assert (result.width, result.height, result.scale) == (96, 96, 4)
    assert result.range == pytest.approx(np.percentile(read(out), [2, 98]), abs=1e-3)


def test_a_reference_is_scored_beside_bicubic(clear: ScenePaths, out: Path) -> None:
    reference = LstSource(path=str(clear.truth))
    result = run(clear.lst, clear.guidance, output=out, method="tsharp", reference=reference)
    error = read(out) - read(clear.truth)
    _, ours, bicubic = result.scores
    assert ours["rmse"] == pytest.approx(np.sqrt((error.astype(np.float64) ** 2).mean()), rel=1e-4)
    assert ours["bias"] == pytest.approx(error.mean(), abs=1e-4)
    assert (ours["protocol"], bicubic["label"]) == ("fine reference", "Bicubic")
    plain = fine(clear.lst, output=out.with_name("bicubic.tif"), method="bicubic")
    assert bicubic["mae"] == pytest.approx(np.abs(plain - read(clear.truth)).mean(), rel=1e-4)


def test_events_tell_the_progress(clear: ScenePaths, out: Path) -> None:
    events: list[Event] = []
    downscale(job_for(clear.lst, clear.guidance, output=out, tile=32), events.append)
    fractions = [event.fraction for event in events if event.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(event.message == "Downscaling tile 5 of 9" for event in events)
    assert any("does not use the guidance" in event.message for event in events)


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 0.9])
def test_cancelling_leaves_nothing(moment: float, clear: ScenePaths, out: Path) -> None:
    cancel = CancelToken()
    fractions: list[float] = []

    def listen(event: Event) -> None:
        fractions.append(event.fraction or 0)
        if fractions[-1] >= moment:
            cancel.cancel()

    job = job_for(clear.lst, clear.guidance, output=out, method="tsharp", tile=32, report=out.with_name("report"))
    with pytest.raises(Cancelled):
        downscale(job, listen, cancel)
    assert fractions[-1] < 0.97
    assert list(out.parent.iterdir()) == []


def test_a_report_that_cannot_be_drawn_is_refused_before_any_work(
    clear: ScenePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    events: list[Event] = []
    lst = LstSource(path=str(clear.lst))
    job = DownscaleJob(lst=lst, scale=4, method="bicubic", output=tmp_path / "fine.tif", report=tmp_path / "report")
    with pytest.raises(GroklstError, match=r"pip install 'groklst\[report\]'"):
        downscale(job, events.append)
    assert not events
    assert not list(tmp_path.iterdir())
