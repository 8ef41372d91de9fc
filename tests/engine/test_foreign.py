"""Weights of other programs: every tensor finds its place, or nothing is written; nothing in them ever runs."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.cli import main
from groklst_engine.errors import InputError, ModelError, OutputError
from groklst_engine.events import Event
from groklst_engine.foreign import import_weights, match, read_foreign
from groklst_engine.models.zoo import create_model
from groklst_engine.weights import load_weights
from groklst_engine.weights_jobs import ImportWeightsJob

SIZES = {"num_feats": 8, "n_resblocks": 1}


def network(**arguments: Any) -> nn.Module:
    torch.manual_seed(3)
    return create_model("edsr", scale=2, **(SIZES | arguments))


def renamed(state: dict[str, Tensor]) -> OrderedDict[str, Tensor]:
    return OrderedDict((f"net.{number}", tensor) for number, tensor in enumerate(state.values()))


def job(file: Path, **options: Any) -> ImportWeightsJob:
    wish = {"model": "edsr", "scale": 2, "arguments": SIZES, "output": file.with_name("out.safetensors")}
    return ImportWeightsJob(file=file, **(wish | options))


@pytest.mark.parametrize("place", [None, "state_dict", "params", "model"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_is_found(place: str | None, legacy: bool, tmp_path: Path) -> None:
    state = network().state_dict()
    document = state if place is None else {"epoch": 3, place: state}
    torch.save(document, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    result = import_weights(job(tmp_path / "a.pth", label="EDSR"))
    assert {row["state"] for row in result["rows"]} == {"matched"}
    loaded, card = load_weights(tmp_path / "out.safetensors", 2)
    lst = torch.randn(1, 1, 8, 8)
    assert torch.equal(loaded(lst), network().eval()(lst))
    assert (card.label, card.licence, card.scales) == ("EDSR", "not stated", (2,))


def test_other_names_are_matched_by_order_with_a_warning(tmp_path: Path) -> None:
    torch.save(renamed(network().state_dict()), tmp_path / "a.pth")
    events: list[Event] = []
    result = import_weights(job(tmp_path / "a.pth"), events.append)
    assert {row["state"] for row in result["rows"]} == {"matched by order"}
    assert [event.level for event in events] == ["warning"]
    loaded, _ = load_weights(tmp_path / "out.safetensors", 2)
    assert all(map(torch.equal, loaded.state_dict().values(), network().state_dict().values()))


def test_a_prefix_is_taken_away(tmp_path: Path) -> None:
    state = {f"generator.{name}": tensor.half() for name, tensor in network().state_dict().items()}
    torch.save({"state_dict": state | {"step_counter": torch.zeros(1)}}, tmp_path / "a.pth")
    result = import_weights(job(tmp_path / "a.pth", prefix="generator."))
    assert {row["state"] for row in result["rows"]} == {"matched"}
    loaded, _ = load_weights(tmp_path / "out.safetensors", 2)
    assert all(tensor.dtype == torch.float32 for tensor in loaded.state_dict().values())


def test_every_kind_of_row() -> None:
    own = {"same": torch.zeros(2), "shape": torch.zeros(3), "ours": torch.zeros(4), "absent": torch.zeros(5)}
    foreign = {
        "extra": torch.zeros(9),
        "theirs": torch.zeros(4),
        "shape": torch.zeros(4),
        "same": torch.zeros(2),
        "whole": torch.zeros(5, dtype=torch.int64),
    }
    rows = [(row.state, row.name, row.foreign, row.shape, row.foreign_shape) for row in match(own, foreign)]
    assert rows == [
        ("matched", "same", "same", (2,), (2,)),
        ("other shape", "shape", "shape", (3,), (4,)),
        ("matched by order", "ours", "theirs", (4,), (4,)),
        ("missing", "absent", None, (5,), None),
        ("unexpected", None, "extra", None, (9,)),
        ("unexpected", None, "whole", None, (5,)),
    ]


@pytest.mark.parametrize("names", ["same", "other"])
@pytest.mark.parametrize("arguments", [{"num_feats": 6}, {"n_resblocks": 2}, {"n_resblocks": 3, "num_feats": 7}])
def test_what_does_not_match_is_reported_and_not_written(arguments: dict[str, int], names: str, tmp_path: Path) -> None:
    state = network(**arguments).state_dict()
    torch.save(state if names == "same" else renamed(state), tmp_path / "a.pth")
    events: list[Event] = []
    with pytest.raises(ModelError, match=r"tensors of '.*a\.pth' and the network 'edsr' do not fit"):
        import_weights(job(tmp_path / "a.pth", report=tmp_path / "rows.json"), events.append)
    rows = json.loads((tmp_path / "rows.json").read_text())
    wrong = [row for row in rows if not row["state"].startswith("matched")]
    assert wrong
    assert len(events) == len(wrong)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth", "rows.json"]


def test_tensors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = network().state_dict()
    next(iter(state.values())).view(-1)[0] = torch.nan
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="NaN"):
        import_weights(job(tmp_path / "a.pth"))
    assert not (tmp_path / "out.safetensors").exists()


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("form", ["zip", "legacy", "plain pickle", "in the state dict"])
def test_code_in_a_file_is_refused_and_does_not_run(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, proof = tmp_path / "evil.pth", tmp_path / "proof"
    if form == "plain pickle":
        file.write_bytes(pickle.dumps(Malicious(proof)))
    elif form == "in the state dict":
        torch.save(network().state_dict() | {"last": Malicious(proof)}, file)
    else:
        torch.save(Malicious(proof), file, _use_new_zipfile_serialization=form == "zip")
    arguments = ["weights", "import", str(file), "--model", "edsr", "--scale", "2"]
    assert main([*arguments, "-o", str(tmp_path / "out.safetensors")]) == 1
    said = capsys.readouterr().err
    assert "evil.pth' is refused" in said
    assert "\n" not in said.strip()
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pth"]
    with suppress(RuntimeError):  # a plain pickle is no file of torch, but runs all the same
        torch.load(file, weights_only=False)
    assert proof.is_dir()


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 torn", b"\x80\x02."])
def test_a_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.pth' is refused"):
        read_foreign(tmp_path / "a.pth")


def test_other_archives_and_missing_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
    for name in ("a.pth", "missing.pth"):
        with pytest.raises(ModelError, match=name):
            read_foreign(tmp_path / name)


@pytest.mark.parametrize("document", [{"epoch": 3}, [torch.zeros(2)], torch.zeros(2), {"state_dict": {}}])
def test_a_file_without_named_tensors(document: Any, tmp_path: Path) -> None:
    torch.save(document, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="holds no tensors"):
        read_foreign(tmp_path / "a.pth")


def test_options_that_cannot_be_used(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pth")
    (tmp_path / "there.safetensors").write_text("precious")
    wishes: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (InputError, "must end in", {"output": tmp_path / "out.pth"}),
        (OutputError, "exists already", {"output": tmp_path / "there.safetensors"}),
        (ModelError, "no argument 'depth'", {"arguments": {"depth": 2}}),
        (InputError, "option of its own", {"arguments": {"preset": "small"}}),
        (ModelError, "Unknown network", {"model": "edsrr"}),
    ]
    for error, sentence, options in wishes:
        with pytest.raises(error, match=sentence):
            import_weights(job(tmp_path / "a.pth", **options))
    assert (tmp_path / "there.safetensors").read_text() == "precious"


def test_the_published_form_of_a_network_is_a_method(
    tmp_path: Path, own_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    published = create_model("mocolsk", scale=2, guidance_bands=2, preset="small", reference_compat=True)
    torch.save(published.state_dict(), tmp_path / "a.pth")
    out = str(tmp_path / "published.safetensors")
    options = ["--model", "mocolsk", "--preset", "small", "--scale", "2", "--roles", "ndvi,dem", "--reference-compat"]
    assert main(["weights", "import", str(tmp_path / "a.pth"), *options, "-o", out]) == 0
    assert "matched" in capsys.readouterr().out
    assert main(["weights", "add", out]) == 0
    loaded, card = load_weights(own_weights / "published.safetensors", 2)
    assert card.arguments["reference_compat"] is True
    lst, guidance = torch.randn(1, 1, 16, 16), torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        assert torch.equal(loaded(lst, guidance), published.eval()(lst, guidance))
