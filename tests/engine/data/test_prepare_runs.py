"""A preparation that is interrupted, repeated or refused, and the commands that make and read a data set."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import rasterio
import torch
from cutting import job, scene

from groklst_engine.cli import main
from groklst_engine.data.chips import open_store
from groklst_engine.data.dataset import FineScene, load_scene
from groklst_engine.data.prepare import Prepared, prepare
from groklst_engine.data.prepared import chips, load_chip, read_manifest
from groklst_engine.data.sources import roles_in
from groklst_engine.data.synthetic import SyntheticScene
from groklst_engine.errors import Cancelled, InputError, OutputError
from groklst_engine.events import CancelToken, Event
from groklst_engine.jobs import parse_job
from groklst_engine.weights import read_card


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
