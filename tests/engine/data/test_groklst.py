"""The GrokLST data set: a small one in its exact layout is read, summed up, trained on and scored."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from rasterio.transform import from_origin
from rasters import groklst_scene, write_groklst
from test_evaluation import bicubic

from groklst_engine.cli import main
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.groklst import (
    BANDS,
    GUIDANCE_CONSTANTS,
    LST_CONSTANTS,
    RESOLUTIONS,
    Sample,
    load_sample,
    samples,
    write_sample,
)
from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.degrade import block_mean
from groklst_engine.errors import InputError
from groklst_engine.evaluation import evaluate
from groklst_engine.jobs import EvaluateJob, parse_job
from groklst_engine.metrics import score
from groklst_engine.weights import read_card

HEIGHT, WIDTH = 64, 72  # unequal: a transposed file would show
PUBLISHED_ORDER = ["dem", "deepblue", "blue", "green", "red", "vre", "nir", "ndmvi", "ndvi", "ndwi"]
SPLITS = {"train": ["a"], "val": ["b"], "trainval": ["a", "b"], "test": ["c"]}


@pytest.fixture(scope="module")
def crops(landscape: SyntheticScene) -> dict[str, FineScene]:
    return {name: groklst_scene(landscape, name, top, HEIGHT, WIDTH) for name, top in (("a", 0), ("b", 64), ("c", 128))}


@pytest.fixture(scope="module", params=["5", "7.3"])
def dataset(
    request: pytest.FixtureRequest, crops: dict[str, FineScene], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "GrokLST"
    write_groklst(folder, crops.values(), SPLITS, request.param)
    return folder


@pytest.fixture
def broken(crops: dict[str, FineScene], tmp_path: Path) -> Path:
    """A data set of one sample, to be damaged."""
    write_groklst(tmp_path / "GrokLST", [crops["a"]], {"test": ["a"]})
    return tmp_path / "GrokLST"


def test_the_layout_is_the_published_one(dataset: Path, crops: dict[str, FineScene]) -> None:
    assert {path.name for path in dataset.iterdir()} == {"30m", "60m", "120m", "240m", "split"}
    assert (dataset / "split" / "trainval.txt").read_text() == "a\nb\n"
    for resolution in RESOLUTIONS:
        for kind in ("lst", "guidance"):
            assert {path.name for path in (dataset / f"{resolution}m" / kind).iterdir()} == {"a.mat", "b.mat", "c.mat"}
    lst, guidance = dataset / "60m" / "lst" / "c.mat", dataset / "30m" / "guidance" / "c.mat"
    expected = block_mean(crops["c"].lst, 2)[0, 0].numpy()
    if h5py.is_hdf5(lst):
        assert lst.read_bytes().startswith(b"MATLAB 7.3 MAT-file")
        with h5py.File(lst) as file:
            assert file["data"].shape == (WIDTH // 2, HEIGHT // 2), "MATLAB's order"
            np.testing.assert_array_equal(file["data"][()].T, expected)
            assert file["data"].attrs["MATLAB_class"] == b"single"
        with h5py.File(guidance) as file:
            assert set(file) == set(PUBLISHED_ORDER)
    else:
        np.testing.assert_array_equal(scipy.io.loadmat(lst)["data"], expected)
        assert [name for name, *_ in scipy.io.whosmat(guidance)] == PUBLISHED_ORDER


def test_what_is_read_is_what_was_written(dataset: Path, crops: dict[str, FineScene]) -> None:
    assert [sample.name for sample in samples(dataset, "trainval")] == ["a", "b"]
    (sample,) = samples(dataset, "test")
    scene, written = load_sample(sample), crops["c"]
    assert scene.name == "c"
    assert scene.region == "GrokLST"
    assert scene.roles == ("dem", "coastal", "blue", "green", "red", "rededge", "nir", "ndmvi", "ndvi", "ndwi")
    assert torch.equal(scene.lst, written.lst)
    for role, band in zip(scene.roles, scene.guidance[0], strict=True):
        assert torch.equal(band, written.guidance[0, written.roles.index(role)])
    assert scene.grid.pixel == (30, 30)
    assert scene.grid.bounds == (0, 0, 30 * WIDTH, 30 * HEIGHT)


def test_other_resolutions_and_multiples(dataset: Path, crops: dict[str, FineScene]) -> None:
    scene = load_sample(Sample(dataset, "c", 120), multiple=3)
    assert scene.lst.shape == (1, 1, 15, 18)
    assert scene.grid.transform == from_origin(0, 15 * 120, 120, 120)
    torch.testing.assert_close(scene.lst, block_mean(crops["c"].lst, 4)[..., :15, :18])


def test_missing_values_stay_missing(crops: dict[str, FineScene], broken: Path) -> None:
    lst = crops["a"].lst[0, 0].numpy().astype(np.float64)
    lst[3, 5], lst[4, 6] = np.nan, np.inf
    scipy.io.savemat(broken / "30m" / "lst" / "a.mat", {"data": lst})
    scene = load_sample(Sample(broken, "a"))
    assert scene.lst.dtype == torch.float32
    assert torch.nonzero(scene.lst[0, 0].isnan()).tolist() == [[3, 5], [4, 6]]
    assert int((~scene.mask).sum()) == 2


def test_the_constants_cover_every_band() -> None:
    assert list(BANDS) == PUBLISHED_ORDER
    assert set(GUIDANCE_CONSTANTS) == set(BANDS.values())
    assert set(LST_CONSTANTS) == set(RESOLUTIONS) - {30}
    for band in (*GUIDANCE_CONSTANTS.values(), *LST_CONSTANTS.values()):
        assert band.minimum < band.mean < band.maximum
        assert 0 < band.std < (band.maximum - band.minimum) / 2


def test_statistics(dataset: Path, crops: dict[str, FineScene], capsys: pytest.CaptureFixture[str]) -> None:
    command = ["statistics", "--dataset", str(dataset)]
    assert main([*command, "--json"]) == 0
    rows = {row["band"]: row for row in json.loads(capsys.readouterr().out)["bands"]}
    assert list(rows) == ["lst", *BANDS.values()]
    for name, row in rows.items():
        values = np.concatenate(
            [
                (scene.lst if name == "lst" else scene.guidance[:, scene.roles.index(name)]).numpy().ravel()
                for scene in (crops["a"], crops["b"])
            ]
        ).astype(np.float64)
        expected = (values.size, values.mean(), values.std(), values.min(), values.max())
        assert [row[key] for key in ("n", "mean", "std", "min", "max")] == pytest.approx(expected, rel=1e-6)
    assert (rows["dem"]["published_mean"], rows["dem"]["published_std"]) == (2569.38, 1254.35)
    assert rows["lst"]["published_mean"] is None
    assert main([*command, "--split", "val"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "band"
    assert first.split()[:2] == ["lst", str(HEIGHT * WIDTH)]


def test_statistics_of_a_manifest(clear: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scenes.json"
    guidance = [{"path": str(clear.dem), "roles": ["dem"]}]
    file.write_text(json.dumps([{"name": "clear", "lst": {"path": str(clear.truth)}, "guidance": guidance}]), "utf-8")
    assert main(["statistics", "--scenes", str(file), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["bands"]
    assert [row["band"] for row in rows] == ["lst", "dem"]
    assert all(set(row) == {"band", "n", "mean", "std", "min", "max"} for row in rows)


def test_bicubic_scores_are_those_of_the_files(dataset: Path) -> None:
    """The data set's 60 m LST, interpolated here to 30 m, scores as ``evaluate`` says."""
    result = evaluate(EvaluateJob(dataset=dataset, scales=(2,), methods=("bicubic",), device="cpu"))
    (row,) = result.rows
    coarse, truth = (load_sample(Sample(dataset, "c", metres), 4).lst[0, 0].numpy() for metres in (60, 30))
    assert row.scene == "c"
    assert row.scores.to_json() == pytest.approx(score(bicubic(coarse, 2), truth).to_json(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("model", ["srcnn", "edsr", "fdsr", "djfr", "svlrm", "mocolsk"])
def test_networks_train_and_are_scored(
    model: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / f"{model}.safetensors"
    options = [
        "--roles",
        ",".join(BANDS.values()),
        "--scales",
        "2",
        "--iterations",
        "2",
        "--batch",
        "2",
        "--crop",
        "32",
    ]
    preset = ["--preset", "small"] if model == "mocolsk" else []
    train = ["train", "--dataset", str(dataset), "--split", "trainval", "--model", model, *preset, *options]
    assert main([*train, "--device", "cpu", "-o", str(weights)]) == 0
    card = read_card(weights)
    assert card.training["scenes"] == ["a", "b"]
    assert str(dataset) not in weights.with_suffix(".md").read_text("utf-8")
    capsys.readouterr()
    methods = ["--methods", str(weights), "--scales", "2", "--device", "cpu", "--json"]
    assert main(["evaluate", "--dataset", str(dataset), "--split", "test", *methods]) == 0
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert set(rows) == {"bicubic", str(weights)}
    for row in rows.values():
        assert row["scene"] == "c"
        assert all(np.isfinite(row[name]) for name in ("rmse", "mae", "bias", "cc", "rsd"))


def test_overlapping_crops_cannot_validate_each_other(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--dataset", str(dataset), "--cross-validate", "GrokLST", "-o", str(tmp_path / "a.safetensors")]
    assert main(command) == 1
    assert "only one" in capsys.readouterr().err


def damage_split(folder: Path) -> None:
    (folder / "split" / "test.txt").unlink()


def empty_split(folder: Path) -> None:
    (folder / "split" / "test.txt").write_text("\n")


def lose_file(folder: Path) -> None:
    (folder / "30m" / "guidance" / "a.mat").unlink()


def fill_with_noise(folder: Path) -> None:
    (folder / "30m" / "lst" / "a.mat").write_bytes(b"no MATLAB file" * 99)


def lose_band(folder: Path) -> None:
    file = folder / "30m" / "guidance" / "a.mat"
    bands = scipy.io.loadmat(file, variable_names=PUBLISHED_ORDER)
    scipy.io.savemat(file, {name: bands[name] for name in PUBLISHED_ORDER if name != "vre"})


def cut_lst(folder: Path) -> None:
    scipy.io.savemat(folder / "30m" / "lst" / "a.mat", {"data": np.full((8, 8), 300.0)})


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (damage_split, "split/test.txt"),
        (empty_split, "names no sample"),
        (lose_file, "lacks"),
        (fill_with_noise, "no readable MATLAB file"),
        (lose_band, "field 'vre'"),
        (cut_lst, "differ in size"),
    ],
)
def test_a_damaged_data_set_is_named(
    harm: Callable[[Path], None], word: str, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(broken)
    assert main(["evaluate", "--dataset", str(broken), "--methods", "bicubic"]) == 1
    (sentence,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert word in sentence
    assert str(broken) in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("package", ["scipy", "h5py"])
def test_a_missing_library_is_named(package: str, broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith("scipy.io")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(InputError, match=r"pip install 'groklst\[datasets\]'"):
        load_sample(Sample(broken, "a"))


def test_a_scene_that_does_not_fit_is_not_written(crops: dict[str, FineScene], tmp_path: Path) -> None:
    whole = crops["a"]
    poor = FineScene("poor", "poor", whole.lst, whole.guidance[:, 1:], whole.roles[1:], whole.grid)
    with pytest.raises(InputError, match=f"no band '{whole.roles[0]}'"):
        write_sample(tmp_path, poor)
    odd = FineScene("odd", "odd", whole.lst[..., :60, :], whole.guidance[..., :60, :], whole.roles, whole.grid)
    with pytest.raises(InputError, match="multiples of 8"):
        write_sample(tmp_path, odd)


@pytest.mark.parametrize("kind", ["train", "evaluate", "statistics"])
@pytest.mark.parametrize("both", [True, False])
def test_scenes_or_a_dataset(kind: str, both: bool) -> None:
    sources = {"scenes": [{"name": "a", "lst": {"path": "a.tif"}}], "dataset": "folder"} if both else {}
    output = {"output": "a.safetensors"} if kind == "train" else {}
    with pytest.raises(InputError, match=r"^Give scenes or a dataset, one of them\.$"):
        parse_job({"kind": kind, **sources, **output})
