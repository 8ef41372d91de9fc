"""Weights files: what is saved is loaded, and a changed byte is noticed wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rasters import ROLES, coarse_lst, random_weights, run, write
from safetensors.torch import save_file

from groklst_engine.errors import ModelError, OutputError
from groklst_engine.methods import get_method
from groklst_engine.models.zoo import create_model
from groklst_engine.weights import ModelCard, load_weights, read_card, save_weights

SIZES = {"width": 4, "dilations": (1,), "windows": (1,)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return random_weights(file, "guided-residual", (2, 4), head=0.1, **SIZES)


def network() -> torch.nn.Module:
    return create_model("guided-residual", scale=2, guidance_bands=3, **SIZES)


@pytest.mark.parametrize("scale", [2, 4])
def test_what_is_saved_is_loaded(scale: int, tmp_path: Path) -> None:
    saved = network()
    torch.nn.init.normal_(saved.head.weight)
    card = ModelCard(
        name="a",
        architecture="guided-residual",
        arguments=SIZES,
        scales=(2, 4),
        roles=ROLES,
        metrics=({"scene": "x", "rmse": 0.5, "cc": float("nan")},),
        training={"scenes": ["x"], "options": {"learning_rate": 2e-3}},
    )
    written = save_weights(tmp_path / "a.safetensors", saved, card)
    loaded, read = load_weights(tmp_path / "a.safetensors", scale)
    assert len(written.sha256) == 64
    assert read.sha256 == written.sha256
    assert (read.scales, read.roles, read.training) == (card.scales, card.roles, card.training)
    assert not loaded.training
    lst, guidance = torch.randn(1, 1, 6, 6), torch.randn(1, 3, 6 * scale, 6 * scale)
    assert torch.equal(loaded(lst, guidance), saved.eval()(lst, guidance))
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_hash_covers_card_and_tensors(tmp_path: Path) -> None:
    card = ModelCard(name="a", architecture="guided-residual", arguments=SIZES, scales=(2,), roles=ROLES)
    torch.manual_seed(0)
    saved = network()

    def digest(card: ModelCard) -> str:
        return save_weights(tmp_path / "a.safetensors", saved, card).sha256

    first = digest(card)
    assert digest(card) == first
    assert digest(card.model_copy(update={"description": "Another."})) != first
    with torch.no_grad():
        saved.head.bias += 1e-6
    assert digest(card) != first


def positions(content: bytes) -> dict[str, int]:
    """A byte of every part of the file."""
    header = 8 + int.from_bytes(content[:8], "little")
    found = {"length of the header": 0, "first tensor byte": header, "a tensor": (header + len(content)) // 2}
    found |= {"last byte": len(content) - 1, "start of the header": 8, "end of the header": header - 1}
    for word in (b"__metadata__", b"groklst_sha256", b"guided-residual", b"scales", b"roles", b"ndvi", b"F32",
                 b"data_offsets", b"shape", b"stem.weight"):  # fmt: skip
        found[word.decode()] = content.index(word) + 2
    return found


PARTS = ("length of the header", "start of the header", "end of the header", "__metadata__", "groklst_sha256",
         "guided-residual", "scales", "roles", "ndvi", "F32", "data_offsets", "shape", "stem.weight",
         "first tensor byte", "a tensor", "last byte")  # fmt: skip


@pytest.mark.parametrize("flip", [1, 32, 255])
@pytest.mark.parametrize("part", PARTS)
def test_a_changed_byte_is_refused(part: str, flip: int, weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[positions(bytes(content))[part]] ^= flip
    changed = tmp_path / "changed.safetensors"
    changed.write_bytes(content)
    lst, out = write(tmp_path / "lst.tif", coarse_lst(8)), tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError) as refusal:
        run(lst, output=out / "fine.tif", method=str(changed), scale=2)
    message = str(refusal.value)
    assert str(changed) in message
    assert message.endswith(".")
    assert "\n" not in message
    assert list(out.iterdir()) == []
    with pytest.raises(ModelError):
        load_weights(changed, 2)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(cut: int, weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.safetensors"
    file.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"cut\.safetensors"):
        load_weights(file, 2)


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "foreign"])
def test_what_is_no_weights_file(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    if kind == "folder":
        file.mkdir()
    elif kind == "text":
        file.write_text("stem.weight 0.1\n")
    elif kind == "foreign":
        save_file({"stem.weight": torch.zeros(2)}, file)
    for use in (read_card, lambda path: get_method(str(path))):
        with pytest.raises(ModelError, match=r"other\.safetensors"):
            use(file)


def test_a_card_that_does_not_fit_its_tensors(tmp_path: Path) -> None:
    card = ModelCard(name="a", architecture="guided-residual", arguments=SIZES | {"width": 5}, scales=(2,), roles=ROLES)
    save_weights(tmp_path / "a.safetensors", network(), card)
    with pytest.raises(ModelError, match=r"a\.safetensors' do not fit"):
        load_weights(tmp_path / "a.safetensors", 2)


@pytest.mark.parametrize("taken", ["scale", "guidance_bands", "preset"])
def test_a_card_cannot_set_what_is_not_the_networks_own(taken: str) -> None:
    with pytest.raises(ValueError, match=f"'{taken}' is no argument"):
        ModelCard(name="a", architecture="guided-residual", arguments={taken: 2}, scales=(2,))


def test_a_scale_it_was_not_trained_for(weights: Path) -> None:
    with pytest.raises(ModelError, match="trained for the scales 2, 4, not 3"):
        load_weights(weights, 3)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    card = ModelCard(name="a", architecture="guided-residual", arguments=SIZES, scales=(2,), roles=ROLES)
    with pytest.raises(OutputError, match="cannot be written"):
        save_weights(tmp_path / "no" / "a.safetensors", network(), card)
    assert list(tmp_path.iterdir()) == []
