"""The user's own weights: a method under their name, and never in the way of GrokLST's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rasters import ROLES, coarse_lst, random_weights, read, run, write

from groklst_engine.cli import main
from groklst_engine.errors import GroklstError, InputError, ModelError, OutputError
from groklst_engine.events import ignore
from groklst_engine.inputs import DEFAULT_NETWORK
from groklst_engine.jobs import parse_job
from groklst_engine.methods import get_method, list_methods
from groklst_engine.models.zoo import create_model
from groklst_engine.probe import probe
from groklst_engine.registry import run_weights_job
from groklst_engine.weights import ModelCard, load_weights, read_card, save_weights, shipped_weights, user_folder
from groklst_engine.weights_jobs import WeightsJob

SIZES = {"width": 4, "dilations": (1,), "windows": (1,)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "Mine.safetensors"
    return random_weights(file, "guided-residual", (2, 4), head=0.1, **SIZES)


def do(action: str, **options: Any) -> dict[str, Any]:
    """Run a job as the worker does."""
    job = parse_job({"kind": f"weights-{action}", **options})
    assert isinstance(job, WeightsJob)
    return run_weights_job(job, ignore)


def names() -> list[str]:
    return [spec.name for spec in list_methods()]


def test_added_weights_are_a_method(weights: Path, own_weights: Path, tmp_path: Path) -> None:
    before = names()
    assert do("add", file=weights)["name"] == "mine"
    shipped = len(shipped_weights())
    assert names() == [*before[:shipped], "mine", *before[shipped:]]
    assert "mine" in {method["name"] for method in probe()["methods"]}
    lst = write(tmp_path / "lst.tif", coarse_lst(8))
    by_name = run(lst, output=tmp_path / "a.tif", method="mine", scale=2).output
    by_path = run(lst, output=tmp_path / "b.tif", method=str(weights), scale=2).output
    assert read(by_name).tobytes() == read(by_path).tobytes()
    assert [path.name for path in own_weights.iterdir()] == ["mine.safetensors"]


def test_a_file_shows_its_card_and_the_parts_to_freeze(weights: Path, tmp_path: Path) -> None:
    shown = do("show", name=str(weights))
    assert shown["card"]["scales"] == [2, 4]
    assert shown["parts"] == ["blocks.", "head.", "stem."]
    with pytest.raises(ModelError, match="is missing or damaged: get it again"):
        do("show", name=str(tmp_path / "none.safetensors"))


def test_the_way_of_weights(weights: Path, own_weights: Path, tmp_path: Path) -> None:
    do("add", file=weights, name="alberta")
    do("rename", name="alberta", new_name="prairie")
    entry = do("list")["weights"][-1]
    assert (entry["name"], entry["shipped"], entry["scales"], entry["problem"]) == ("prairie", False, [2, 4], None)
    assert "Network: `guided-residual`" in do("show", name="prairie")["text"]
    do("export", name="prairie", file=tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == weights.read_bytes()
    do("delete", name="prairie")
    assert list(own_weights.iterdir()) == []
    with pytest.raises(ModelError, match="Unknown method 'prairie'"):
        get_method("prairie")


def test_shipped_weights_stay_as_they_are(tmp_path: Path) -> None:
    for action, options in (("delete", {}), ("rename", {"new_name": "mine"})):
        with pytest.raises(ModelError, match="shipped"):
            do(action, name=DEFAULT_NETWORK, **options)
    do("export", name=DEFAULT_NETWORK, file=tmp_path / "copy.safetensors")
    assert read_card(tmp_path / "copy.safetensors").sha256 == get_method(DEFAULT_NETWORK).sha256


@pytest.mark.parametrize("name", [DEFAULT_NETWORK, "bicubic"])
def test_names_of_grok_lst_win(name: str, weights: Path, own_weights: Path) -> None:
    before = get_method(name)
    with pytest.raises(InputError, match=f"'{name}' is the name of a method of GrokLST"):
        do("add", file=weights, name=name, overwrite=True)
    own_weights.mkdir()
    (own_weights / f"{name}.safetensors").write_bytes(weights.read_bytes())
    assert (get_method(name).kind, get_method(name).sha256) == (before.kind, before.sha256)
    assert names().count(name) == 1


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Upper", ".hidden", "with space", "x" * 65])
def test_a_name_that_cannot_be(name: str, weights: Path, own_weights: Path) -> None:
    do("add", file=weights, name="old")
    with pytest.raises(InputError, match="cannot be the name of weights"):
        do("rename", name="old", new_name=name)
    assert [path.name for path in own_weights.iterdir()] == ["old.safetensors"]


def test_nothing_is_overwritten_unasked(weights: Path, own_weights: Path, tmp_path: Path) -> None:
    other = random_weights(tmp_path / "other.safetensors", "guided-residual", (2,), head=0.2, **SIZES)
    do("add", file=weights)
    do("add", file=other)
    out = tmp_path / "out.safetensors"
    out.write_text("precious")
    wishes = (
        ("add", {"file": other, "name": "mine"}),
        ("rename", {"name": "other", "new_name": "mine"}),
        ("export", {"name": "other", "file": out}),
    )
    for action, options in wishes:
        with pytest.raises(OutputError, match="exists already"):
            do(action, **options)
    assert (own_weights / "mine.safetensors").read_bytes() == weights.read_bytes()
    assert out.read_text() == "precious"
    for action, options in reversed(wishes[:2]):
        do(action, **options, overwrite=True)
        assert (own_weights / "mine.safetensors").read_bytes() == other.read_bytes()


def test_what_is_damaged_is_not_added(weights: Path, own_weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(content)
    card = ModelCard(name="a", architecture="guided-residual", arguments=SIZES | {"width": 5}, scales=(2,), roles=ROLES)
    save_weights(tmp_path / "misfit.safetensors", create_model("guided-residual", scale=2, guidance_bands=3), card)
    for name in ("bad", "misfit", "missing"):
        with pytest.raises(ModelError, match=f"{name}.safetensors"):
            do("add", file=tmp_path / f"{name}.safetensors")
    assert not own_weights.exists()


def test_a_damaged_file_in_the_folder_is_listed_with_its_problem(own_weights: Path) -> None:
    own_weights.mkdir()
    (own_weights / "broken.safetensors").write_text("nothing")
    assert "broken.safetensors' is missing or damaged" in do("list")["weights"][-1]["problem"]
    assert "broken" not in names()


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", "XDG_DATA_HOME", "data/groklst/weights"),
        ("linux", None, "home/.local/share/groklst/weights"),
        ("win32", "APPDATA", "data/groklst/weights"),
        ("darwin", None, "home/Library/Application Support/groklst/weights"),
    ],
)
def test_the_folder_is_where_the_platform_keeps_data(
    platform: str, variable: str | None, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GROKLST_WEIGHTS", "XDG_DATA_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "data"))
    assert user_folder() == tmp_path / folder


@pytest.mark.parametrize(
    ("file", "scale", "error"),
    [("a.tif", None, "must end in"), ("a.safetensors", 4, "leave the scale out"), ("a.onnx", None, "--scale")],
)
def test_an_export_that_makes_no_sense(file: str, scale: int | None, error: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=error):
        do("export", name=DEFAULT_NETWORK, file=tmp_path / file, scale=scale)
    assert list(tmp_path.iterdir()) == []


def test_onnx_computes_the_same(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    card = ModelCard(name="srcnn", architecture="srcnn", scales=(4,))
    save_weights(tmp_path / "mine.safetensors", create_model("srcnn", scale=4), card)
    do("add", file=tmp_path / "mine.safetensors")
    assert do("export", name="mine", file=tmp_path / "net.onnx", scale=4)["largest_difference"] < 1e-4
    network, _ = load_weights(tmp_path / "mine.safetensors", 4)
    lst = torch.randn(1, 1, 20, 28)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    (fine,) = session.run(["fine"], {"lst": lst.numpy()})
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(fine), network(lst), atol=1e-4, rtol=0)
    assert json.loads(session.get_modelmeta().custom_metadata_map["groklst"])["architecture"] == "srcnn"
    with pytest.raises(ModelError, match="trained for the scales 4, not 2"):
        do("export", name="mine", file=tmp_path / "other.onnx", scale=2)


def test_onnx_without_its_packages_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["weights", "export", DEFAULT_NETWORK, str(tmp_path / "a.onnx"), "--scale", "4"]) == 1
    assert "lacks the package onnxruntime" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_commands(weights: Path, own_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = str(tmp_path / "copy.safetensors")
    said = {}
    for words in (["add", str(weights), "--name", "a"], ["list"], ["show", "a"], ["rename", "a", "b"],
                  ["export", "b", copy], ["delete", "b"]):  # fmt: skip
        assert main(["weights", *words]) == 0
        said[words[0]] = capsys.readouterr().out
    assert "--method a" in said["add"]
    assert [line.split()[:2] for line in said["list"].splitlines() if "yours" in line] == [["a", "yours"]]
    assert said["show"].startswith("# Mine")
    assert Path(copy).is_file()
    assert list(own_weights.iterdir()) == []
    assert main(["weights", "show", "groklst-smal"]) == 1
    assert "did you mean 'groklst-small'?" in capsys.readouterr().err


def test_a_job_is_validated() -> None:
    for wrong in ({"kind": "weights-show"}, {"kind": "weights-delete", "name": "a", "path": "b"}):
        with pytest.raises(GroklstError, match=r"Option '(name|path)'"):
            parse_job(wrong)
