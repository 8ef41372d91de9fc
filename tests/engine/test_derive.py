"""Guidance derived from guidance: terrain and light by hand, indices by hand, in any projection and any tile."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform
from rasters import coarse_lst, read, run, write

from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.grid import CoarseWindow, Grid
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.physics.derive import Derivation, derivable
from groklst_engine.physics.indices import ndmvi, select
from groklst_engine.physics.solar import sun_position
from groklst_engine.physics.terrain import Frame, eastness, gradient, hillshade, northness, slope
from groklst_engine.physics_jobs import Derived
from groklst_engine.reader import AlignedReader

NOON = datetime(2020, 7, 14, 18, 30, tzinfo=timezone.utc)
GRIDS = {
    "utm": Grid(CRS.from_epsg(32612), from_origin(400_000, 4_500_000, 60, 60), 12, 12),
    "south": Grid(CRS.from_epsg(32756), from_origin(330_000, 6_250_000, 60, 60), 12, 12),
    "degrees": Grid(CRS.from_epsg(4326), from_origin(-112.2, 40.6, 0.0006, 0.0006), 12, 12),
    "sinusoidal": Grid(
        CRS.from_proj4("+proj=sinu +R=6371007.181 +units=m"), from_origin(-9_480_000, 4_510_000, 60, 60), 12, 12
    ),
}


def everything(grid: Grid) -> Frame:
    return Frame.of(grid, np.arange(grid.height), np.arange(grid.width))


def plane(grid: Grid, east: float, north: float) -> NDArray[np.float32]:
    """Elevation that rises so much per metre to the east and to the north, whatever the projection."""
    frame = everything(grid)
    middle = frame.latitude.mean()
    x = (frame.longitude - frame.longitude.mean()) * 111_195 * np.cos(np.radians(middle))
    y = (frame.latitude - middle) * 111_195
    return (500 + east * x + north * y).astype(np.float32)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(("east", "north"), [(0.5, 0.0), (0.0, -0.3), (0.2, 0.4)])
def test_a_plane_has_its_slope_and_exposition(name: str, east: float, north: float) -> None:
    """By hand: a plane that rises 0.5 per metre to the east has a slope of 26.565° and faces west."""
    grid = GRIDS[name]
    found = gradient(plane(grid, east, north), everything(grid))
    inner = (slice(1, -1), slice(1, -1))
    assert found[0][inner] == pytest.approx(east, abs=0.01)
    assert found[1][inner] == pytest.approx(north, abs=0.01)
    steep = np.hypot(east, north)
    assert slope(*found)[inner] == pytest.approx(np.degrees(np.arctan(steep)), abs=0.5)
    assert eastness(*found)[inner] == pytest.approx(-east / np.sqrt(1 + steep**2), abs=0.01)
    assert northness(*found)[inner] == pytest.approx(-north / np.sqrt(1 + steep**2), abs=0.01)


@pytest.mark.parametrize(("east", "north"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.0, -0.5), (-0.3, 0.4)])
def test_hillshade_is_the_cosine_between_sun_and_normal(east: float, north: float) -> None:
    """By hand: the normal of the plane is (−east, −north, 1), the sun's direction comes from its two angles."""
    grid = GRIDS["utm"]
    frame = everything(grid)
    rise = tuple(np.full((12, 12), value, np.float32) for value in (east, north))
    height, azimuth = (np.radians(angle) for angle in sun_position(NOON, frame.latitude[5, 5], frame.longitude[5, 5]))
    sun = np.array([np.cos(height) * np.sin(azimuth), np.cos(height) * np.cos(azimuth), np.sin(height)])
    normal = np.array([-east, -north, 1.0])
    expected = max(0.0, sun @ normal / np.linalg.norm(normal))
    assert hillshade(*rise, frame, NOON)[5, 5] == pytest.approx(expected, abs=1e-4)
    assert np.degrees(height) == pytest.approx(69, abs=3), "a summer noon at 40.6° north"


def test_slopes_to_the_sun_are_brighter_and_nights_are_dark() -> None:
    frame = everything(GRIDS["utm"])
    flat, south_face, north_face = (np.full((12, 12), value, np.float32) for value in (0.0, 0.5, -0.5))
    level = hillshade(flat, flat, frame, NOON)
    assert (hillshade(flat, south_face, frame, NOON) > level).all()
    assert (hillshade(flat, north_face, frame, NOON) < level).all()
    assert (hillshade(flat, flat, frame, datetime(2020, 7, 14, 7)) == 0).all()


def test_a_gap_of_the_dem_stays_a_gap() -> None:
    grid = GRIDS["utm"]
    elevation = plane(grid, 0.1, 0.1)
    elevation[5, 5] = np.nan
    frame = everything(grid)
    shade = hillshade(*gradient(elevation, frame), frame, NOON)
    assert np.isnan(shade[4:7, 4:7][[0, 0, 2, 2], [0, 1, 0, 2]]).all()
    assert np.isfinite(shade[:4]).all()


def test_indices_by_hand() -> None:
    """Reflectances of green vegetation: blue 0.04, red 0.05, nir 0.45, swir1 0.2, swir2 0.1."""
    bands: tuple[Role, ...] = ("blue", "red", "nir", "swir1", "swir2")
    guidance = torch.tensor([0.04, 0.05, 0.45, 0.2, 0.1])[None, :, None, None]
    ndvi, savi, albedo = (
        band.item() for band in select(guidance, bands, ("ndvi", "savi", "albedo")) if band is not None
    )
    assert ndvi == pytest.approx(0.40 / 0.50)
    assert savi == pytest.approx(1.5 * 0.40 / 1.00)
    assert albedo == pytest.approx(0.01424 + 0.0065 + 0.16785 + 0.017 + 0.0072 - 0.0018, abs=1e-5)


def test_ndmvi_by_hand() -> None:
    """A sunlit and a shaded slope of one cover: NDVI differs, NDMVI, less the light of the sky, does not."""
    nir, red = torch.tensor([0.45, 0.165]), torch.tensor([0.09, 0.0525])
    darkest_nir, darkest_red = 0.07, 0.04
    found = ndmvi(nir, red, darkest_nir, darkest_red)
    assert found.tolist() == pytest.approx([(0.38 - 0.05) / 0.43, (0.095 - 0.0125) / 0.1075], abs=1e-4)
    assert found[0] == pytest.approx(float(found[1]), abs=1e-3)
    ndvi = (nir - red) / (nir + red)
    assert abs(float(ndvi[0] - ndvi[1])) > 0.1
    assert ndmvi(torch.tensor([0.0]), torch.tensor([0.0]), 0.1, 0.1).item() == 0


@pytest.fixture
def rasters(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A coarse LST, reflectances and hills."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96]
    hills = (1500 + 80 * np.sin(x / 9) + 60 * np.cos(y / 7)).astype(np.float32)
    bands = random.uniform(0.02, 0.5, (2, 96, 96)).astype(np.float32)
    return (
        write(tmp_path / "lst.tif", coarse_lst(24)),
        write(tmp_path / "sr.tif", bands, pixel=60, names=["red", "nir"]),
        write(tmp_path / "dem.tif", hills, pixel=60, names=["dem"]),
    )


@pytest.mark.parametrize("derive", [("slope", "hillshade"), ("ndvi", "ndmvi", "savi"), ("savi", "eastness")])
def test_a_window_has_the_bits_of_the_whole(derive: tuple[Derived, ...], rasters: tuple[Path, Path, Path]) -> None:
    guidance = tuple(GuidanceSource(path=str(path)) for path in rasters[1:])
    with AlignedReader(LstSource(path=str(rasters[0])), guidance, 4) as reader:
        derivation = Derivation.of(reader, derive, NOON)
        lst, whole = derivation.read(CoarseWindow(0, 24, 0, 24))
        part_lst, part = derivation.read(CoarseWindow(5, 9, 20, 26))
    assert whole.shape == (3 + len(derive), 96, 96)
    assert np.array_equal(lst[5:9, 20:], part_lst[:, :4])
    assert np.array_equal(whole[:, 20:36, 80:], part[:, :, :16])
    assert np.isfinite(whole).all()


def test_derived_bands_reach_the_method(rasters: tuple[Path, Path, Path], tmp_path: Path) -> None:
    job = {"scale": 4, "method": "linear"}
    run(*rasters, output=tmp_path / "plain.tif", **job)
    run(*rasters, output=tmp_path / "derived.tif", derive=("hillshade",), overpass=NOON, **job)
    assert np.abs(read(tmp_path / "plain.tif") - read(tmp_path / "derived.tif")).max() > 0.01


@pytest.mark.parametrize(
    ("derive", "message"), [("hillshade", "needs the time of the overpass"), ("albedo", "derived from blue and swir1")]
)
def test_what_is_missing_is_said(derive: Derived, message: str, rasters: tuple[Path, Path, Path]) -> None:
    guidance = tuple(GuidanceSource(path=str(path)) for path in rasters[1:])
    with (
        AlignedReader(LstSource(path=str(rasters[0])), guidance, 4) as reader,
        pytest.raises(InputError, match=message),
    ):
        Derivation.of(reader, (derive,), None)


def test_what_can_be_derived() -> None:
    assert derivable(("dem",), None, on_earth=True) == {"slope", "northness", "eastness"}
    assert derivable(("dem", "slope"), NOON, on_earth=True) == {"northness", "eastness", "hillshade"}
    assert derivable(("red", "nir"), None, on_earth=True) == {"ndvi", "ndmvi", "savi"}


def test_emissivity_and_radiance_change_the_correction(rasters: tuple[Path, Path, Path], tmp_path: Path) -> None:
    values = np.full((96, 96), 0.97, np.float32)
    values[:, ::2] = 0.9
    emissivity = write(tmp_path / "emissivity.tif", values, pixel=60)
    job = {"scale": 4, "method": "linear"}
    run(*rasters, output=tmp_path / "t.tif", **job)
    run(*rasters, output=tmp_path / "r.tif", domain="radiance", emissivity=str(emissivity), **job)
    plain, radiant = read(tmp_path / "t.tif").astype(np.float64), read(tmp_path / "r.tif").astype(np.float64)
    assert np.abs(plain - radiant).max() > 0.01
    blocks = (values * radiant**4).reshape(24, 4, 24, 4).mean((1, 3))
    weights = values.astype(np.float64).reshape(24, 4, 24, 4).mean((1, 3))
    assert np.abs((blocks / weights) ** 0.25 - read(rasters[0])).max() < 0.005


def test_positions_are_those_of_the_pixels() -> None:
    grid = GRIDS["sinusoidal"]
    x, y = grid.transform @ (3.5, 7.5)
    longitude, latitude = transform(grid.crs, CRS.from_epsg(4326), [x], [y])
    frame = everything(grid)
    assert (frame.longitude[7, 3], frame.latitude[7, 3]) == pytest.approx((longitude[0], latitude[0]), abs=1e-9)


def test_no_terrain_without_a_place_on_earth(tmp_path: Path) -> None:
    nowhere = 'LOCAL_CS["crop",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
    lst = write(tmp_path / "lst.tif", coarse_lst(), crs=nowhere)
    dem = write(tmp_path / "dem.tif", np.full((32, 32), 500, np.float32), pixel=120, crs=nowhere)
    guidance = (GuidanceSource(path=str(dem), roles=("dem",)),)
    assert derivable(("dem", "red", "nir"), NOON, on_earth=False) == {"ndvi", "ndmvi", "savi"}
    with (
        AlignedReader(LstSource(path=str(lst)), guidance, 2) as reader,
        pytest.raises(InputError, match="Terrain can't be derived in crop"),
    ):
        Derivation.of(reader, ("slope",), None)
