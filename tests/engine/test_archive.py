"""Many scenes in one job."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasters import coarse_lst, job_for, read, write

from groklst_engine.archives.archive import archive
from groklst_engine.archives.listing import output_of, read_list
from groklst_engine.cli import main
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, GroklstError, InputError
from groklst_engine.events import CancelToken, Event, ignore
from groklst_engine.jobs import ArchiveJob, parse_job
from groklst_engine.predict import downscale
from groklst_engine.worker import run_job

NAMES = ("20230701", "20230702", "20230703")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three LST files."""
    for seed, name in enumerate(NAMES):
        write(tmp_path / f"lst_{name}.tif", coarse_lst(seed=seed), unit="K")
    (tmp_path / "out").mkdir()
    return tmp_path


def job_of(folder: Path, **options: Any) -> ArchiveJob:
    scenes = [
        job_for(folder / f"lst_{name}.tif", output=folder / "out" / f"{name}.tif", method="bicubic") for name in NAMES
    ]
    return ArchiveJob(scenes=tuple(scenes), **options)


def command(folder: Path, *more: str) -> list[str]:
    return ["downscale", "--lst", str(folder / "lst_*.tif"), "--scale", "4", "--method", "bicubic", *more]


def test_each_scene_is_that_of_a_single_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = str(folder / "out" / "{stem}_x{scale}.tif")
    assert main(command(folder, "-o", template, "--summary", str(folder / "all"), "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in result["rows"]] == ["done"] * 3
    for name, row in zip(NAMES, result["rows"], strict=True):
        single = downscale(
            job_for(folder / f"lst_{name}.tif", output=folder / "single.tif", overwrite=True, method="bicubic")
        )
        assert row["output"] == str(folder / "out" / f"lst_{name}_x4.tif")
        np.testing.assert_array_equal(read(Path(row["output"])), read(single.output))
        assert (row["low"], row["high"]) == single.range
        assert row["consistency_rmse"] == single.scores[0]["rmse"]
    assert sorted(path.name for path in (folder / "all").iterdir()) == ["archive.csv", "archive.html", "archive.json"]
    page = (folder / "all" / "archive.html").read_text("utf-8")
    assert all(f"lst_{name}_x4" in page for name in NAMES)
    with (folder / "all" / "archive.csv").open(encoding="utf-8") as file:
        assert [line["scene"] for line in csv.DictReader(file)] == [f"lst_{name}_x4" for name in NAMES]


def test_a_scene_that_fails_stops_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / f"lst_{NAMES[1]}.tif").write_text("no raster")
    arguments = command(folder, "-o", str(folder / "out" / "{date}.tif"), "--summary", str(folder / "all"))
    assert main(arguments) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("groklst: 1 of 3 scenes failed")
    assert NAMES[1] in said
    assert sorted(path.stem for path in (folder / "out").iterdir()) == [NAMES[0], NAMES[2]]
    rows = json.loads((folder / "all" / "archive.json").read_text("utf-8"))["rows"]
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert "cannot be read as a raster" in rows[1]["message"]
    write(folder / f"lst_{NAMES[1]}.tif", coarse_lst(seed=1), unit="K")
    assert main(arguments) == 0
    rows = json.loads((folder / "all" / "archive.json").read_text("utf-8"))["rows"]
    assert [row["status"] for row in rows] == ["kept", "done", "kept"]


def test_files_with_and_without_wildcards(folder: Path) -> None:
    scene = {"scale": 4, "method": "bicubic", "lst": {"unit": "K"}, "output": str(folder / "out" / "{date}.tif")}
    job = parse_job(
        {
            "kind": "archive-list",
            "rasters": [str(folder / f"lst_{NAMES[2]}.tif"), str(folder / "lst_2023070[12].tif")],
            "scene": scene,
        }
    )
    rows = run_job(job, ignore, CancelToken())["rows"]
    assert [row["output"] for row in rows] == [
        str(folder / "out" / f"{name}.tif") for name in (NAMES[2], NAMES[0], NAMES[1])
    ]
    assert {row["status"] for row in rows} == {"done"}
    with pytest.raises(InputError, match=r"No file matches '.*none_\*\.tif'\."):
        run_job(job.model_copy(update={"rasters": (str(folder / "none_*.tif"),)}), ignore, CancelToken())
    with pytest.raises(InputError, match="one of them"):
        parse_job({"kind": "archive-list", "scene": scene})


def test_what_is_done_is_kept_and_what_changed_is_not(folder: Path) -> None:
    first = archive(job_of(folder))
    assert [row.status for row in first.rows] == ["done"] * 3
    assert [row.status for row in archive(job_of(folder)).rows] == ["kept"] * 3
    write(folder / f"lst_{NAMES[0]}.tif", coarse_lst(17, seed=9), unit="K")
    refused = archive(job_of(folder))
    assert [row.status for row in refused.rows] == ["failed", "kept", "kept"]
    assert "exists already" in refused.rows[0].message
    with pytest.raises(GroklstError, match="1 of 3 scenes failed"):
        refused.require_all()
    assert [row.status for row in archive(job_of(folder, skip_existing=True)).rows] == ["kept"] * 3
    replacing = job_of(folder)
    scenes = tuple(scene.model_copy(update={"overwrite": True}) for scene in replacing.scenes)
    assert [row.status for row in archive(ArchiveJob(scenes=scenes)).rows] == ["done", "kept", "kept"]


def test_a_list_names_what_differs(clear: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "lst,guidance,date,output,method",
        f"{clear.lst.name},{clear.guidance.name};{clear.dem.name}:dem,2023-07-01T10:00Z,,tsharp",
        f"{clear.lst.name},,2023-07-02,own.tif,",
    ]
    (clear.lst.parent / "scenes.csv").write_text("\n".join(lines), "utf-8")
    arguments = ["downscale", "--list", str(clear.lst.parent / "scenes.csv"), "--scale", "4", "--method", "bicubic"]
    assert main([*arguments, "-o", str(tmp_path / "{date}_{method}.tif"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [Path(row["output"]) for row in rows] == [tmp_path / "20230701_tsharp.tif", clear.lst.parent / "own.tif"]
    with rasterio.open(rows[0]["output"]) as dataset:
        made = json.loads(dataset.tags()["GROKLST_JOB"])
    assert made["guidance"][1] == {"path": str(clear.dem), "roles": ["dem"], "qc": "recommended"}
    assert made["overpass"].startswith("2023-07-01T10:00")
    Path(rows[1]["output"]).unlink()


def test_a_stac_item_collection(tmp_path: Path) -> None:
    assets = {"lst": {"href": "a/lst.tif"}, "red": {"href": "a/red.tif"}, "b8": {"href": "https://x.org/b8.tif"}}
    item = {"id": "one", "properties": {"datetime": "2023-07-01T10:00:00Z"}, "assets": assets}
    file = tmp_path / "items.json"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    (scene,) = read_list(file, "lst", ("red", "b8"))
    assert scene["lst"]["path"] == str(tmp_path / "a/lst.tif")
    assert scene["guidance"] == [
        {"path": str(tmp_path / "a/red.tif"), "roles": ["red"]},
        {"path": "https://x.org/b8.tif"},
    ]
    assert output_of("{name}_{date}", scene) == Path("one_20230701")
    with pytest.raises(InputError, match="no asset 'nir'; it has: lst, red, b8"):
        read_list(file, "lst", ("nir",))
    with pytest.raises(InputError, match="--lst-asset"):
        read_list(file)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "holds no scene|no column 'lst'"),
        ("lst\n", "holds no scene"),
        ("guidance\na.tif\n", "no column 'lst'"),
        ("lst,colour\na.tif,red\n", "'colour'"),
        ("lst,mask\n,b.tif\n", "Line 2"),
        ("{}", "STAC"),
    ],
)
def test_a_bad_list(text: str, word: str, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=word):
        read_list(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_list(tmp_path / "missing.csv")


def test_names_of_outputs(tmp_path: Path) -> None:
    fields = {"lst": {"path": "a/MOD11A1.A2023182.tif"}, "scale": "2,2", "method": "x/mine.safetensors"}
    assert output_of("o/{stem}-{scale}-{method}.tif", fields) == Path("o/MOD11A1.A2023182-2x2-mine.tif")
    assert output_of(str(tmp_path), {**fields, "name": "n"}) == tmp_path / "n_x2x2.tif"
    with pytest.raises(InputError, match="braces"):
        output_of("{colour}.tif", fields)
    with pytest.raises(InputError, match="date"):
        output_of("{date}.tif", {"lst": {"path": "a.tif"}})
    scene = {"lst": {"path": "a.tif"}, "scale": 2, "output": "o.tif"}
    with pytest.raises(InputError, match="would both be written"):
        parse_job({"kind": "archive", "scenes": [scene, {**scene, "lst": {"path": "b.tif"}}]})


def test_cancelling_keeps_what_is_finished(folder: Path) -> None:
    cancel, fractions = CancelToken(), []

    def listen(event: Event) -> None:
        if event.fraction is not None:
            fractions.append(event.fraction)
            if event.message.startswith("1 of 3"):
                cancel.cancel()
                fractions.append(time.monotonic())

    with pytest.raises(Cancelled):
        archive(job_of(folder), listen, cancel)
    assert [path.stem for path in (folder / "out").iterdir()] == [NAMES[0]]
    told = [fraction for fraction in fractions if fraction <= 1]
    assert told == sorted(told)
    assert time.monotonic() - fractions[-1] < 2
    assert [row.status for row in archive(job_of(folder)).rows] == ["kept", "done", "done"]


def test_a_cloud_optimised_output(folder: Path) -> None:
    lst = write(folder / "wide.tif", coarse_lst(160), unit="K")
    plain = downscale(job_for(lst, output=folder / "plain.tif", method="bicubic"))
    cog = downscale(job_for(lst, output=folder / "cog.tif", method="bicubic", cog=True))
    np.testing.assert_array_equal(read(plain.output), read(cog.output))
    with rasterio.open(plain.output) as one, rasterio.open(cog.output) as other:
        assert other.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert other.overviews(1)
        assert not one.overviews(1)
        assert (other.units, other.descriptions, other.nodata) == (one.units, one.descriptions, one.nodata)
        assert other.tags()["GROKLST_METHOD"] == "bicubic"
    assert not list(folder.glob("*.part*"))
