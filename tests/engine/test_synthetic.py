"""Synthetic scenes: physically sane, reproducible, and written as an analyst would have them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from groklst_engine.data.landscape import make_landscape
from groklst_engine.data.synthetic import SyntheticScene, synthetic_scene, write_scene
from groklst_engine.errors import InputError, OutputError

ROLES = ["blue", "green", "red", "nir", "swir1", "swir2", "ndvi", "dem"]


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return synthetic_scene(size=256, seed=3)


def _water(scene: SyntheticScene) -> NDArray[np.bool_]:
    """Open water by the modified normalised difference water index."""
    green, swir = scene.guidance["green"], scene.guidance["swir1"]
    return (green - swir) / (green + swir) > 0.5


def _pearson(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.mark.parametrize("seed", range(6))
def test_every_seed_gives_a_plausible_summer_day(seed: int) -> None:
    scene = synthetic_scene(size=128, seed=seed)
    assert list(scene.guidance) == ROLES
    for values in (scene.lst, *scene.guidance.values()):
        assert values.shape == (128, 128)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert scene.lst.min() > 280
    assert scene.lst.max() < 330
    assert 3 < scene.lst.std() < 8
    for role in ROLES[:6]:
        assert scene.guidance[role].min() > 0
        assert scene.guidance[role].max() < 0.7
    assert abs(scene.guidance["ndvi"]).max() <= 1
    assert scene.guidance["ndvi"].max() > 0.75


def test_water_is_cooler_than_land_by_day(scene: SyntheticScene) -> None:
    water = _water(scene)
    assert 0.003 < water.mean() < 0.2
    assert scene.lst[water].mean() < scene.lst[~water].mean() - 10
    assert scene.lst[water].std() < 1.5


def test_vegetation_cools_but_does_not_tell_all(scene: SyntheticScene) -> None:
    land = ~_water(scene)
    r = _pearson(scene.lst[land], scene.guidance["ndvi"][land])
    assert -0.95 < r < -0.5
    # Water in the ground: fields with one and the same NDVI differ in temperature.
    dense = land & (scene.guidance["ndvi"] > 0.8)
    assert scene.lst[dense].std() > 0.8


def test_slopes_towards_the_sun_are_warmer(scene: SyntheticScene) -> None:
    rise_south, rise_east = np.gradient(scene.guidance["dem"], 30.0)
    # Dry ground of the hills only: trees hide the slope's effect.
    hills = (np.hypot(rise_south, rise_east) > 0.1) & (scene.guidance["ndvi"] < 0.35) & ~_water(scene)
    sunny = rise_south + rise_east < 0  # falls towards the south-east, where the sun stands
    assert scene.lst[hills & sunny].mean() > scene.lst[hills & ~sunny].mean() + 1


def test_cover_shares_add_up() -> None:
    land = make_landscape(np.random.default_rng(0), 64, 30.0)
    assert land.cover.min() >= 0
    assert np.allclose(land.cover.sum(axis=0), 1, atol=1e-5)


def test_same_seed_same_scene() -> None:
    a, b, c = (synthetic_scene(size=64, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(a.lst, b.lst)
    assert all(np.array_equal(a.guidance[role], b.guidance[role]) for role in ROLES)
    assert not np.array_equal(a.lst, c.lst)


def test_a_demo_sized_scene_takes_less_than_two_seconds() -> None:
    start = time.process_time()
    synthetic_scene(size=512)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("size", [32, 100])
def test_a_useless_size_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="multiple of 8"):
        synthetic_scene(size=size)


def test_coarse_lst_is_the_block_mean_of_the_truth(scene: SyntheticScene, tmp_path: Path) -> None:
    paths = write_scene(scene, tmp_path, scale=8)
    with rasterio.open(paths.truth) as truth, rasterio.open(paths.lst) as coarse:
        fine = truth.read(1).astype(np.float64)
        assert np.array_equal(fine, scene.lst)
        assert np.abs(fine.reshape(32, 8, 32, 8).mean(axis=(1, 3)) - coarse.read(1)).max() < 1e-4
        assert coarse.bounds == truth.bounds
        assert coarse.res == (240.0, 240.0)
        assert coarse.crs.to_epsg() == truth.crs.to_epsg() == 32612
        assert coarse.units == ("K",)


def test_guidance_carries_roles_and_scale(scene: SyntheticScene, tmp_path: Path) -> None:
    paths = write_scene(scene, tmp_path, scale=4)
    with rasterio.open(paths.guidance) as guidance:
        assert list(guidance.descriptions) == ROLES[:-1]
        assert guidance.dtypes == ("int16",) * 7
        values = guidance.read() * np.array(guidance.scales)[:, None, None]
        assert np.abs(values - np.stack([scene.guidance[role] for role in ROLES[:-1]])).max() < 6e-5
    with rasterio.open(paths.dem) as dem:
        assert dem.descriptions == ("dem",)
        assert np.array_equal(dem.read(1), scene.guidance["dem"])


def test_noise_has_the_asked_strength(scene: SyntheticScene, tmp_path: Path) -> None:
    clean = write_scene(scene, tmp_path / "clean", scale=4)
    noisy = write_scene(scene, tmp_path / "noisy", scale=4, noise=0.5)
    with rasterio.open(clean.lst) as a, rasterio.open(noisy.lst) as b:
        assert np.std(b.read(1) - a.read(1)) == pytest.approx(0.5, rel=0.05)


def test_a_cloud_hides_lst_and_reflectance_but_not_truth_and_relief(scene: SyntheticScene, tmp_path: Path) -> None:
    paths = write_scene(scene, tmp_path, scale=4, cloud=0.2)
    with rasterio.open(paths.guidance) as guidance:
        clear = guidance.read_masks(1) > 0
        assert clear.mean() == pytest.approx(0.8, abs=0.01)
    with rasterio.open(paths.lst) as coarse:
        expected = clear.reshape(64, 4, 64, 4).all(axis=(1, 3))
        assert np.array_equal(coarse.read_masks(1) > 0, expected)
    for path in (paths.truth, paths.dem):
        with rasterio.open(path) as file:
            assert file.read_masks(1).all()


@pytest.mark.parametrize(
    ("crs", "pixel"),
    [("EPSG:4326", None), ("EPSG:3857", 40.0), (None, 45.0), ("EPSG:32611", 10.0)],
)
def test_guidance_on_another_grid_shows_the_same_place(
    scene: SyntheticScene, tmp_path: Path, crs: str | None, pixel: float | None
) -> None:
    paths = write_scene(scene, tmp_path, scale=4, guidance_crs=crs, guidance_pixel=pixel)
    bounds = array_bounds(256, 256, scene.transform)
    with rasterio.open(paths.guidance) as guidance, rasterio.open(paths.dem) as dem:
        assert guidance.crs == rasterio.CRS.from_string(crs or scene.crs)
        assert guidance.transform == dem.transform
        if pixel:
            assert guidance.res == pytest.approx((pixel, pixel))
        expected = transform_bounds(scene.crs, guidance.crs, *bounds)
        assert guidance.bounds == pytest.approx(expected, abs=2 * max(guidance.res))
        # A ground point has the same elevation in both.
        x, y = scene.transform @ (100.5, 150.5)
        (lon,), (lat,) = rasterio.warp.transform(scene.crs, dem.crs, [x], [y])
        (seen,) = next(dem.sample([(lon, lat)]))[:1]
        assert seen == pytest.approx(scene.guidance["dem"][150, 100], abs=5)


def test_a_scale_that_does_not_divide_is_refused_and_writes_nothing(scene: SyntheticScene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Scale 3 does not divide"):
        write_scene(scene, tmp_path / "new", scale=3)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_an_output_error(scene: SyntheticScene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another one"):
        write_scene(scene, tmp_path / "file" / "folder", scale=4)
