"""Bad input: one sentence that says what, where and what to do, and nothing written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from rasters import CORNER, NODATA, PIXEL, coarse_lst, job_for, write

from groklst_engine.cli import main
from groklst_engine.errors import GroklstError, InputError, ModelError, OutputError
from groklst_engine.inputs import LstSource
from groklst_engine.jobs import parse_job
from groklst_engine.predict import downscale

SIDE, FINE = 16, 64


def band(side: int = FINE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side)).astype(np.float32)


class Case:
    """A good job in a folder of its own, to be spoilt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.out.mkdir()
        self.lst = write(folder / "lst.tif", coarse_lst(SIDE))
        self.guidance = write(folder / "ndvi.tif", band(), pixel=PIXEL / 4)
        self.options: dict[str, Any] = {"output": self.out / "fine.tif", "method": "tsharp"}

    def run(self) -> None:
        downscale(job_for(self.lst, self.guidance, **self.options))

    def truncated(self, source: Path, **profile: Any) -> Path:
        """A copy that ends in the middle of its pixels."""
        with rasterio.open(source) as dataset:
            values, place = dataset.read(), dataset.transform
        whole = write(self.folder / "whole.tif", values, transform=place, **profile)
        cut = self.folder / f"cut_{source.name}"
        cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
        return cut


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def refused(case: Case, kind: type[GroklstError], *words: str) -> str:
    """Run the job; it must be refused as a user deserves it."""
    before = sorted(case.folder.rglob("*"))
    with pytest.raises(GroklstError) as refusal:
        case.run()
    message = str(refusal.value)
    assert type(refusal.value) is kind
    assert "\n" not in message
    assert message.endswith(".")
    for word in words:
        assert word in message
    assert sorted(case.folder.rglob("*")) == before, "something was written"
    return message


def test_the_job_is_good_until_it_is_spoilt(case: Case) -> None:
    case.run()
    assert [path.name for path in case.out.iterdir()] == ["fine.tif"]


# --- rasters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:32612", from_origin(CORNER[0] + SIDE * PIXEL, CORNER[1], 60, 60)),
        ("EPSG:4326", from_origin(15.0, 45.0, 0.001, 0.001)),
        ("EPSG:32733", from_origin(400_000, 8_000_000, 60, 60)),
    ],
    ids=["beside", "in degrees", "other side of the earth"],
)
def test_no_overlap(crs: str, place: Any, case: Case) -> None:
    case.guidance = write(case.folder / "elsewhere_ndvi.tif", band(), crs=crs, transform=place)
    refused(case, InputError, "elsewhere_ndvi.tif", "does not overlap", "lst.tif")


def test_overlap_of_extents_but_not_of_pixels(case: Case) -> None:
    values = band()
    values[:, 5:] = NODATA
    case.guidance = write(case.folder / "ndvi.tif", values, pixel=PIXEL / 4, nodata=NODATA)
    with rasterio.open(case.lst, "r+") as dataset:
        dataset.nodata = NODATA
        lst = coarse_lst(SIDE)
        lst[:, :3] = NODATA
        dataset.write(lst, 1)
    refused(case, InputError, "no valid pixel in common")


@pytest.mark.parametrize("which", ["lst", "guidance"])
def test_no_crs(which: str, case: Case) -> None:
    values = coarse_lst(SIDE) if which == "lst" else band()
    setattr(case, which, write(case.folder / "ndvi_nowhere.tif", values, crs=None))
    refused(case, InputError, "ndvi_nowhere.tif", "coordinate reference system", "assign")


@pytest.mark.parametrize("nodata", [NODATA, np.nan, None])
def test_an_lst_without_a_valid_pixel(nodata: float | None, case: Case) -> None:
    empty = np.full((SIDE, SIDE), np.nan if nodata is None else nodata, np.float32)
    case.lst = write(case.folder / "empty.tif", empty, nodata=nodata)
    refused(case, InputError, "empty.tif", "no valid pixel")


@pytest.mark.parametrize("values", [band(SIDE), band(SIDE) * 100 + 15_000, band(SIDE) * 1e-4 - 9999])
def test_a_unit_that_cannot_be_guessed(values: np.ndarray, case: Case) -> None:
    case.lst = write(case.folder / "what.tif", values)
    refused(case, InputError, "what.tif", "unit", "K or C")


def test_a_unit_that_is_wrong(case: Case) -> None:
    case.options["unit"] = "C"
    refused(case, InputError, "lst.tif", "unit")


@pytest.mark.parametrize("which", ["lst", "guidance"])
@pytest.mark.parametrize("content", [b"date,lst\n2024-07-01,301.5\n", b"", b"II*\x00"], ids=["text", "empty", "stub"])
def test_a_file_that_is_no_raster(content: bytes, which: str, case: Case) -> None:
    file = case.folder / "ndvi_table.tif"
    file.write_bytes(content)
    setattr(case, which, file)
    refused(case, InputError, "ndvi_table.tif", "cannot be read as a raster")


@pytest.mark.parametrize("which", ["lst", "guidance"])
def test_a_missing_file(which: str, case: Case) -> None:
    setattr(case, which, case.folder / "gone.tif")
    refused(case, InputError, "gone.tif", "does not exist")


@pytest.mark.parametrize("which", ["lst", "guidance"])
@pytest.mark.parametrize(
    "profile", [{}, {"compress": "deflate"}, {"tiled": True, "blockxsize": 16, "blockysize": 16}], ids=str
)
def test_a_truncated_file(profile: dict[str, Any], which: str, case: Case) -> None:
    """Its header is whole and its pixels are not: found out while they are read."""
    whole = write(case.folder / "big_ndvi.tif", coarse_lst(128) if which == "lst" else band(512), pixel=PIXEL / 4)
    if which == "lst":
        case.guidance = write(case.folder / "ndvi.tif", band(512), pixel=PIXEL / 16)
    setattr(case, which, case.truncated(whole, **profile))
    whole.unlink()
    refused(case, InputError, "cut_big_ndvi.tif")


def test_a_guidance_of_a_single_pixel(case: Case) -> None:
    case.guidance = write(case.folder / "one_ndvi.tif", band(1), pixel=PIXEL * SIDE)
    refused(case, InputError, "one_ndvi.tif", "single pixel")


def test_a_guidance_without_the_needed_role(case: Case) -> None:
    case.guidance = write(case.folder / "height.tif", band(), pixel=PIXEL / 4)
    refused(case, InputError, "ndvi", "role")


@pytest.mark.parametrize("method", ["tsharp", "network", "self-scale"])
def test_a_scene_too_small_to_learn_from(method: str, case: Case, local_network: Path) -> None:
    case.options["method"] = str(local_network) if method == "network" else method
    case.lst = write(case.folder / "lst.tif", coarse_lst(3))
    refused(case, InputError, "use a larger extent")


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2.5, "2.5", "four", "", None, 1, 0, -4, 65, True])
def test_a_scale_that_is_no_scale(scale: Any, tmp_path: Path) -> None:
    document = {"kind": "downscale", "lst": {"path": "a.tif"}, "scale": scale, "output": str(tmp_path / "b.tif")}
    with pytest.raises(InputError, match="Option 'scale'") as refusal:
        parse_job(document)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"methud": "bicubic"}, "methud"),
        ({"lst": {"path": "a.tif", "band": 0}}, "lst.band"),
        ({"lst": {"path": "a.tif", "unit": "F"}}, "lst.unit"),
        ({"guidance": [{"path": "a.tif", "roles": ["infrared"]}]}, "guidance.0.roles.0"),
        ({"tile": 8}, "tile"),
        ({"device": "tpu"}, "device"),
    ],
)
def test_an_option_that_does_not_exist(change: dict[str, Any], word: str, tmp_path: Path) -> None:
    good = {"kind": "downscale", "lst": {"path": "a.tif"}, "scale": 4, "output": str(tmp_path / "b.tif")}
    assert parse_job(good).kind == "downscale"
    with pytest.raises(InputError, match=f"Option '{word}'") as refusal:
        parse_job(good | change)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    ("name", "meant"), [("bicubik", "bicubic"), ("tsharpe", "tsharp"), ("Self_Scale", "self-scale"), ("xyz", None)]
)
def test_an_unknown_method(name: str, meant: str | None, case: Case) -> None:
    case.options["method"] = name
    message = refused(case, ModelError, f"'{name}'", "bicubic")
    assert ("did you mean" in message) == (meant is not None)
    assert meant is None or f"did you mean '{meant}'" in message


def test_a_scale_the_network_was_not_trained_for(case: Case, local_network: Path) -> None:
    case.options |= {"method": str(local_network), "scale": 5}
    refused(case, ModelError, "2, 3, 4, 8, not 5")


@pytest.mark.parametrize("scale", [0, 1, 65])
@pytest.mark.parametrize("kind", ["evaluate", "train"])
def test_scales_that_are_no_scales(kind: str, scale: int, tmp_path: Path) -> None:
    document = {"kind": kind, "scenes": [{"name": "a", "lst": {"path": "a.tif"}}], "scales": [2, scale]}
    output = {"output": str(tmp_path / "a.safetensors")} if kind == "train" else {}
    with pytest.raises(InputError, match=r"Option 'scales\.1'"):
        parse_job(document | output)


# --- the output ------------------------------------------------------------------------------------------------------


def occupied(case: Case) -> Path:
    return write(case.out / "fine.tif", band())


def without_folder(case: Case) -> Path:
    return case.out / "no" / "fine.tif"


def under_a_file(case: Case) -> Path:
    return case.lst / "fine.tif"


def unwritable(case: Case) -> Path:
    return Path("/proc/fine.tif")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [(occupied, "exists already"), (without_folder, "does not exist"), (under_a_file, "does not exist"),
     (unwritable, "cannot be written"), (lambda case: case.out, "is a folder")],
)  # fmt: skip
def test_an_output_that_cannot_be_written(spoil: Callable[[Case], Path], word: str, case: Case) -> None:
    case.options["output"] = spoil(case)
    content = case.options["output"].read_bytes() if spoil is occupied else None
    named = case.options["output"].parent if word == "does not exist" else case.options["output"]
    refused(case, OutputError, f"'{named}'", word)
    assert content is None or case.options["output"].read_bytes() == content


@pytest.mark.parametrize("which", ["lst", "guidance", "reference"])
@pytest.mark.parametrize("disguised", [False, True])
def test_an_output_that_is_an_input(disguised: bool, which: str, case: Case) -> None:
    victim = case.lst if which == "reference" else getattr(case, which)
    if which == "reference":
        victim = shutil.copy(case.lst, case.folder / "reference.tif")
        case.options["reference"] = LstSource(path=str(victim))
    other = case.out / "link.tif"
    if disguised:
        other.symlink_to(victim)
    case.options |= {"output": other if disguised else victim, "overwrite": True}
    content = Path(victim).read_bytes()
    refused(case, OutputError, str(case.options["output"]), "also an input")
    assert Path(victim).read_bytes() == content


@pytest.mark.parametrize("place", ["file", "occupied"])
def test_a_report_that_cannot_be_written(place: str, case: Case) -> None:
    if place == "occupied":
        (case.folder / "report").mkdir()
        (case.folder / "report" / "report.html").write_text("mine")
        case.options["report"] = case.folder / "report"
        refused(case, OutputError, "report.html", "exists already")
    else:
        case.options["report"] = case.lst / "report"
        refused(case, OutputError, str(case.options["report"]))


def test_a_damaged_reference(case: Case) -> None:
    whole = write(case.folder / "truth.tif", coarse_lst(256), pixel=PIXEL / 16)
    case.options["reference"] = LstSource(path=str(case.truncated(whole)))
    refused(case, InputError, "cut_truth.tif")


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--scale", "2.5"], "whole number"),
        (["--method", "bicubik"], "did you mean 'bicubic'"),
        (["--lst", "gone.tif"], "gone.tif"),
        (["-o", "/proc/fine.tif"], "/proc/fine.tif"),
    ],
)
def test_the_command_says_it_in_one_line(
    change: list[str], word: str, case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    good = ["--lst", str(case.lst), "--scale", "4", "--method", "bicubic", "-o", str(case.out / "fine.tif")]
    assert main(["downscale", *good, *change]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("groklst: ")
    assert "Traceback" not in err
    assert list(case.out.iterdir()) == []
