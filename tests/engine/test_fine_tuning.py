"""Going on from trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from groklst_engine.bands import Role
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import GroklstError, ModelError
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.training.fine_tuning import completed, freeze, take_over
from groklst_engine.training.train import train
from groklst_engine.training_jobs import TrainJob
from groklst_engine.weights import ModelCard, load_weights, save_weights

OLD: tuple[Role, ...] = ("ndvi", "dem")
SMALL = {"width": 8, "dilations": (1,), "windows": (2,)}


def weights(file: Path, name: str = "guided-residual", **arguments: Any) -> Path:
    torch.manual_seed(5)
    spec = get_spec(name)
    sizes = spec.arguments("small" if "small" in spec.presets else None, **arguments)
    network = create_model(name, scale=2, guidance_bands=len(OLD), **sizes)
    for parameter in network.parameters():  # networks that start as bicubic would prove nothing
        parameter.data += 0.02 * torch.randn_like(parameter)
    save_weights(file, network, ModelCard(name=file.stem, architecture=name, arguments=sizes, scales=(2,), roles=OLD))
    return file


def job_for(paths: ScenePaths, start: Path, output: Path, **options: Any) -> TrainJob:
    guidance = (GuidanceSource(path=str(paths.guidance)), GuidanceSource(path=str(paths.dem)))
    scene = SceneSource(name="east", lst=LstSource(path=str(paths.truth)), guidance=guidance)
    short = {"iterations": 2, "batch": 2, "crop": 32, "device": "cpu"}
    return TrainJob(scenes=(scene,), start_from=str(start), output=output, **short | options)


@pytest.mark.parametrize("name", ["guided-residual", "mocolsk", "sgnet", "djf", "msg", "srcnn"])
def test_further_bands_change_nothing_at_first(name: str, clear: ScenePaths, tmp_path: Path) -> None:
    file = weights(tmp_path / "old.safetensors", name)
    job = completed(job_for(clear, file, tmp_path / "new.safetensors", roles=("nir", "dem", "red")))
    assert job.roles == ("ndvi", "dem", "nir", "red")
    assert job.model == name
    network = create_model(name, scale=2, guidance_bands=4, **job.arguments).eval()
    take_over(network, job)
    old, _ = load_weights(file, 2)
    lst, guidance = torch.randn(1, 1, 16, 16), torch.randn(1, 4, 32, 32)
    guidance[:, 2:] = 0
    with torch.inference_mode():
        expected: Tensor = old(lst, guidance[:, :2])
        torch.testing.assert_close(network(lst, guidance), expected, rtol=1e-4, atol=1e-4)


def test_fine_tuned_weights_remember_and_serve(clear: ScenePaths, tmp_path: Path) -> None:
    file = weights(tmp_path / "old.safetensors", **SMALL)
    job = job_for(clear, file, tmp_path / "new.safetensors", roles=("nir",), learning_rate=1e-6, average=False)
    card = train(job).card
    assert (card.architecture, card.roles, card.scales) == ("guided-residual", (*OLD, "nir"), (2,))
    assert card.arguments["width"] == 8
    new, old = load_weights(job.output, 2)[0], load_weights(file, 2)[0]
    torch.testing.assert_close(new.head.weight, old.head.weight, atol=1e-4, rtol=0)
    assert not torch.equal(new.head.weight, old.head.weight)


def test_the_normalisation_is_that_of_the_weights_unless_said(clear: ScenePaths, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train(job_for(clear, weights(tmp_path / "old.safetensors", **SMALL), first, normalize_lst="z-score"))
    card = train(job_for(clear, first, second)).card
    assert (card.units.lst.mode, card.units.guidance.mode) == ("z-score", "scene")
    assert completed(job_for(clear, second, first, normalize_lst="scene")).normalize_lst == "scene"


def test_frozen_parts_keep_their_values(clear: ScenePaths, tmp_path: Path) -> None:
    file = weights(tmp_path / "old.safetensors", **SMALL)
    job = job_for(clear, file, tmp_path / "new.safetensors", freeze=("stem", "blocks.0.spread"))
    train(job)
    new, old = (load_weights(path, 2)[0].state_dict() for path in (job.output, file))
    for name, value in old.items():
        assert torch.equal(new[name], value) == name.startswith(("stem", "blocks.0.spread")), name


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"model": "srcnn"}, "are of the network 'guided-residual', not 'srcnn'"),
        ({"arguments": {"width": 16}}, "width = 8, not 16"),
        ({"scales": (3,), "model": "guided-residual", "freeze": ("steam",)}, "did you mean 'stem'"),
        ({"freeze": ("stem", "blocks", "head")}, "freeze less"),
        ({"start_from": "groklst-smal"}, "did you mean 'groklst-small'"),
        ({"start_from": "missing.safetensors"}, "is missing or damaged"),
    ],
)
def test_what_cannot_be_done(options: dict[str, Any], word: str, clear: ScenePaths, tmp_path: Path) -> None:
    file = weights(tmp_path / "old.safetensors", **SMALL)
    job = job_for(clear, file, tmp_path / "new.safetensors").model_copy(update={})
    job = TrainJob.model_validate({**job.model_dump(exclude_unset=True), **options})
    with pytest.raises(GroklstError) as refusal:
        train(job)
    message = str(refusal.value)
    assert word in message
    assert message.endswith((".", "?"))
    assert not job.output.exists()


def test_freezing_by_whole_beginnings() -> None:
    network = create_model("guided-residual", scale=2, guidance_bands=2, **SMALL)
    freeze(network, ("head",))
    assert {name for name, value in network.named_parameters() if not value.requires_grad} == {
        "head.weight",
        "head.bias",
    }
    with pytest.raises(ModelError, match=r"No parameter's name begins with 'xyz': the network's parts are stem"):
        freeze(network, ("xyz",))
