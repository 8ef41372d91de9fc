"""LST products: recognised, in kelvin, without their bad pixels, with their time."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from files import SIDE, era5, era5_grib, hdf_eos5, kelvin, modis_numbers, modis_quality, modis_tif, slstr, slstr_plane
from rasterio.transform import from_origin
from rasters import write

from groklst_engine.errors import InputError
from groklst_engine.inputs import LstSource
from groklst_engine.lst_reader import LstReader
from groklst_engine.products import lst_product
from groklst_engine.products.model import Bits
from groklst_engine.products.qc import good


def opened(path: Path | str, **options: object) -> tuple[np.ndarray, LstReader]:
    """All of an LST in kelvin, and its reader."""
    reader = LstReader(LstSource(path=str(path), **options))
    values = reader.read(np.arange(reader.grid.height), np.arange(reader.grid.width))
    reader.close()
    return values, reader


def missing(values: np.ndarray) -> list[list[int]]:
    return np.argwhere(np.isnan(values)).tolist()


def test_bits() -> None:
    numbers = np.array([0b00, 0b01, 0b10, 0b100, 0b1000_0000_0000_0000], np.uint16)
    assert good(numbers, (Bits(0, 2, frozenset({0, 1})),)).tolist() == [True, True, False, True, True]
    assert good(numbers, (Bits(2, 1, frozenset({0})), Bits(15, 1, frozenset({0})))).tolist() == [1, 1, 1, 0, 0]


# --- MODIS -----------------------------------------------------------------------------------------------------------

NAMES = [
    ("MOD11A1.061_LST_Day_1km_doy2023182_aid0001.tif", "MOD11A1.061_QC_Day_doy2023182_aid0001.tif"),
    ("MYD11A2.A2023182.h18v04.061.2023191.LST_Day_1km.tif", "MYD11A2.A2023182.h18v04.061.2023191.QC_Day.tif"),
    ("MOD11A1.061_LST_Night_1km_doy2023182000000_aid0001.tif", "MOD11A1.061_QC_Night_doy2023182000000_aid0001.tif"),
]


@pytest.mark.parametrize(("name", "quality"), NAMES, ids=["AppEEARS", "MRT", "AppEEARS, night"])
def test_modis_exports_with_their_quality_beside(name: str, quality: str, tmp_path: Path) -> None:
    lst = modis_tif(tmp_path / name, modis_numbers())
    modis_tif(tmp_path / quality, modis_quality())
    values, reader = opened(lst)
    assert (reader.unit, reader.scale, reader.offset) == ("K", 0.02, 0.0)
    np.testing.assert_allclose(values[0, :3], [285.0, 285.3, 285.6], atol=0.011)
    assert missing(values) == [[2, 3], [5, 6], [7, 8]]
    assert reader.product
    assert reader.product.name == name[:7]
    assert reader.product.psf == "triangular"
    assert reader.summary.kept == pytest.approx(253 / 255)
    assert reader.product.acquired
    hour = 22.5 if "Night" in name else 10.5
    expected = datetime(2023, 7, 1, tzinfo=timezone.utc).timestamp() + (hour - 15.55 / 15) * 3600
    assert reader.product.acquired.timestamp() == pytest.approx(expected, abs=120)
    assert reader.product.acquired_from == "usual overpass"


def test_all_pixels_on_wish(tmp_path: Path) -> None:
    lst = modis_tif(tmp_path / NAMES[0][0], modis_numbers())
    modis_tif(tmp_path / NAMES[0][1], modis_quality())
    values, reader = opened(lst, qc="any")
    assert missing(values) == [[2, 3]]
    assert reader.summary.kept is None


def test_the_view_time_tells_the_hour(tmp_path: Path) -> None:
    lst = modis_tif(tmp_path / NAMES[0][0], modis_numbers())
    view = np.full((SIDE, SIDE), 112, np.uint8)
    view[0] = 255
    modis_tif(tmp_path / "MOD11A1.061_Day_view_time_doy2023182_aid0001.tif", view)
    product = lst_product(str(lst))
    assert product
    assert product.acquired
    assert product.acquired_from == "view time"
    local = product.acquired.hour + product.acquired.minute / 60 + 15.55 / 15
    assert local == pytest.approx(11.2, abs=0.05)


def test_earth_engine_bands(tmp_path: Path) -> None:
    bands = np.stack([modis_numbers(), modis_quality().astype(np.uint16)])
    path = modis_tif(tmp_path / "2023_07_01.tif", bands, names=["LST_Day_1km", "QC_Day"])
    values, reader = opened(path)
    assert missing(values) == [[2, 3], [5, 6], [7, 8]]
    assert reader.product
    assert (reader.product.name, reader.product.layer.band) == ("MOD11A1/MYD11A1", 1)
    assert reader.product.acquired
    assert reader.product.acquired.date().isoformat() == "2023-07-01"


def test_bands_in_another_order(tmp_path: Path) -> None:
    bands = np.stack([modis_quality().astype(np.uint16), modis_numbers()])
    path = modis_tif(tmp_path / "modis.tif", bands, names=["QC_Day", "LST_Day_1km"])
    values, reader = opened(path)
    assert reader.band == 2
    assert missing(values) == [[2, 3], [5, 6], [7, 8]]


def test_a_name_without_any_word_of_the_product(tmp_path: Path) -> None:
    values, reader = opened(modis_tif(tmp_path / "my_area.tif", modis_numbers()))
    np.testing.assert_allclose(values[4, 4], 285 + 4 * 1.2, atol=0.011)
    assert missing(values) == [[2, 3]]
    assert any("stored × 0.02" in said for said in reader.warnings)


@pytest.mark.parametrize("form", ["kelvin", "celsius", "tags", "scaled float"])
def test_what_an_export_already_did_is_not_done_twice(form: str, tmp_path: Path) -> None:
    path = tmp_path / NAMES[0][0]
    if form == "tags":
        modis_tif(path, modis_numbers(), scale=0.02, nodata=0)
    elif form == "scaled float":
        modis_tif(path, modis_numbers().astype(np.float64))
    else:
        modis_tif(path, (kelvin() - (273.15 if form == "celsius" else 0)).astype(np.float32))
    values, _ = opened(path)
    np.testing.assert_allclose(values[4, 4], 285 + 4 * 1.2, atol=0.011)


def test_the_jobs_numbers_win(tmp_path: Path) -> None:
    path = modis_tif(tmp_path / NAMES[0][0], modis_numbers())
    values, reader = opened(path, scale=0.02, offset=1.0)
    assert (reader.scale, reader.offset) == (0.02, 1.0)
    np.testing.assert_allclose(values[0, 0], 286.0, atol=0.011)


def test_numbers_of_nothing_known_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set the LST unit"):
        opened(write(tmp_path / "my_area.tif", modis_numbers(), pixel=30.0))


def test_quality_that_leaves_nothing_is_a_sentence(tmp_path: Path) -> None:
    lst = modis_tif(tmp_path / NAMES[0][0], modis_numbers())
    modis_tif(tmp_path / NAMES[0][1], np.full((SIDE, SIDE), 2, np.uint8))
    with pytest.raises(InputError, match=r"quality layers leave no pixel.*'any'"):
        opened(lst)


def test_hdf4_without_a_driver_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "MOD11A1.A2023182.h18v04.061.2023183.hdf"
    path.write_bytes(b"\x0e\x03\x13\x01" + bytes(500))
    with pytest.raises(InputError, match=r"HDF4.*QGIS.*GeoTIFF"):
        opened(path)


# --- the others ------------------------------------------------------------------------------------------------------


def test_viirs_hdf_eos5(tmp_path: Path) -> None:
    quality = np.zeros((SIDE, SIDE), np.uint16)
    quality[3, 3], quality[6, 2] = 0b10, 0b01
    quality[8, 8], quality[9, 9] = 0b11_00_00, 0b10_00_01  # cloudy, close to a cloud
    quality[10, 10] = 0b11_11_11_11_11_00_00_00  # accurate, dry, fast
    path = hdf_eos5(
        tmp_path / "VNP21A1D.A2023182.h18v04.002.2023183.h5",
        "VIIRS_Grid_Daily_1km_LST21",
        {"LST_1KM": modis_numbers(), "QC": quality, "Emis_14": np.full((SIDE, SIDE), 200, np.uint8)},
        {"LST_1KM": 0.02},
    )
    values, reader = opened(path)
    assert reader.product
    assert reader.product.name == "VNP21A1D"
    np.testing.assert_allclose(values[4, 4], 285 + 4 * 1.2, atol=0.011)
    assert missing(values) == [[2, 3], [3, 3], [8, 8], [9, 9]]
    assert reader.grid.pixel[0] == pytest.approx(926.625, abs=0.01)
    assert reader.product.acquired
    assert reader.product.acquired.hour == 12  # 13:30 local solar time at 15.6° east


def test_viirs_eight_days_take_the_day_and_say_so(tmp_path: Path) -> None:
    path = hdf_eos5(
        tmp_path / "VNP21A2.A2023177.h18v04.002.2023186.h5",
        "VIIRS_Grid_8Day_1km_LST21",
        {
            "LST_Night_1KM": modis_numbers() - 500,
            "LST_Day_1KM": modis_numbers(),
            "QC_Day": np.full((SIDE, SIDE), 0b11_11_00_00, np.uint8),  # accurate: no cloud flag in eight days
            "QC_Night": np.zeros((SIDE, SIDE), np.uint8),
        },
        {"LST_Day_1KM": 0.02, "LST_Night_1KM": 0.02},
    )
    values, reader = opened(path)
    np.testing.assert_allclose(values[0, 0], 285.0, atol=0.011)
    assert reader.product
    assert [q.layer.names for q in reader.product.quality] == [("QC_Day",)]
    (said,) = reader.warnings
    night = said.split("; '")[1].split("'")[0]
    assert night.endswith("LST_Night_1KM")
    assert opened(night)[1].summary.mean < reader.summary.mean - 5


@pytest.mark.parametrize("sensor", ["LC08", "LE07"])
def test_landsat_collection_2(sensor: str, tmp_path: Path) -> None:
    stem = f"{sensor}_L2SP_193029_20230701_20230711_02_T1"
    band = "ST_B10" if sensor == "LC08" else "ST_B6"
    stored = np.round((kelvin() - 149) / 0.00341802).astype(np.uint16)
    stored[1, 1] = 0
    quality = np.full((SIDE, SIDE), 21824, np.uint16)  # clear, low confidences
    quality[2, 2], quality[3, 3], quality[4, 4] = 21824 | 1 << 1, 22280, 23888 | 1 << 4
    lst = write(tmp_path / f"{stem}_{band}.TIF", stored, pixel=30.0)
    write(tmp_path / f"{stem}_QA_PIXEL.TIF", quality, pixel=30.0)
    write(tmp_path / f"{stem}_ST_QA.TIF", np.full((SIDE, SIDE), 215, np.int16), pixel=30.0, nodata=-9999)
    (tmp_path / f"{stem}_MTL.txt").write_text(
        'GROUP = IMAGE_ATTRIBUTES\n    DATE_ACQUIRED = 2023-07-01\n    SCENE_CENTER_TIME = "10:10:32.1234560Z"\n'
    )
    for name in (lst, tmp_path, tmp_path / f"{stem}_MTL.txt"):
        values, reader = opened(name)
        np.testing.assert_allclose(values[8, 8], 285 + 8 * 1.2, atol=0.004)
        assert missing(values) == [[1, 1], [2, 2], [3, 3], [4, 4]]
    assert reader.product
    assert reader.product.acquired == datetime(2023, 7, 1, 10, 10, 32, tzinfo=timezone.utc)
    assert reader.product.error
    assert reader.product.error.path.endswith("ST_QA.TIF")


def test_ecostress_tile(tmp_path: Path) -> None:
    stem = "ECOv002_L2T_LSTE_28365_004_32TMR_20230701T113021_0710_01"
    values = kelvin().astype(np.float32)
    values[0, 5] = np.nan
    lst = write(tmp_path / f"{stem}_LST.tif", values, pixel=70.0, nodata=np.nan)
    quality, cloud = np.zeros((SIDE, SIDE), np.uint16), np.zeros((SIDE, SIDE), np.uint8)
    quality[1, 1], cloud[2, 2] = 0b11, 1
    write(tmp_path / f"{stem}_QC.tif", quality, pixel=70.0)
    write(tmp_path / f"{stem}_cloud.tif", cloud, pixel=70.0, nodata=255)
    write(tmp_path / f"{stem}_LST_err.tif", np.full((SIDE, SIDE), 1.5, np.float32), pixel=70.0)
    read, reader = opened(lst)
    np.testing.assert_allclose(read[5, 5], 285 + 5 * 1.2, atol=1e-3)
    assert missing(read) == [[0, 5], [1, 1], [2, 2]]
    assert reader.product
    assert reader.product.name == "ECOv002_L2T_LSTE"
    assert reader.product.acquired == datetime(2023, 7, 1, 11, 30, 21, tzinfo=timezone.utc)
    assert lst_product(str(tmp_path / f"{stem}_LST_err.tif")) is None


def test_ecostress_grid(tmp_path: Path) -> None:
    cloud = np.zeros((SIDE, SIDE), np.uint8)
    cloud[4, 4], cloud[5, 5] = 1, 255
    path = hdf_eos5(
        tmp_path / "ECOv002_L2G_LSTE_28365_004_20230701T113021_0710_01.h5",
        "ECO_L2G_LSTE_70m",
        {
            "LST": modis_numbers(),
            "LST_Err": np.full((SIDE, SIDE), 40, np.uint8),
            "QC": np.full((SIDE, SIDE), 0b11_00_00_01, np.uint16),
            "cloud_mask": cloud,
        },
        {"LST": 0.02, "LST_Err": 0.04},
    )
    values, reader = opened(path)
    assert reader.product
    assert (reader.product.name, reader.product.layer.names) == ("ECOv002_L2G_LSTE", ("LST",))
    assert reader.warnings == ()  # the error is no second LST
    assert missing(values) == [[2, 3], [4, 4], [5, 5]]


def test_slstr_swath_is_gridded(tmp_path: Path) -> None:
    folder = slstr(tmp_path)
    values, reader = opened(folder)
    grid = reader.grid
    assert grid.crs.to_epsg() == 4326
    assert grid.pixel[1] * 111_320 == pytest.approx(1000)
    assert grid.bounds[0] < 8 < grid.bounds[2]
    rows, columns = np.mgrid[: grid.height, : grid.width]
    longitude, latitude = grid.transform @ (columns + 0.5, rows + 0.5)
    inner = np.isfinite(values)
    inner[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    assert inner[5:-5, 5:-5].sum() > 300
    error = (values - slstr_plane(latitude, longitude))[5:-5, 5:-5][inner[5:-5, 5:-5]]
    assert np.abs(error).max() < 0.12  # a cell is 0.18 K wide
    assert abs(error.mean()) < 0.01
    assert reader.product
    assert reader.product.acquired == datetime(2023, 7, 1, 9, 32, 10, tzinfo=timezone.utc)
    assert reader.summary.kept == pytest.approx(897 / 899)
    everything, free = opened(folder / "LST_in.nc", qc="any")
    assert free.summary.kept is None
    assert np.isfinite(everything).sum() >= np.isfinite(values).sum()


def test_viirs_swath(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "VNP21.A2023182.1206.002.2023183000000.nc"
    rows, columns = np.mgrid[:24, :24].astype(float)
    latitude, longitude = 45 - rows * 0.00674, 8 + columns * 0.0095
    with h5py.File(path, "w") as file:
        fields = file.create_group("VIIRS_Swath_LSTE/Data Fields")
        stored = np.round(slstr_plane(latitude, longitude) / 0.02).astype(np.uint16)
        fields.create_dataset("LST", data=stored).attrs["_FillValue"] = np.array([0], np.uint16)
        quality = np.zeros((24, 24), np.uint16)
        quality[4:7, 4:7] = 0b01_00_00  # thin cirrus
        fields.create_dataset("QC", data=quality)
        places = file.create_group("VIIRS_Swath_LSTE/Geolocation Fields")
        places.create_dataset("latitude", data=latitude.astype(np.float32))
        places.create_dataset("longitude", data=longitude.astype(np.float32))
    values, reader = opened(path)
    assert reader.product
    assert reader.product.name == "VNP21"
    column, row = (round(v - 0.5) for v in ~reader.grid.transform @ (float(longitude[12, 12]), float(latitude[12, 12])))
    assert values[row, column] == pytest.approx(slstr_plane(latitude, longitude)[12, 12], abs=0.15)
    assert reader.summary.kept == pytest.approx(1 - 9 / 576)


def test_aster(tmp_path: Path) -> None:
    stored = np.round(kelvin() * 10).astype(np.uint16)
    stored[0, 0], stored[1, 1] = 0, 2000
    name = "AST_08_00307012023103015_20230705012345_1234.SurfaceKineticTemperature.KineticTemperature.tif"
    values, reader = opened(write(tmp_path / name, stored, pixel=90.0))
    np.testing.assert_allclose(values[4, 4], 285 + 4 * 1.2, atol=0.051)
    assert missing(values) == [[0, 0], [1, 1]]
    assert reader.product
    assert reader.product.acquired == datetime(2023, 7, 1, 10, 30, 15, tzinfo=timezone.utc)


def test_sdgsat(tmp_path: Path) -> None:
    name = "KX10_TIS_20211126_E118.49_N39.10_202100013216_LST.tif"
    _, reader = opened(write(tmp_path / name, kelvin().astype(np.float32), pixel=30.0))
    assert reader.product
    assert (reader.product.name, reader.unit) == ("SDGSAT-1 LST", "K")
    assert reader.product.acquired
    assert reader.product.acquired.date().isoformat() == "2021-11-26"


def test_era5_land(tmp_path: Path) -> None:
    path = era5(tmp_path / "era5_land_skt.nc")
    first, reader = opened(path)
    np.testing.assert_allclose(first[0, :3], [290.0, 290.05, 290.1], atol=1e-3)
    assert reader.grid.crs.to_epsg() == 4326
    np.testing.assert_allclose(reader.grid.bounds, (9.95, 49.05, 11.15, 50.05), atol=1e-6)
    assert reader.product
    assert reader.product.acquired == datetime(2023, 7, 3, 12, tzinfo=timezone.utc)
    second, later = opened(path, band=2)
    assert missing(second) == [[4, 5]]
    np.testing.assert_allclose(second[0, 0], 296.0, atol=1e-3)
    assert later.product
    assert later.product.acquired == datetime(2023, 7, 3, 13, tzinfo=timezone.utc)


def test_era5_land_grib(tmp_path: Path) -> None:
    values, reader = opened(era5_grib(tmp_path / "skt.grib"))
    np.testing.assert_allclose(values, kelvin(), atol=0.01)
    assert reader.product
    assert (reader.product.name, reader.unit) == ("ERA5-Land skt", "C")
    assert reader.product.acquired == datetime(2023, 7, 3, 12, tzinfo=timezone.utc)


def test_longitudes_beyond_180_come_back(tmp_path: Path) -> None:
    path = write(
        tmp_path / "lst.tif", kelvin().astype(np.float32), crs="EPSG:4326", transform=from_origin(248.0, 40.0, 0.1, 0.1)
    )
    assert opened(path)[1].grid.bounds[0] == pytest.approx(-112)
