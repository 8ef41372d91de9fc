"""Grids: where pixels lie, and when a fine grid nests in a coarse one."""

from __future__ import annotations

import math

import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from groklst_engine.errors import InputError
from groklst_engine.grid import Grid, GridPair

UTM, LATLON = CRS.from_epsg(32612), CRS.from_epsg(4326)
SQUARE = Grid(UTM, from_origin(400_000, 4_500_000, 240, 240), 10, 12)
ROTATED = Grid(UTM, SQUARE.transform @ Affine.rotation(30), 10, 12)
SOUTH_UP = Grid(UTM, Affine(240, 0, 400_000, 0, 240, 4_400_000), 10, 12)
DEGREES = Grid(LATLON, from_origin(-112.0, 40.0, 0.003, 0.002), 10, 12)
GRIDS = pytest.mark.parametrize("grid", [SQUARE, ROTATED, SOUTH_UP, DEGREES], ids=["utm", "rotated", "south up", "°"])


@GRIDS
@pytest.mark.parametrize("scale", [2, 3, 4, 8, 64])
def test_refined_keeps_the_corners(grid: Grid, scale: int) -> None:
    fine = grid.refined(scale)
    assert (fine.height, fine.width) == (grid.height * scale, grid.width * scale)
    assert fine.pixel == pytest.approx([side / scale for side in grid.pixel])
    for column, row in [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]:
        there, here = grid.transform @ (column, row), fine.transform @ (column * scale, row * scale)
        assert math.dist(there, here) < 1e-6 * min(fine.pixel)
    assert fine.coarsened(scale).matches(grid)


def test_pixel_and_bounds() -> None:
    assert SQUARE.pixel == ROTATED.pixel == SOUTH_UP.pixel == pytest.approx((240, 240))
    assert SQUARE.bounds == (400_000, 4_500_000 - 2400, 400_000 + 2880, 4_500_000)
    assert SOUTH_UP.bounds == (400_000, 4_400_000, 400_000 + 2880, 4_400_000 + 2400)
    left, bottom, right, top = ROTATED.bounds
    assert right - left == pytest.approx(2880 * math.cos(math.pi / 6) + 2400 / 2)
    assert top - bottom == pytest.approx(2400 * math.cos(math.pi / 6) + 2880 / 2)


def test_coarsened_cuts_off_incomplete_blocks() -> None:
    assert (SQUARE.coarsened(4).height, SQUARE.coarsened(4).width) == (2, 3)
    assert SQUARE.coarsened(4).transform @ (0, 0) == (400_000, 4_500_000)


def test_names() -> None:
    assert (SQUARE.crs_name, SQUARE.unit_name) == ("EPSG:32612", "m")
    assert (DEGREES.crs_name, DEGREES.unit_name) == ("EPSG:4326", "°")
    sinusoidal = Grid(CRS.from_proj4("+proj=sinu +R=6371007.181 +units=m"), SQUARE.transform, 10, 12)
    assert sinusoidal.crs_name == "unknown"
    assert sinusoidal.unit_name == "m"


def test_crs_are_compared_by_meaning() -> None:
    assert SQUARE.matches(Grid(CRS.from_wkt(UTM.to_wkt()), SQUARE.transform, 10, 12))


@pytest.mark.parametrize(("shift", "same"), [(0.1, True), (1.0, False)])
def test_matches_within_a_thousandth_of_a_pixel(shift: float, same: bool) -> None:
    moved = Grid(UTM, Affine.translation(shift, 0) @ SQUARE.transform, 10, 12)
    assert SQUARE.matches(moved) is same


@GRIDS
def test_a_pair_from_the_coarse_grid_nests(grid: Grid) -> None:
    pair = GridPair.from_coarse(grid, 4)
    assert pair.fine.coarsened(4).matches(grid)


@pytest.mark.parametrize(
    ("fine", "scale"),
    [
        (SQUARE.refined(4), 3),
        (SQUARE.refined(4), 0),
        (SQUARE.refined(4), -4),
        (Grid(UTM, from_origin(400_030, 4_500_000, 60, 60), 40, 48), 4),
        (Grid(UTM, from_origin(400_000, 4_500_000, 61, 61), 40, 48), 4),
        (Grid(UTM, SQUARE.refined(4).transform, 40, 47), 4),
        (Grid(CRS.from_epsg(32613), SQUARE.refined(4).transform, 40, 48), 4),
        (ROTATED.refined(4), 4),
    ],
    ids=["scale", "zero", "negative", "shifted", "pixel", "size", "crs", "rotated"],
)
def test_a_pair_that_does_not_nest_is_refused(fine: Grid, scale: int) -> None:
    with pytest.raises(InputError, match="does not nest") as refusal:
        GridPair(SQUARE, fine, scale)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (SQUARE, 1.0),
        (SQUARE.refined(4), 1.0),
        (Grid(UTM, from_origin(400_000 + 1440, 4_500_000, 240, 240), 10, 12), 0.5),
        (Grid(UTM, from_origin(400_000 - 9e5, 4_500_000 + 9e5, 9e5, 9e5), 2, 2), 1.0),
        (Grid(UTM, from_origin(400_000 + 2880, 4_500_000, 240, 240), 10, 12), 0.0),
        (Grid(LATLON, from_origin(100, -30, 0.01, 0.01), 50, 50), 0.0),
        (Grid(LATLON, from_origin(-180, 90, 1, 1), 180, 360), 1.0),
    ],
    ids=["itself", "finer", "half", "larger", "beside", "far away", "the globe"],
)
def test_coverage(other: Grid, share: float) -> None:
    assert SQUARE.coverage_by(other) == pytest.approx(share)


def test_bounds_in_another_crs_and_back() -> None:
    left, bottom, right, top = SQUARE.bounds_in(LATLON)
    assert -112.2 < left < right < -112.1
    assert 40.6 < bottom < top < 40.7


def test_an_extent_without_a_place_in_the_other_crs() -> None:
    beyond = Grid(LATLON, from_origin(0, 500, 1, 1), 10, 10)
    with pytest.raises(InputError, match="EPSG:4326"):
        beyond.bounds_in(UTM)


def test_pixels_are_shared_whatever_the_extent() -> None:
    grid = Grid(CRS.from_epsg(32632), Affine(30, 0, 500_000, 0, -30, 5_000_000), 40, 50)
    part = Grid(grid.crs, grid.moved(3, -7).transform, 8, 9)
    assert grid.shares_pixels(part)
    assert part.shares_pixels(grid)
    assert not grid.shares_pixels(grid.moved(0.5, 0))
    assert not grid.shares_pixels(grid.coarsened(2))
    assert not grid.shares_pixels(Grid(CRS.from_epsg(32633), grid.transform, 40, 50))
