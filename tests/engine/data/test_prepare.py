"""Rasters become a data set: cut, dealt to splits by the ground, stored, resumed, and read like any other scenes."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasters import write

from groklst_engine.cli import main
from groklst_engine.data.blocks import deal, find_grounds
from groklst_engine.data.chips import open_store
from groklst_engine.data.dataset import FineScene, load_scene
from groklst_engine.data.groklst import BANDS, Sample, load_sample, samples
from groklst_engine.data.prepare import Prepared, prepare
from groklst_engine.data.prepared import chips, load_chip, read_manifest
from groklst_engine.data.sources import roles_in
from groklst_engine.data.synthetic import SyntheticScene
from groklst_engine.degrade import aggregate, block_mean
from groklst_engine.errors import Cancelled, InputError, OutputError
from groklst_engine.evaluate import evaluate
from groklst_engine.events import CancelToken, Event
from groklst_engine.grid import Grid
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.jobs import EvaluateJob, parse_job
from groklst_engine.psf import Psf
from groklst_engine.training_jobs import PrepareJob
from groklst_engine.weights import read_card

PIXEL = 30.0
SIDE = 160
CLOUD = (slice(0, 40), slice(0, 50))


def scene(folder: Path, name: str, land: SyntheticScene, *, west: int = 0, south: int = 0, cloud: bool = False) -> Any:
    """A scene of 160 × 160 pixels, moved by whole pixels, with all bands of the GrokLST data set."""
    bands = {role: band[:SIDE, :SIDE] for role, band in land.guidance.items()}
    bands |= {"coastal": 0.9 * bands["blue"], "rededge": (bands["red"] + bands["nir"]) / 2}
    bands["ndmvi"] = (bands["nir"] - bands["swir1"]) / (bands["nir"] + bands["swir1"])
    bands = {role: bands[role] for role in BANDS.values() if role in bands}  # ndwi is computed where it is wanted
    lst = land.lst[:SIDE, :SIDE].copy()
    if cloud:
        lst[CLOUD] = np.nan
    place = from_origin(500_000 + west * PIXEL, 4_400_000 - south * PIXEL, PIXEL, PIXEL)
    folder.mkdir(exist_ok=True)
    files = {"transform": place, "nodata": np.nan}
    write(folder / f"{name}_lst.tif", lst.astype(np.float32), **files)
    write(folder / f"{name}_guidance.tif", np.stack(list(bands.values())).astype(np.float32), **files)
    guidance = GuidanceSource(path=str(folder / f"{name}_guidance.tif"), roles=tuple(bands))
    return SceneSource(
        name=name, region="valley", lst=LstSource(path=str(folder / f"{name}_lst.tif"), unit="K"), guidance=(guidance,)
    )


@pytest.fixture(scope="module")
def scenes(landscape: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> tuple[SceneSource, ...]:
    """Two dates of one place, the second moved by a part of a block and under a cloud."""
    folder = tmp_path_factory.mktemp("scenes")
    second = scene(folder, "autumn", landscape, west=11, south=7, cloud=True)
    return scene(folder, "spring", landscape), second


def job(scenes: Iterable[SceneSource], output: Path, **options: Any) -> PrepareJob:
    return PrepareJob(
        scenes=tuple(scenes), output=output, **{"crop": 32, "scales": (2, 4), "min_valid": 0.8, **options}
    )


@pytest.fixture(scope="module", params=["geotiff", "zarr", "groklst"])
def made(request: pytest.FixtureRequest, scenes: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    if request.param == "zarr":
        pytest.importorskip("zarr")
    return prepare(job(scenes, tmp_path_factory.mktemp("made") / "set", format=request.param))


@pytest.fixture(scope="module")
def tiffs(scenes: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(job(scenes, tmp_path_factory.mktemp("tiffs") / "set"))


def pixels(prepared: Prepared, scenes: Iterable[SceneSource]) -> dict[str, set[tuple[int, int]]]:
    """The ground of each split: indices of 30 m pixels, counted from one corner for all scenes."""
    origins = {}
    for source in scenes:
        with rasterio.open(source.lst.path) as dataset:
            origins[source.name] = round(dataset.transform.c / PIXEL), round(-dataset.transform.f / PIXEL)
    ground: dict[str, set[tuple[int, int]]] = {"train": set(), "val": set(), "test": set()}
    for chip in prepared.manifest.chips:
        left, top = origins[chip.scene]
        columns, rows = range(left + chip.column, left + chip.column + 32), range(top + chip.row, top + chip.row + 32)
        ground[chip.split] |= set(itertools.product(columns, rows))
    return ground


@pytest.mark.parametrize("seed", range(5))
def test_no_ground_is_in_two_splits(seed: int, scenes: Any, tmp_path: Path) -> None:
    prepared = prepare(job(scenes, tmp_path / "set", seed=seed))
    ground = pixels(prepared, scenes)
    assert all(ground.values())
    for one, other in itertools.combinations(ground.values(), 2):
        assert not one & other
    by_split = {split: {chip.scene for chip in prepared.manifest.of_split(split)} for split in ("train", "test")}
    assert by_split["train"] == {"spring", "autumn"}  # the dates are not simply kept apart
    assert prepared.manifest.across > 0


def test_the_grid_of_a_chip_is_its_place(tiffs: Prepared, scenes: Any) -> None:
    """The windows that the test above trusts are true: chips lie in the sources where the manifest says."""
    for chip in tiffs.manifest.chips[::7]:
        source = next(source for source in scenes if source.name == chip.scene)
        with rasterio.open(source.lst.path) as whole, rasterio.open(tiffs.output / "fine" / f"{chip.name}.tif") as cut:
            assert cut.transform == whole.window_transform(((chip.row, chip.row + 32), (chip.column, chip.column + 32)))
            values = whole.read(1)[chip.row : chip.row + 32, chip.column : chip.column + 32]
            np.testing.assert_array_equal(cut.read(1, masked=True).filled(np.nan), values)
            assert cut.descriptions[0] == "lst"


def test_crops_overlap_by_half_and_are_valid(tiffs: Prepared) -> None:
    manifest = tiffs.manifest
    assert {chip.row % 16 for chip in manifest.chips} == {chip.column % 16 for chip in manifest.chips} == {0}
    assert {chip.row for chip in manifest.chips} == set(range(0, SIDE - 31, 16))
    for chip in manifest.chips:
        top, left = (max(0, (CLOUD[axis].stop or 0) - at) for axis, at in enumerate((chip.row, chip.column)))
        hidden = min(top, 32) * min(left, 32) if chip.scene == "autumn" else 0
        assert chip.valid == pytest.approx(1 - hidden / 32**2)
        assert chip.valid >= 0.8
    assert 0 < manifest.invalid < 9
    assert len(manifest.chips) + manifest.across + manifest.invalid == 2 * 9**2


def test_shares_and_seeds(tiffs: Prepared, scenes: Any, tmp_path: Path) -> None:
    counts = [len(tiffs.manifest.of_split(split)) for split in ("train", "val", "test")]
    assert counts[0] > counts[2] > counts[1] > 0
    other = prepare(job(scenes, tmp_path / "other", seed=1)).manifest
    assert [chip.split for chip in other.chips] != [chip.split for chip in tiffs.manifest.chips]
    alone = prepare(job(scenes, tmp_path / "alone", shares=(1, 0, 0))).manifest
    assert {chip.split for chip in alone.chips} == {"train"}
    assert alone.across == 0


def test_blocks_are_dealt_to_their_shares() -> None:
    crops = [frozenset({(0, row, column)}) for row in range(20) for column in range(10) for _ in range(4)]
    dealt = deal(crops, (0.6, 0.1, 0.3), seed=3)
    assert [dealt.count(split) for split in ("train", "val", "test")] == [480, 80, 240]
    assert deal(crops, (0.6, 0.1, 0.3), seed=3) == dealt


def test_scenes_share_the_ground_they_show() -> None:
    """Across CRSs and through a third; scenes that do not meet are on grounds of their own."""
    utm, degrees = CRS.from_epsg(32612), CRS.from_epsg(4326)
    place = Grid(utm, from_origin(500_000, 4_400_000, 30, 30), 100, 100)  # at 111° W, 39.75° N
    beside = Grid(utm, from_origin(502_000, 4_400_000, 30, 30), 100, 100)
    far = Grid(utm, from_origin(600_000, 4_400_000, 30, 30), 100, 100)
    touching = Grid(utm, from_origin(609_000 - 3000, 4_400_000, 30, 30), 100, 100)
    same = Grid(degrees, from_origin(-111.0, 39.75, 0.0003, 0.0003), 80, 80)
    grounds = find_grounds([place, far, beside, same, touching])
    numbers = [ground.number for ground in grounds]
    assert numbers[0] == numbers[2] == numbers[3]
    assert len(set(numbers)) == 3
    one = Grid(utm, place.transform, 32, 32)
    assert 1 <= len(grounds[0].blocks(one, 32)) <= 4


def test_statistics_are_those_of_the_training_chips(made: Prepared, capsys: pytest.CaptureFixture[str]) -> None:
    read = [load_chip(chip) for chip in chips(made.output, "train")]
    rows = {row.band: row for row in made.manifest.statistics}
    assert list(rows) == ["lst", *read[0].roles]
    for index, name in enumerate(rows):
        values = np.concatenate(
            [torch.cat([chip.lst, chip.guidance], dim=1)[0, index].numpy().ravel() for chip in read]
        )
        values = values[np.isfinite(values)].astype(np.float64)
        row = rows[name]
        expected = (values.size, values.mean(), values.std(), values.min(), values.max())
        assert (row.n, row.mean, row.std, row.min, row.max) == pytest.approx(expected, rel=1e-6)
    assert main(["statistics", "--dataset", str(made.output), "--split", "train", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["bands"]
    assert [row["mean"] for row in told] == pytest.approx([row.mean for row in rows.values()], rel=1e-9)


def test_formats_hold_the_same(made: Prepared, tiffs: Prepared) -> None:
    assert [chip.name for chip in made.manifest.chips] == [chip.name for chip in tiffs.manifest.chips]
    for one, other in zip(chips(made.output, "test"), chips(tiffs.output, "test"), strict=True):
        ours, theirs = load_chip(one), load_chip(other)
        assert (ours.name, ours.region) == (theirs.name, theirs.region) == (one.name, "valley")
        torch.testing.assert_close(ours.lst, theirs.lst, rtol=0, atol=0, equal_nan=True)
        for role in theirs.roles:
            bands = (part.guidance[:, part.roles.index(role)] for part in (ours, theirs))
            torch.testing.assert_close(*bands, rtol=0, atol=0, equal_nan=True)
        if made.manifest.format != "groklst":  # whose files know no place
            assert ours.grid == theirs.grid


def coarse(prepared: Prepared, name: str, scale: int) -> Any:
    folder = prepared.output
    if prepared.manifest.format == "geotiff":
        with rasterio.open(folder / f"lst_x{scale}" / f"{name}.tif") as dataset:
            return dataset.read(1, masked=True).filled(np.nan)
    if prepared.manifest.format == "zarr":
        import zarr

        return zarr.open_group(str(folder / "chips.zarr"), mode="r")[name][f"lst_x{scale}"][:]
    with h5py.File(folder / f"{30 * scale}m" / "lst" / f"{name}.mat") as content:
        return content["data"][:].T


@pytest.mark.parametrize("scale", [2, 4])
def test_the_coarse_lst_is_the_block_mean(scale: int, made: Prepared) -> None:
    for chip in chips(made.output, "train")[::9]:
        expected = block_mean(load_chip(chip).lst, scale)[0, 0].numpy()
        np.testing.assert_allclose(coarse(made, chip.name, scale), expected, rtol=1e-6)


@pytest.mark.parametrize("format", ["geotiff", "groklst"])
def test_a_gaussian_sensor(format: str, scenes: Any, tmp_path: Path) -> None:
    prepared = prepare(job(scenes[:1], tmp_path / "set", format=format, psf="gaussian", mtf=0.2))
    chip = load_chip(chips(prepared.output, "test")[0])
    assert chip.psf == Psf("gaussian", 0.2)
    expected, _ = aggregate(chip.lst, chip.mask, 4, Psf("gaussian", 0.2))
    np.testing.assert_allclose(coarse(prepared, chip.name, 4), expected[0, 0].numpy(), rtol=1e-6)
    assert (expected - block_mean(chip.lst, 4)).abs().max() > 0.01
    box = prepare(job(scenes[:1], tmp_path / "box", format=format))
    rmse = [
        evaluate(EvaluateJob(dataset=made.output, scales=(4,), methods=("bicubic",), device="cpu")).rows[0].scores.rmse
        for made in (prepared, box)
    ]
    assert rmse[0] > rmse[1]  # what is evaluated was blurred, too


def test_the_groklst_layout_is_read_by_its_reader(scenes: Any, tmp_path: Path) -> None:
    prepared = prepare(job(scenes, tmp_path / "set", format="groklst"))
    manifest = prepared.manifest
    for split in ("train", "val", "trainval", "test"):
        expected = [chip.name for chip in manifest.of_split(split)]
        assert [sample.name for sample in samples(prepared.output, split)] == expected
    sample = load_sample(Sample(prepared.output, manifest.chips[0].name))
    assert sample.roles == tuple(BANDS.values())
    assert sample.lst.shape == (1, 1, 32, 32)


class Stop:
    """Cancels when so many chips are there."""

    def __init__(self, token: CancelToken, chips: int) -> None:
        self._token, self._left = token, chips

    def __call__(self, event: Event) -> None:
        if event.message.startswith("Cutting"):
            self._left -= 1
            if self._left < 0:
                self._token.cancel()


def content(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_an_interrupted_preparation_goes_on(made: Prepared, scenes: Any, tmp_path: Path) -> None:
    wish = job(scenes, tmp_path / "set", format=made.manifest.format)
    token = CancelToken()
    with pytest.raises(Cancelled, match="is kept"):
        prepare(wish, Stop(token, 10), token)
    assert not wish.output.exists()
    names = open_store(wish.format, tmp_path / "set.part").names()
    assert 0 < len(names) <= 11
    resumed = prepare(wish)
    assert resumed.kept == len(names)
    assert content(resumed.output) == content(made.output)
    assert not (tmp_path / "set.part").exists()


def test_after_an_interruption_a_changed_scene_is_cut_again(landscape: SyntheticScene, tmp_path: Path) -> None:
    sources = [scene(tmp_path / "in", "one", landscape), scene(tmp_path / "in", "two", landscape, west=500)]
    wish = job(sources, tmp_path / "set")
    token = CancelToken()
    with pytest.raises(Cancelled):
        prepare(wish, Stop(token, 40), token)
    there = open_store("geotiff", tmp_path / "set.part").names()
    assert {name.split("_")[0] for name in there} == {"one", "two"} or len(there) >= 40
    with rasterio.open(sources[0].lst.path, "r+") as dataset:
        dataset.write(dataset.read(1) + 1, 1)
    resumed = prepare(wish)
    assert resumed.kept == sum(name.startswith("two") for name in there)
    anew = prepare(job(sources, tmp_path / "anew"))
    assert (
        content(resumed.output).items()
        >= {file: digest for file, digest in content(anew.output).items() if file != "manifest.json"}.items()
    )


def test_a_finished_data_set(scenes: Any, tmp_path: Path) -> None:
    wish = job(scenes[:1], tmp_path / "set")
    first = prepare(wish)
    before = {file: file.stat().st_mtime_ns for file in first.output.rglob("*.tif")}
    again = prepare(wish)
    assert again.kept == len(first.manifest.chips)
    assert before == {file: file.stat().st_mtime_ns for file in first.output.rglob("*.tif")}
    with pytest.raises(OutputError, match="with other options"):
        prepare(job(scenes[:1], tmp_path / "set", seed=1))
    assert read_manifest(first.output) == first.manifest
    token = CancelToken()
    with pytest.raises(Cancelled):
        prepare(job(scenes[:1], tmp_path / "set", seed=1, overwrite=True), Stop(token, 3), token)
    assert read_manifest(first.output) == first.manifest  # there until its successor is
    assert before == {file: file.stat().st_mtime_ns for file in first.output.rglob("*.tif")}
    other = prepare(job(scenes[:1], tmp_path / "set", seed=1, overwrite=True))
    assert read_manifest(first.output) == other.manifest != first.manifest
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_changed_sources_are_refused(landscape: SyntheticScene, tmp_path: Path) -> None:
    source = scene(tmp_path / "in", "one", landscape)
    prepare(job([source], tmp_path / "set"))
    with rasterio.open(source.lst.path, "r+") as dataset:
        dataset.write(dataset.read(1) + 1, 1)
    with pytest.raises(OutputError, match="other content of the same files"):
        prepare(job([source], tmp_path / "set"))


def test_the_manifest(tiffs: Prepared, scenes: Any) -> None:
    document = json.loads((tiffs.output / "manifest.json").read_text("utf-8"))
    assert document["version"] == 1
    assert document["units"]["lst"] == "K"
    assert document["job"]["crop"] == 32
    entry = document["scenes"][0]
    assert entry["crs"] == "EPSG:32612"
    assert entry["pixel"] == [30, 30]
    assert entry["files"][0] == {
        "path": scenes[0].lst.path,
        "sha256": hashlib.sha256(Path(scenes[0].lst.path).read_bytes()).hexdigest(),
    }


def test_no_room_on_the_disk(scenes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_bytes
    left = itertools.count(8, -1)

    def write_bytes(path: Path, data: bytes) -> int:
        if next(left) < 0:
            raise OSError(28, "No space left on device")
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(OutputError, match=r"No space left on device.*is kept\.$"):
            prepare(job(scenes, tmp_path / "set"))
    assert prepare(job(scenes, tmp_path / "set")).kept == 3  # a chip is three files here


def test_folders_that_do_not_serve(scenes: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        prepare(job(scenes, tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(job(scenes, tmp_path / "file" / "set"))
    with pytest.raises(OutputError, match="something else"):
        prepare(job(scenes, tmp_path, overwrite=True))
    assert (tmp_path / "file").read_text() == "mine"


def test_scenes_that_do_not_serve(scenes: Any, landscape: SyntheticScene, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no crop of 512"):
        prepare(job(scenes, tmp_path / "set", crop=512))
    bare = scenes[0].model_copy(update={"guidance": ()})
    with pytest.raises(InputError, match="which GrokLST has"):
        prepare(job([bare], tmp_path / "other", format="groklst"))
    (chip, *_) = prepare(job([bare], tmp_path / "bare")).manifest.chips
    assert load_chip(chips(tmp_path / "bare", chip.split)[0]).roles == ()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"crop": 36, "scales": (8,)}, "no multiple of 8"),
        ({"block": 16}, "hold no crop"),
        ({"shares": (0, 0.5, 0.5)}, "must be positive"),
        ({"format": "groklst", "scales": (3,)}, "no place for scale 3"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], word: str, scenes: Any, tmp_path: Path) -> None:
    document = job(scenes, tmp_path / "set").model_dump() | options
    with pytest.raises(InputError, match=word):
        parse_job(document)


def test_names_are_unique(scenes: Any, tmp_path: Path) -> None:
    document = job(scenes, tmp_path / "set").model_dump()
    with pytest.raises(InputError, match="same name"):
        parse_job(document | {"scenes": document["scenes"][:1] * 2})


def test_zarr_that_is_missing(scenes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"pip install 'groklst\[zarr\]'"):
        prepare(job(scenes, tmp_path / "set", format="zarr"))


def test_a_damaged_data_set_is_named(scenes: Any, tmp_path: Path) -> None:
    prepared = prepare(job(scenes[:1], tmp_path / "set"))
    (name, *_) = [chip.name for chip in chips(prepared.output, "test")]
    (prepared.output / "fine" / f"{name}.tif").write_bytes(b"no tiff")
    with pytest.raises(InputError, match=name):
        load_chip(chips(prepared.output, "test")[0])
    (prepared.output / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read"):
        chips(prepared.output, "test")


def test_from_the_command_line_to_weights(scenes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "scenes.json"
    manifest.write_text(json.dumps([source.model_dump(mode="json") for source in scenes]), "utf-8")
    folder, weights = str(tmp_path / "set"), str(tmp_path / "mine.safetensors")
    command = ["prepare", "--scenes", str(manifest), "--crop", "48", "--scales", "4", "--min-valid", "0.5"]
    assert main([*command, "--shares", "60,10,30", "-o", folder]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "chips of 48 × 48 pixels" in told
    assert "ndvi" in told
    train = ["train", "--dataset", folder, "--model", "guided-residual", "--scale", "4", "--crop", "48", "--batch", "2"]
    assert main([*train, "--iterations", "2", "--device", "cpu", "-o", weights]) == 0
    assert read_card(Path(weights)).roles == roles_in(Path(folder))
    assert {"dem", "rededge", "ndwi"} < set(roles_in(Path(folder)))  # ndwi is computed
    capsys.readouterr()
    score = ["evaluate", "--dataset", folder, "--split", "test", "--scales", "4", "--methods", weights]
    assert main([*score, "--device", "cpu", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["region"] for row in rows} == {"valley"}
    assert {row["scene"] for row in rows} == {chip.name for chip in chips(Path(folder), "test")}


def test_a_pair_of_rasters_without_a_manifest(scenes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = scenes[0]
    roles = ",".join(source.guidance[0].roles)
    files = ["--lst", source.lst.path, "--guidance", f"{source.guidance[0].path}:{roles}", "--native", "2"]
    assert main(["prepare", *files, "--crop", "16", "--scales", "2,4", "-o", str(tmp_path / "set"), "--json"]) == 0, (
        capsys.readouterr().err
    )
    result = json.loads(capsys.readouterr().out)
    assert sum(result["chips"].values()) > 0
    chip: FineScene = load_chip(chips(tmp_path / "set", "train")[0])
    assert chip.grid.pixel == (60, 60)
    whole = load_scene(source.model_copy(update={"native": 2}))
    row, column = (int(part[1:]) for part in chip.name.split("_")[-2:])
    torch.testing.assert_close(chip.lst, whole.lst[..., row : row + 16, column : column + 16], equal_nan=True)
