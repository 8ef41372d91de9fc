"""Guidance products: roles, physical values, and their own clouds left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files import hdf_eos5
from rasters import PIXEL, coarse_lst, write

from groklst_engine.bands import Role
from groklst_engine.grid import CoarseWindow
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.products import guidance_product
from groklst_engine.products.layers import layers_in
from groklst_engine.reader import AlignedReader

SIDE, SCALE = 8, 4
FINE = SIDE * SCALE


def aligned(folder: Path, *paths: Path, qc: str = "recommended", crs: str | None = None) -> tuple[np.ndarray, tuple]:
    """The guidance on the fine grid, and its roles."""
    lst = write(folder / "coarse.tif", coarse_lst(SIDE), **({"crs": crs} if crs else {}))
    sources = tuple(GuidanceSource(path=str(path), qc=qc) for path in paths)
    with AlignedReader(LstSource(path=str(lst)), sources, SCALE) as reader:
        _, guidance = reader.read(CoarseWindow(0, SIDE, 0, SIDE))
        return guidance, reader.roles


def fine(path: Path, values: np.ndarray, **options: object) -> Path:
    return write(path, values, pixel=PIXEL / SCALE, **options)


def numbers(value: int, dtype: str = "uint16") -> np.ndarray:
    return np.full((FINE, FINE), value, dtype)


@pytest.mark.parametrize(
    ("scene", "roles"),
    [
        ("LC08_L2SP_193029_20230701_20230711_02_T1", ("blue", "red", "nir")),
        ("LT05_L2SP_193029_19980701_20230711_02_T1", ("green", "nir", "swir1")),
    ],
)
def test_landsat_files(scene: str, roles: tuple[Role, ...], tmp_path: Path) -> None:
    red = numbers(10_000)
    red[3, 3] = 0
    quality = numbers(21_824)
    quality[5, 5] = 22_280  # cloud
    files = [fine(tmp_path / f"{scene}_SR_B{band}.TIF", red) for band in (2, 4, 5)]
    fine(tmp_path / f"{scene}_QA_PIXEL.TIF", quality)
    values, found = aligned(tmp_path, *files)
    assert found == roles
    assert values[1, 0, 0] == pytest.approx(10_000 * 2.75e-5 - 0.2)
    assert np.argwhere(np.isnan(values[1])).tolist() == [[3, 3], [5, 5]]
    everything, _ = aligned(tmp_path, *files, qc="any")
    assert np.argwhere(np.isnan(everything[1])).tolist() == [[3, 3]]


def test_a_landsat_folder(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    for band in range(1, 8):
        fine(scene / f"LC09_L2SP_193029_20230701_20230711_02_T1_SR_B{band}.TIF", numbers(9000 + band))
    values, roles = aligned(tmp_path, scene)
    assert roles == ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")
    assert values[4, 0, 0] == pytest.approx(9005 * 2.75e-5 - 0.2)


def test_landsat_bands_of_earth_engine(tmp_path: Path) -> None:
    names = ["SR_B2", "SR_B4", "SR_B5", "SR_B6", "ST_B10", "QA_PIXEL"]
    bands = np.stack([numbers(value) for value in (8000, 9000, 15_000, 12_000, 44_000, 21_824)])
    bands[5, 7, 7] |= 1 << 4  # shadow
    values, roles = aligned(tmp_path, fine(tmp_path / "export.tif", bands, names=names))
    assert roles == ("blue", "red", "nir", "swir1")
    assert values[2, 0, 0] == pytest.approx(15_000 * 2.75e-5 - 0.2)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[7, 7]]


@pytest.mark.parametrize(
    ("product", "day", "offset"),
    [("N0300", "20210701", 0.0), ("N0509", "20230701", -0.1), (None, "20230701", -0.1), (None, "20210701", 0.0)],
)
def test_sentinel_2_files(product: str | None, day: str, offset: float, tmp_path: Path) -> None:
    folder = tmp_path
    if product:
        folder = tmp_path / f"S2A_MSIL2A_{day}T101559_{product}_R065_T32TQM_{day}T170000.SAFE" / "GRANULE" / "L2A"
        folder = folder / "IMG_DATA" / "R20m"
        folder.mkdir(parents=True)
    stem = f"T32TQM_{day}T101559"
    files = [fine(folder / f"{stem}_B{band}_20m.tif", numbers(3000)) for band in ("04", "8A", "11")]
    classes = numbers(4, "uint8")
    classes[2, 2], classes[9, 9] = 9, 11
    fine(folder / f"{stem}_SCL_20m.tif", classes)
    values, roles = aligned(tmp_path, *files)
    assert roles == ("red", "nir", "swir1")
    assert values[0, 0, 0] == pytest.approx(0.3 + offset)
    (layer,) = layers_in(str(files[0]))
    recognised = guidance_product(layer, [layer])
    assert recognised
    # a file of before the change may have been processed again since
    assert [".SAFE" in said for said in recognised.warnings] == ([True] if not product and offset == 0 else [])
    assert np.argwhere(np.isnan(values[0])).tolist() == [[2, 2]]


def test_sentinel_2_reads_its_offset_and_the_classes_of_the_other_resolution(tmp_path: Path) -> None:
    safe = tmp_path / "S2B.SAFE"
    ten, twenty = (safe / "GRANULE" / "L2A" / "IMG_DATA" / name for name in ("R10m", "R20m"))
    ten.mkdir(parents=True)
    twenty.mkdir()
    (safe / "MTD_MSIL2A.xml").write_text('<a><BOA_ADD_OFFSET band_id="0">-1000</BOA_ADD_OFFSET></a>')
    red = fine(ten / "T32TQM_20230701T101559_B04_10m.tif", numbers(3000))
    classes = np.full((FINE // 2, FINE // 2), 5, np.uint8)
    classes[3, 4] = 8
    write(twenty / "T32TQM_20230701T101559_SCL_20m.tif", classes, pixel=PIXEL / SCALE * 2)
    values, _ = aligned(tmp_path, red)
    assert values[0, 0, 0] == pytest.approx(0.2)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[6, 8], [6, 9], [7, 8], [7, 9]]


@pytest.mark.parametrize("name", ["", "MTD_MSIL2A.xml"])
def test_a_sentinel_2_folder_gives_its_20_m_bands(name: str, tmp_path: Path) -> None:
    safe = tmp_path / "S2A_MSIL2A_20210701T101559_N0300_R065_T32TQM_20210701T170000.SAFE"
    for metres in (10, 20):
        folder = safe / "GRANULE" / "L2A_T32TQM" / "IMG_DATA" / f"R{metres}m"
        folder.mkdir(parents=True)
        for band in ("B04", "B8A", "SCL"):
            options = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
            fine(folder / f"T32TQM_20210701T101559_{band}_{metres}m.jp2", numbers(4), **options)
    (safe / "MTD_MSIL2A.xml").write_text("<a/>")
    values, roles = aligned(tmp_path, safe / name)
    assert roles == ("red", "nir")
    np.testing.assert_allclose(values, 0.0004, atol=1e-7)


def test_sentinel_2_bands_of_an_export_are_harmonised(tmp_path: Path) -> None:
    names = ["B2", "B4", "B8", "B8A", "B12", "SCL"]
    bands = np.stack([numbers(value) for value in (500, 600, 3000, 3100, 1500, 4)])
    path = fine(tmp_path / "s2.tif", bands, names=names)
    values, roles = aligned(tmp_path, path)
    assert roles == ("blue", "red", "nir", "nir", "swir2")
    np.testing.assert_allclose(values[:, 0, 0], [0.05, 0.06, 0.3, 0.31, 0.15], atol=1e-6)
    values, _ = aligned(tmp_path, fine(tmp_path / "f.tif", bands[:5].astype("f4") / 10_000, names=names[:5]))
    np.testing.assert_allclose(values[:, 0, 0], [0.05, 0.06, 0.3, 0.31, 0.15], atol=1e-6)


def test_modis_reflectance(tmp_path: Path) -> None:
    stored = numbers(2500, "int16")
    stored[1, 1] = -28_672
    state = numbers(0b1000)
    state[4, 4], state[6, 6] = 0b1001, 0b1100  # cloudy, shadow
    files = [
        fine(tmp_path / f"MOD09GA.061_sur_refl_b0{band}_1_doy2023182_aid0001.tif", stored) for band in (1, 2, 3, 6)
    ]
    fine(tmp_path / "MOD09GA.061_state_1km_1_doy2023182_aid0001.tif", state)
    values, roles = aligned(tmp_path, *files)
    assert roles == ("red", "nir", "blue", "swir1")
    assert values[0, 0, 0] == pytest.approx(0.25)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[1, 1], [4, 4], [6, 6]]


def test_modis_250_m(tmp_path: Path) -> None:
    quality = numbers(0)
    quality[8, 8] = 0b10
    path = fine(tmp_path / "MYD09GQ.A2023182.h18v04.061.sur_refl_b02_1.tif", numbers(4000, "int16"))
    fine(tmp_path / "MYD09GQ.A2023182.h18v04.061.QC_250m_1.tif", quality)
    values, roles = aligned(tmp_path, path)
    assert roles == ("nir",)
    assert values[0, 0, 0] == pytest.approx(0.4)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[8, 8]]


@pytest.mark.parametrize("state", ["sur_refl_state_250m", "sur_refl_state_500m", "StateQA"])
def test_modis_eight_days_in_one_file(state: str, tmp_path: Path) -> None:
    flags = numbers(0b1000, "int16")
    flags[4, 4] |= 1 << 10  # internal cloud flag
    bands = np.stack([numbers(2500, "int16"), flags, numbers(3000, "int16"), numbers(180, "int16")])
    names = ["sur_refl_b01", state, "sur_refl_szen", "DayOfYear"]
    values, roles = aligned(tmp_path, fine(tmp_path / "MOD09.tif", bands, names=names))
    assert roles == ("red",)  # neither flags nor angles are guidance
    assert values[0, 0, 0] == pytest.approx(0.25)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[4, 4]]


def test_modis_albedo(tmp_path: Path) -> None:
    stored = numbers(180, "int16")
    stored[0, 1] = 32_767
    quality = numbers(0, "uint8")
    quality[2, 2], quality[3, 3] = 1, 255
    path = fine(tmp_path / "MCD43A3.061_Albedo_WSA_shortwave_doy2023182_aid0001.tif", stored)
    fine(tmp_path / "MCD43A3.061_BRDF_Albedo_Band_Mandatory_Quality_shortwave_doy2023182_aid0001.tif", quality)
    values, roles = aligned(tmp_path, path)
    assert roles == ("albedo",)
    assert values[0, 0, 0] == pytest.approx(0.18)
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 1], [3, 3]]


def test_modis_land_cover_keeps_its_classes(tmp_path: Path) -> None:
    classes = numbers(10, "uint8")
    classes[:, FINE // 2 :] = 13
    classes[0, 0] = 255
    values, roles = aligned(tmp_path, fine(tmp_path / "MCD12Q1.061_LC_Type1_doy2022001_aid0001.tif", classes))
    assert roles == ("landcover",)
    assessed = np.stack([classes, classes])
    both = fine(tmp_path / "both.tif", assessed, names=["LC_Prop1", "LC_Prop1_Assessment"])
    assert aligned(tmp_path, both)[1] == ("landcover",)
    assert set(np.unique(values[np.isfinite(values)])) == {10.0, 13.0}
    assert np.argwhere(np.isnan(values[0])).tolist() == [[0, 0]]


@pytest.mark.parametrize("name", ["SRTMGL1_N45E012.tif", "N45E012.tif", "Copernicus_DSM_COG_10_N45_00_E012_00_DEM.tif"])
def test_elevation(name: str, tmp_path: Path) -> None:
    metres = numbers(512, "int16")
    metres[4, 5] = -32_768
    values, roles = aligned(tmp_path, fine(tmp_path / name, metres))
    assert roles == ("dem",)
    assert values[0, 0, 0] == 512
    assert np.argwhere(np.isnan(values[0])).tolist() == [[4, 5]]


def test_subdatasets_come_as_one_raster_each(tmp_path: Path) -> None:
    from files import MODIS_PLACE, SINUSOIDAL

    path = hdf_eos5(
        tmp_path / "VNP43.h5",
        "VIIRS_Grid",
        {
            "sur_refl_b01_1": np.full((32, 32), 2500, np.int16),
            "sur_refl_b02_1": np.full((32, 32), 4000, np.int16),
            "state_1km_1": np.zeros((32, 32), np.uint16),
        },
        {},
    )
    lst = write(tmp_path / "lst.tif", coarse_lst(8), crs=SINUSOIDAL, transform=MODIS_PLACE @ MODIS_PLACE.scale(4))
    with AlignedReader(LstSource(path=str(lst)), (GuidanceSource(path=str(path)),), 4) as reader:
        assert reader.roles == ("red", "nir")
        _, guidance = reader.read(CoarseWindow(0, 8, 0, 8))
    np.testing.assert_allclose(guidance[:, 5, 5], [0.25, 0.4], atol=1e-6)


def test_bands_named_like_nothing_known_stay_as_they_are(tmp_path: Path) -> None:
    values, roles = aligned(tmp_path, fine(tmp_path / "x.tif", np.stack([numbers(7), numbers(9)]), names=["B4", "red"]))
    assert roles == ("other", "red")
    np.testing.assert_array_equal(values[:, 0, 0], [7, 9])
