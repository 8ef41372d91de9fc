"""The way from a name to a network, and the sentences on the way when it fails."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from groklst_engine.errors import ModelError
from groklst_engine.models.edsr import EDSR
from groklst_engine.models.mocolsk import MoCoLSKNet
from groklst_engine.models.zoo import MODELS, create_model, get_spec, list_models


def test_names_are_found_in_any_case() -> None:
    assert get_spec("MoCoLSK") is MODELS["mocolsk"]
    assert isinstance(create_model("EDSR", scale=2, preset="small"), EDSR)
    assert get_spec("fen") is MODELS["FEN"]


def test_every_spec_bears_its_name_and_its_facts() -> None:
    assert list_models() == list(MODELS) == sorted(MODELS, key=str.lower)
    for name, spec in MODELS.items():
        assert spec.name == name
        assert spec.label
        assert spec.description.endswith(".")
        assert spec.guided == ("guidance_bands" in inspect.signature(spec.build).parameters)
        for preset in spec.presets:
            assert set(spec.arguments(preset)) == set(spec.defaults)


def test_arguments_win_over_the_preset_and_the_preset_over_the_defaults() -> None:
    arguments = get_spec("mocolsk").arguments("small", num_stages=3)

    assert arguments["num_stages"] == 3
    assert arguments["num_feats"] == 16
    assert arguments["kernel_size"] == 3


def test_the_given_arguments_arrive_in_the_network() -> None:
    with torch.device("meta"):
        network = create_model("mocolsk", scale=4, guidance_bands=5, preset="small", num_stages=1)

    assert isinstance(network, MoCoLSKNet)
    assert (network.scale, network.guidance_bands, len(network.stages)) == (4, 5, 1)


def test_lists_from_json_become_tuples() -> None:
    assert get_spec("guided-residual").arguments(dilations=[1, 2])["dilations"] == (1, 2)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("mocolks", {}, "Unknown network 'mocolks': did you mean 'mocolsk'? `groklst models` lists all."),
        ("zzz", {}, "Unknown network 'zzz': `groklst models` lists all."),
        ("edsr", {"scale": 5}, "Network 'edsr' cannot downscale by 5: choose a scale of 2 or 3 or 4 or 8."),
        (
            "guided-residual",
            {"scale": 1},
            "Network 'guided-residual' cannot downscale by 1: choose a scale from 2 to 64.",
        ),
        ("edsr", {"num_feat": 8}, "Network 'edsr' has no argument 'num_feat': did you mean 'num_feats'."),
        ("edsr", {"depth": 8}, "Network 'edsr' has no argument 'depth': its arguments are num_feats, n_resblocks."),
        ("edsr", {"preset": "smal"}, "Network 'edsr' has no preset 'smal': did you mean 'small'."),
        (
            "edsr",
            {"num_feats": "8"},
            "Argument 'num_feats' of network 'edsr' is '8': give a value of type int, such as 64.",
        ),
        (
            "edsr",
            {"num_feats": True},
            "Argument 'num_feats' of network 'edsr' is True: give a value of type int, such as 64.",
        ),
        ("edsr", {"num_feats": 0}, "Argument 'num_feats' of network 'edsr' is 0: give a positive number, such as 64."),
        (
            "guided-residual",
            {"dilations": [1, "2"]},
            "Argument 'dilations' of network 'guided-residual', item 2 is '2': give a value of type int, such as 1.",
        ),
        (
            "mocolsk",
            {"guidance_bands": 0},
            "Network 'mocolsk' cannot be built for 0 guidance bands: give at least 1.",
        ),
    ],
)
def test_wrong_wishes_are_answered_with_a_sentence(name: str, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError) as error:
        create_model(name, **{"scale": 2, **arguments})

    assert str(error.value) == sentence
