"""Reading: units, fills, masks, and guidance brought to the fine grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform
from rasters import CORNER, NODATA, PIXEL, UTM, block_means, coarse_lst, repeated, write

from groklst_engine import lst_reader as module
from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.grid import CoarseWindow
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.lst_reader import LstReader
from groklst_engine.reader import AlignedReader, mirrored

SIDE, SCALE = 16, 4
FINE = SIDE * SCALE
RANDOM = np.random.default_rng(0)


def kelvin_of(path: Path, **options: object) -> tuple[np.ndarray, LstReader]:
    lst = LstReader(LstSource(path=str(path), **options))
    values = lst.read(np.arange(lst.grid.height), np.arange(lst.grid.width))
    lst.close()
    return values, lst


def aligned(
    lst: Path, *guidance: Path, roles: tuple[Role | None, ...] = (), window: CoarseWindow | None = None
) -> np.ndarray:
    """The guidance ``(C, H, W)`` on the fine grid."""
    sources = tuple(GuidanceSource(path=str(path), roles=roles) for path in guidance)
    with AlignedReader(LstSource(path=str(lst)), sources, SCALE) as reader:
        grid = reader.pair.coarse
        return reader.read(window or CoarseWindow(0, grid.height, 0, grid.width))[1]


@pytest.fixture
def lst(tmp_path: Path) -> Path:
    return write(tmp_path / "lst.tif", coarse_lst(SIDE))


@pytest.mark.parametrize("size", [1, 2, 5, 16])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 1), (3, 4), (40, 33)])
def test_mirrored_is_numpys_symmetric_padding(size: int, before: int, after: int) -> None:
    np.testing.assert_array_equal(
        mirrored(-before, size + after, size), np.pad(np.arange(size), (before, after), mode="symmetric")
    )


# --- the LST ---------------------------------------------------------------------------------------------------------


def test_kelvin_are_read_as_they_are(lst: Path) -> None:
    values, reader = kelvin_of(lst)
    assert reader.unit == "K"
    np.testing.assert_array_equal(values, coarse_lst(SIDE))


@pytest.mark.parametrize("unit", [None, "°C"])
def test_celsius_become_kelvin(unit: str | None, tmp_path: Path) -> None:
    values, reader = kelvin_of(write(tmp_path / "c.tif", coarse_lst() - np.float32(273.15), unit=unit))
    assert reader.unit == "C"
    np.testing.assert_allclose(values, coarse_lst(), atol=1e-4)


@pytest.mark.parametrize("where", ["file", "job"])
def test_scaled_integers(where: str, tmp_path: Path) -> None:
    stored = np.round((coarse_lst() - 150) / 0.02).astype(np.uint16)
    stored[3, 4] = 0
    numbers = {"scale": 0.02, "offset": 150.0}
    in_file, in_job = (numbers, {}) if where == "file" else ({}, numbers)
    values, reader = kelvin_of(write(tmp_path / "i.tif", stored, nodata=0, **in_file), **in_job)
    assert reader.unit == "K"
    assert np.argwhere(np.isnan(values)).tolist() == [[3, 4]]
    np.testing.assert_allclose(np.delete(values, 3, 0), np.delete(coarse_lst(), 3, 0), atol=0.011)


@pytest.mark.parametrize(
    ("unit", "fill"),
    [("K", 0.0), *((unit, fill) for unit in ("K", "C") for fill in (NODATA, -3.4e38, np.inf, np.nan))],
)
def test_undeclared_fills_are_missing(unit: str, fill: float, tmp_path: Path) -> None:
    values = coarse_lst() - np.float32(273.15 if unit == "C" else 0)
    values[5:8, 2:9] = fill
    read, reader = kelvin_of(write(tmp_path / "f.tif", values))
    assert reader.unit == unit
    missing = np.isnan(read)
    assert missing[5:8, 2:9].all()
    assert missing.sum() == 21
    assert reader.summary.mean == pytest.approx(coarse_lst()[~missing].mean(), abs=1e-3)
    assert reader.summary.std == pytest.approx(coarse_lst()[~missing].std(), abs=1e-3)
    assert reader.summary.valid == pytest.approx(1 - 21 / 256)


def test_a_declared_nodata_and_an_internal_mask(tmp_path: Path) -> None:
    values = coarse_lst()
    path = write(tmp_path / "m.tif", values)
    with rasterio.open(path, "r+") as dataset:
        mask = np.full(values.shape, 255, np.uint8)
        mask[2, 3] = 0
        dataset.write_mask(mask)
    assert np.argwhere(np.isnan(kelvin_of(path)[0])).tolist() == [[2, 3]]
    values[4, 4] = 310
    declared = write(tmp_path / "n.tif", values, nodata=310)
    assert np.argwhere(np.isnan(kelvin_of(declared)[0])).tolist() == [[4, 4]]


def test_another_band(tmp_path: Path) -> None:
    path = write(tmp_path / "two.tif", np.stack([coarse_lst(seed=1), coarse_lst(seed=2)]))
    np.testing.assert_array_equal(kelvin_of(path, band=2)[0], coarse_lst(seed=2))
    with pytest.raises(InputError, match="no band 3"):
        kelvin_of(path, band=3)


def test_a_large_band_is_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = coarse_lst(200) + np.linspace(0, 5, 200, dtype=np.float32)[:, None]
    path = write(tmp_path / "large.tif", values)
    monkeypatch.setattr(module, "SAMPLE_PIXELS", 3000)
    summary = kelvin_of(path)[1].summary
    assert summary.mean == pytest.approx(values.mean(), abs=0.3)
    assert summary.std == pytest.approx(values.std(), rel=0.1)


# --- the guidance ----------------------------------------------------------------------------------------------------


def test_guidance_on_the_fine_grid_is_read_as_it_is(lst: Path, tmp_path: Path) -> None:
    bands = RANDOM.random((2, FINE, FINE)).astype(np.float32)
    path = write(tmp_path / "g.tif", bands, pixel=PIXEL / SCALE)
    np.testing.assert_array_equal(aligned(lst, path), bands)


def test_finer_guidance_is_averaged(lst: Path, tmp_path: Path) -> None:
    band = RANDOM.random((FINE * 3, FINE * 3)).astype(np.float32)
    found = aligned(lst, write(tmp_path / "g.tif", band, pixel=PIXEL / SCALE / 3))[0]
    np.testing.assert_allclose(found, block_means(band, 3), atol=1e-6)


def test_classes_are_never_averaged(lst: Path, tmp_path: Path) -> None:
    classes = RANDOM.choice([10, 50, 90], (FINE * 2, FINE * 2)).astype(np.uint8)
    path = write(tmp_path / "g.tif", classes, pixel=PIXEL / SCALE / 2)
    assert set(np.unique(aligned(lst, path, roles=("landcover",)))) == {10, 50, 90}
    assert len(np.unique(aligned(lst, path, roles=("other",)))) > 3


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_without_a_nodata_value_zero_is_a_value(dtype: str, lst: Path, tmp_path: Path) -> None:
    band = RANDOM.integers(0, 3, (FINE, FINE)).astype(dtype)
    np.testing.assert_array_equal(aligned(lst, write(tmp_path / "g.tif", band, pixel=PIXEL / SCALE))[0], band)


@pytest.mark.parametrize("nodata", [NODATA, np.nan])
@pytest.mark.parametrize("finer", [1, 2])
def test_each_band_is_missing_where_it_is(finer: int, nodata: float, lst: Path, tmp_path: Path) -> None:
    bands = RANDOM.random((2, FINE, FINE)).astype(np.float32)
    bands[0, 5, 6] = bands[1, 20, 30] = bands[0, 40, 41] = bands[1, 40, 41] = nodata
    stored = bands.repeat(finer, 1).repeat(finer, 2)
    found = aligned(lst, write(tmp_path / "g.tif", stored, pixel=PIXEL / SCALE / finer, nodata=nodata))
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 5, 6], [0, 40, 41], [1, 20, 30], [1, 40, 41]]
    np.testing.assert_allclose(found[np.isfinite(found)], bands[np.isfinite(found)], atol=1e-6)


def test_an_average_spares_missing_pixels(lst: Path, tmp_path: Path) -> None:
    band = RANDOM.random((FINE * 2, FINE * 2)).astype(np.float32)
    band[0, 1] = NODATA
    found = aligned(lst, write(tmp_path / "g.tif", band, pixel=PIXEL / SCALE / 2, nodata=NODATA))[0]
    assert found[0, 0] == pytest.approx((band[0, 0] + band[1, 0] + band[1, 1]) / 3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("pixel", [0.00063, 0.001, 0.002])
@pytest.mark.parametrize("missing", [0.05, 0.3, 0.7])
def test_interpolation_does_not_reach_into_gaps(
    missing: float, pixel: float, count: int, lst: Path, tmp_path: Path
) -> None:
    """Nor does it run wild beside them: a pixel in degrees is longer than wide, which GDAL takes for a reason to."""
    side = round(0.1 / pixel)
    bands = RANDOM.random((count, side, side)).astype(np.float32)
    bands[RANDOM.random(bands.shape) < missing] = NODATA
    place = from_origin(-112.20, 40.66, pixel, pixel)
    found = aligned(lst, write(tmp_path / "g.tif", bands, transform=place, crs="EPSG:4326", nodata=NODATA))
    columns, rows = np.meshgrid(np.arange(FINE) + 0.5, np.arange(FINE) + 0.5)
    centres = from_origin(*CORNER, PIXEL / SCALE, PIXEL / SCALE) @ (columns.ravel(), rows.ravel())
    at = np.stack(~place @ tuple(np.array(part) for part in transform(UTM, "EPSG:4326", *centres)))
    column, row = np.floor(at).astype(int)
    expected = (bands[:, row, column] != NODATA).reshape(found.shape)
    clear_cut = (np.abs(at - np.round(at)) > 0.01).all(0).reshape(FINE, FINE)
    np.testing.assert_array_equal(np.isfinite(found)[:, clear_cut], expected[:, clear_cut])
    assert np.nanmin(found) > -0.5
    assert np.nanmax(found) < 1.5


@pytest.mark.parametrize("pixel", [0.0002, 0.0006, 0.0011], ids="pixel {}".format)
@pytest.mark.parametrize("projected", [True, False], ids=["LST in UTM", "LST in degrees"])
def test_reprojected_guidance_lies_where_it_belongs(projected: bool, pixel: float, tmp_path: Path) -> None:
    """The guidance says its own place, in the LST's coordinates; all but the rim must say it within a tenth."""
    degrees = from_origin(-112.20, 40.66, pixel, pixel)
    meters = from_origin(*CORNER, PIXEL, PIXEL)
    if projected:
        lst = write(tmp_path / "lst.tif", coarse_lst(SIDE), transform=meters)
        place, crs, shape = degrees, "EPSG:4326", (round(0.07 / pixel), round(0.09 / pixel))
        own_crs, own, side = UTM, meters, PIXEL / SCALE
    else:
        own, own_crs, side = from_origin(-112.18, 40.645, 0.0024, 0.0024), "EPSG:4326", 0.0024 / SCALE
        lst = write(tmp_path / "lst.tif", coarse_lst(SIDE), transform=own, crs=own_crs)
        size = pixel * 100_000
        place, crs, shape = from_origin(399_000, 4_502_000, size, size), UTM, (round(8000 / size), round(6000 / size))
    columns, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    xs, ys = transform(crs, own_crs, *(part.ravel() for part in place @ (columns, rows)))
    base = np.array([own.c, own.f])[:, None, None]
    bands = np.stack([np.reshape(xs, shape), np.reshape(ys, shape)]) - base
    found = aligned(lst, write(tmp_path / "g.tif", bands.astype(np.float32), transform=place, crs=crs))
    centres = (np.arange(FINE) + 0.5) * side
    assert np.isfinite(found).all()
    inner = slice(2, -2)
    np.testing.assert_allclose(found[0, inner, inner], np.tile(centres, (FINE, 1))[inner, inner], atol=0.1 * side)
    np.testing.assert_allclose(
        found[1, inner, inner], -np.tile(centres[:, None], (1, FINE))[inner, inner], atol=0.1 * side
    )


def test_a_window_is_a_part_of_the_whole_and_mirrored_beyond(lst: Path, tmp_path: Path) -> None:
    band = RANDOM.random((80, 80)).astype(np.float32)
    path = write(tmp_path / "g.tif", band, transform=from_origin(-112.20, 40.66, 0.0009, 0.0009), crs="EPSG:4326")
    whole = aligned(lst, path)
    inner = aligned(lst, path, window=CoarseWindow(3, 9, 5, 7))
    np.testing.assert_array_equal(inner, whole[:, 12:36, 20:28])
    around = aligned(lst, path, window=CoarseWindow(-20, SIDE + 3, -2, SIDE))
    np.testing.assert_array_equal(around, np.pad(whole, ((0, 0), (80, 12), (8, 0)), mode="symmetric"))


def test_scale_and_offset_of_guidance(lst: Path, tmp_path: Path) -> None:
    stored = RANDOM.integers(0, 10_000, (FINE, FINE)).astype(np.int16)
    path = write(tmp_path / "g.tif", stored, pixel=PIXEL / SCALE, scale=1e-4, offset=-0.1)
    np.testing.assert_allclose(aligned(lst, path)[0], stored * 1e-4 - 0.1, atol=1e-6)


def test_roles_name_and_leave_out_bands(lst: Path, tmp_path: Path) -> None:
    bands = RANDOM.random((3, FINE, FINE)).astype(np.float32)
    path = write(tmp_path / "g.tif", bands, pixel=PIXEL / SCALE, names=["blue", "noise", "nir"])
    found = aligned(lst, path, roles=("red", None, "nir"))
    np.testing.assert_array_equal(found, bands[[0, 2]])
    with AlignedReader(LstSource(path=str(lst)), (GuidanceSource(path=str(path)),), SCALE) as reader:
        assert reader.roles == ("blue", "other", "nir")
    with pytest.raises(InputError, match="2 roles were given for the 3 bands"):
        aligned(lst, path, roles=("red", "nir"))


def test_several_rasters_come_in_order(lst: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "dem.tif", repeated(coarse_lst(SIDE, 1), 4), pixel=PIXEL / SCALE)
    second = write(tmp_path / "ndvi.tif", repeated(coarse_lst(SIDE, 2), 8), pixel=PIXEL / SCALE / 2)
    found = aligned(lst, first, second)
    np.testing.assert_array_equal(found[0], repeated(coarse_lst(SIDE, 1), 4))
    np.testing.assert_allclose(found[1], repeated(coarse_lst(SIDE, 2), 4), rtol=1e-6)


def test_no_guidance(lst: Path) -> None:
    assert aligned(lst).shape == (0, FINE, FINE)
