"""Rasters become a data set: cut, dealt to splits by the ground, stored, resumed, and read like any other scenes."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch
from cutting import CLOUD, PIXEL, SIDE, job
from rasterio.crs import CRS
from rasterio.transform import from_origin

from groklst_engine.cli import main
from groklst_engine.data.blocks import deal, find_grounds
from groklst_engine.data.groklst import BANDS, Sample, load_sample, samples
from groklst_engine.data.prepare import Prepared, prepare
from groklst_engine.data.prepared import chips, load_chip
from groklst_engine.degrade import aggregate, block_mean
from groklst_engine.evaluation import evaluate
from groklst_engine.grid import Grid
from groklst_engine.inputs import SceneSource
from groklst_engine.jobs import EvaluateJob
from groklst_engine.physics.psf import Psf


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
