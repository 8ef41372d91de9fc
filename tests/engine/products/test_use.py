"""Products and masks in use: downscaling without options, masks as inputs, ``groklst inspect``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from files import MODIS_PLACE, SIDE, SINUSOIDAL, kelvin, modis_numbers, modis_quality, modis_tif, slstr
from rasterio.transform import Affine
from rasters import PIXEL, block_means, coarse_lst, fine, read, repeated, write

from groklst_engine.cli import main
from groklst_engine.grid import CoarseWindow
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.reader import AlignedReader


def test_a_modis_export_is_downscaled_without_any_option(tmp_path: Path) -> None:
    lst = modis_tif(tmp_path / "MOD11A1.061_LST_Day_1km_doy2023182_aid0001.tif", modis_numbers())
    modis_tif(tmp_path / "MOD11A1.061_QC_Day_doy2023182_aid0001.tif", modis_quality())
    ndvi = write(
        tmp_path / "ndvi.tif",
        repeated(np.linspace(0.2, 0.8, SIDE * SIDE).reshape(SIDE, SIDE).astype("f4"), 4),
        crs=SINUSOIDAL,
        transform=MODIS_PLACE @ Affine.scale(1 / 4),
    )
    out = tmp_path / "fine.tif"
    command = ["downscale", "--lst", str(lst), "--guidance", str(ndvi), "--scale", "4", "--method", "bicubic-ibp"]
    assert main([*command, "-o", str(out)]) == 0
    coarse = block_means(read(out), 4)
    expected = kelvin()
    expected[[2, 5, 7], [3, 6, 8]] = np.nan
    np.testing.assert_allclose(coarse, expected, atol=0.02)
    assert main([*command, "--lst-qc", "any", "-o", str(tmp_path / "any.tif")]) == 0
    assert np.isnan(block_means(read(tmp_path / "any.tif"), 4)).sum() == 1


def test_a_mask_hides_lst_and_guidance(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", coarse_lst(8))
    ndvi = write(tmp_path / "ndvi.tif", np.ones((32, 32), np.float32), pixel=PIXEL / 4)
    clear = np.ones((32, 32), np.uint8)
    clear[9, 14] = 0
    mask = write(tmp_path / "clear.tif", clear, pixel=PIXEL / 4)
    with AlignedReader(LstSource(path=str(lst)), (GuidanceSource(path=str(ndvi)),), 4, str(mask)) as reader:
        temperatures, guidance = reader.read(CoarseWindow(-1, 9, -1, 9))
        assert reader.lst.summary.kept == pytest.approx(63 / 64)
    assert np.argwhere(np.isnan(temperatures)).tolist() == [[3, 4]]
    assert np.argwhere(np.isnan(guidance[0])).tolist() == [[13, 18]]


def test_a_coarse_mask_and_one_beyond_which_nothing_is_clear(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", coarse_lst(8))
    mask = write(tmp_path / "clear.tif", np.array([[1, 0], [1, 1]], np.uint8), pixel=PIXEL * 2)
    with AlignedReader(LstSource(path=str(lst)), (), 2, str(mask)) as reader:
        temperatures, _ = reader.read(CoarseWindow(0, 8, 0, 8))
    expected = np.zeros((8, 8), bool)
    expected[:4, :4], expected[:2, 2:4] = True, False
    np.testing.assert_array_equal(np.isfinite(temperatures), expected)


def test_the_mask_is_an_option(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", coarse_lst(8))
    clear = np.ones((8, 8), np.uint8)
    clear[2, 5] = 0
    mask = write(tmp_path / "clear.tif", clear)
    values = fine(lst, output=tmp_path / "fine.tif", mask=str(mask))
    assert np.argwhere(np.isnan(block_means(values, 4))).tolist() == [[2, 5]]
    out = tmp_path / "cli.tif"
    given = ["--lst", str(lst), "--mask", str(mask), "--scale", "4", "--method", "bicubic", "-o", str(out)]
    assert main(["downscale", *given]) == 0
    assert np.isnan(read(out)).sum() == 16


def test_inspect_prints_what_matters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lst = modis_tif(tmp_path / "MOD11A1.061_LST_Day_1km_doy2023182_aid0001.tif", modis_numbers())
    modis_tif(tmp_path / "MOD11A1.061_QC_Day_doy2023182_aid0001.tif", modis_quality())
    red = write(tmp_path / "LC08_L2SP_193029_20230701_20230711_02_T1_SR_B4.TIF", np.full((9, 9), 9000, np.uint16))
    assert main(["inspect", str(lst), str(red), str(slstr(tmp_path))]) == 0
    modis, landsat, sentinel = capsys.readouterr().out.split("\n\n")
    assert "MOD11A1" in modis
    assert "286.20 to 301.80 K" in modis
    assert "× 0.02 + 0 K, fill 0" in modis
    assert "99.2% of the measured pixels kept by MOD11A1.061_QC_Day" in modis
    assert "2023-07-01T09:27" in modis
    assert "red, number × 2.75e-05 + -0.2, fill 0" in landsat
    assert "confidence_in, bayes_in" in sentinel
    assert "uncertainty  0.80 K" in sentinel


def test_inspect_as_json_and_without_torch(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", coarse_lst(8))
    dem = write(tmp_path / "dem.tif", np.ones((8, 8), np.float32))
    program = (
        "import sys; from groklst_engine.cli import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "inspect", "--json", str(lst), str(dem)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    plain, elevation = json.loads(run.stdout)["files"]
    assert (plain["kind"], plain["product"], plain["unit"]) == ("lst", None, "K")
    assert (elevation["kind"], elevation["bands"][0]["role"]) == ("guidance", "dem")
    assert plain["pixel"] == [PIXEL, PIXEL]


def test_inspect_says_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "MOD11A1.hdf"
    path.write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    assert main(["inspect", str(path)]) == 1
    assert "HDF4" in capsys.readouterr().err
