"""Writing: all of it or nothing, exactly where and what was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasters import NODATA, UTM, coarse_lst, read, write

from groklst_engine.errors import InputError, OutputError
from groklst_engine.grid import Grid
from groklst_engine.raster import RasterWriter, check_output, open_raster

GRID = Grid(CRS.from_string(UTM), from_origin(400_000, 4_500_000, 60, 60), 10, 12)


def writer(path: Path, overwrite: bool = False, grid: Grid = GRID) -> RasterWriter:
    return RasterWriter(path, grid, unit="C", description="LST", tags={"WHO": "test"}, overwrite=overwrite)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    values = coarse_lst(12)[:10]
    values[2:4, 5] = np.nan
    with writer(tmp_path / "a.tif") as output:
        output.write(values[:7], 0)
        output.write(values[7:], 7)
        assert not (tmp_path / "a.tif").exists()
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), values)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert (dataset.nodata, dataset.units, dataset.descriptions) == (NODATA, ("°C",), ("LST",))
        assert dataset.tags()["WHO"] == "test"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("size", [100, 300])
def test_any_size_is_written_row_by_row(size: int, tmp_path: Path) -> None:
    values = coarse_lst(size)
    with writer(tmp_path / "a.tif", grid=Grid(GRID.crs, GRID.transform, size, size)) as output:
        for top in range(0, size, 37):
            output.write(values[top : top + 37], top)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), values)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, GRID.transform),
        ("EPSG:4326", from_origin(-112.1234567, 40.7654321, 1 / 1200, 1 / 1200)),
        (UTM, GRID.transform @ Affine.rotation(20)),
        (UTM, Affine(60, 0, 400_000, 0, 60, 4_500_000)),
    ],
    ids=["projected", "geographic", "rotated", "south up"],
)
def test_it_lies_where_the_grid_says(crs: str, transform: Affine, tmp_path: Path) -> None:
    grid = Grid(CRS.from_string(crs), transform, 10, 12)
    with writer(tmp_path / "a.tif", grid=grid):
        pass
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.crs == grid.crs
        for corner in [(0, 0), (12, 0), (0, 10), (12, 10)]:
            column, row = ~transform @ (dataset.transform @ corner)
            assert (column, row) == pytest.approx(corner, abs=1e-6)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "a.tif") as output:  # noqa: PT012
        output.write(coarse_lst(12)[:5], 0)
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_failure_spares_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", coarse_lst())
    with pytest.raises(ZeroDivisionError), writer(path, overwrite=True):
        _ = 1 / 0
    np.testing.assert_array_equal(read(path), coarse_lst())
    assert list(tmp_path.iterdir()) == [path]


def test_overwriting_needs_consent(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", coarse_lst())
    with pytest.raises(OutputError, match="exists already"):
        writer(path)
    with writer(path, overwrite=True) as output:
        output.write(coarse_lst(12, seed=5)[:10], 0)
    np.testing.assert_array_equal(read(path), coarse_lst(12, seed=5)[:10])


@pytest.mark.parametrize(("name", "words"), [("", "is a folder"), ("no/a.tif", "does not exist"), ("new.tif", None)])
def test_check_output(name: str, words: str | None, tmp_path: Path) -> None:
    if words is None:
        check_output(tmp_path / name, overwrite=False)
        assert not (tmp_path / name).exists()
    else:
        with pytest.raises(OutputError, match=words):
            check_output(tmp_path / name, overwrite=True)


def test_a_container_without_a_band_of_its_own(tmp_path: Path) -> None:
    for table in ("day", "night"):
        options = {"driver": "GPKG", "RASTER_TABLE": table, "APPEND_SUBDATASET": "YES"}
        write(tmp_path / "both.gpkg", np.ones((300, 300), np.uint8), **options)
    with pytest.raises(InputError, match="name one of its subdatasets"):
        open_raster(str(tmp_path / "both.gpkg"), "LST")
