"""Every network trains, through the public ``train()`` and through the command line; driven by ``list_models()``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from groklst_engine.cli import main
from groklst_engine.data.dataset import load_scene, training_scene
from groklst_engine.data.sampling import SceneSampler
from groklst_engine.data.synthetic import synthetic_scene, write_scene
from groklst_engine.inputs import SceneSource
from groklst_engine.losses import build_loss
from groklst_engine.models.zoo import create_model, get_spec, list_models
from groklst_engine.training.train import train
from groklst_engine.training_jobs import TrainJob
from groklst_engine.weights import load_weights

ROLES = ("red", "nir", "dem")
OPTIONS = {"iterations": 30, "batch": 2, "crop": 32, "learning_rate": 1e-3, "band_dropping": 0.0, "seed": 3}
SLOW = ("act", "mocolsk", "ngswin", "sgnet")
"""Networks that take more than two seconds."""

QUICK_BY_COMMAND = ("guided-residual",)
"""Networks for which the quick tests try the command line too; it leads all of them to the same ``train()``."""


def some_slow(is_slow: Callable[[str], bool]) -> list[Any]:
    """All networks, some of them left out of the quick tests."""
    return [pytest.param(name, marks=pytest.mark.slow if is_slow(name) else ()) for name in list_models()]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A generated landscape, as a manifest names it."""
    paths = write_scene(synthetic_scene(size=64), tmp_path_factory.mktemp("scene"), 2)
    guidance = [{"path": str(paths.guidance)}, {"path": str(paths.dem), "roles": ["dem"]}]
    return {"name": "landscape", "lst": {"path": str(paths.truth)}, "guidance": guidance}


def smallest(name: str) -> dict[str, Any]:
    """The network's small preset, if it has one, at its smallest scale."""
    spec = get_spec(name)
    return {"model": name, "preset": "small" if "small" in spec.presets else None, "scales": [min(spec.scales)]}


def loss_of(network: nn.Module, scene: dict[str, Any], scale: int) -> float:
    """The mean loss on some crops of the scene, the same at every call.

    The network is in training mode: running statistics need more than 30 steps to settle.
    """
    fine = training_scene(load_scene(SceneSource.model_validate(scene)), ROLES)
    batch = SceneSampler([fine], crop=32, batch=6, band_dropping=0.0, seed=0).batch(scale)
    with torch.no_grad():
        result = network.train()(batch.lst, batch.guidance)
    return float(build_loss("smooth-l1")(result, batch.target, batch.lst, batch.mask, scale))


def loss_falls(name: str, weights: Path, scene: dict[str, Any]) -> bool:
    """Whether trained weights do better than those that their training started from."""
    (scale,) = smallest(name)["scales"]
    torch.manual_seed(OPTIONS["seed"])
    fresh = create_model(name, scale=scale, guidance_bands=len(ROLES), preset=smallest(name)["preset"])
    trained, _ = load_weights(weights, scale)
    return loss_of(trained, scene, scale) < loss_of(fresh, scene, scale)


@pytest.mark.parametrize("name", some_slow(lambda name: name in SLOW))
def test_train(name: str, scene: dict[str, Any], tmp_path: Path) -> None:
    output = tmp_path / "weights.safetensors"
    wish = {"scenes": [scene], "roles": ROLES, "output": output, "device": "cpu", **smallest(name), **OPTIONS}

    train(TrainJob.model_validate(wish))

    assert loss_falls(name, output, scene)


@pytest.mark.parametrize("name", some_slow(lambda name: name not in QUICK_BY_COMMAND))
def test_the_command_line_trains(name: str, scene: dict[str, Any], tmp_path: Path) -> None:
    manifest, output = tmp_path / "scenes.json", tmp_path / "weights.safetensors"
    manifest.write_text(json.dumps([scene]), "utf-8")
    wish = {
        "scenes": manifest,
        "roles": ",".join(ROLES),
        "output": output,
        "device": "cpu",
        **smallest(name),
        **OPTIONS,
    }
    wish["scales"] = ",".join(map(str, wish["scales"]))
    words = (f"--{key.replace('_', '-')}={value}" for key, value in wish.items() if value is not None)

    assert main(["train", *words]) == 0

    assert loss_falls(name, output, scene)
