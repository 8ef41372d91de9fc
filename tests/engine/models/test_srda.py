"""SRDA-Net, our own design after its paper: each module does what the paper says it is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from groklst_engine.errors import ModelError
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.srda import GlobalCrossAttention, MultiLevelRefinement, MultiScaleAttention, SRDANet
from groklst_engine.models.zoo import create_model, get_spec


def features(side: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    lst, guidance = torch.randn(2, 1, 8, side, side, generator=generator)
    return lst, guidance


def small(**arguments: Any) -> SRDANet:
    torch.manual_seed(0)
    network = create_model("srda", guidance_bands=3, preset="small", **{"scale": 4, **arguments})
    assert isinstance(network, SRDANet)
    return network


def test_the_card_says_that_it_is_after_the_paper() -> None:
    spec = get_spec("srda")

    assert "after the paper" in spec.label
    assert "GrokLST's own design after the paper" in spec.description
    assert spec.paper is not None
    assert spec.paper.doi == "10.3390/rs17213510"


@pytest.mark.parametrize(("scale", "doublings"), [(2, 1), (4, 2), (8, 3)])
def test_there_is_a_level_for_the_coarse_grid_and_for_each_doubling(scale: int, doublings: int) -> None:
    network = small(scale=scale)

    assert (len(network.levels), len(network.lifts)) == (1 + doublings, doublings)
    assert sum(parameter.numel() for parameter in network.parameters()) < 150_000


def test_training_starts_from_bicubic_interpolation() -> None:
    lst = torch.randn(2, 1, 16, 16)

    assert torch.equal(small()(lst, torch.randn(2, 3, 64, 64)), up_bicubic(lst, 4))


def test_global_attention_carries_guidance_from_anywhere_to_everywhere() -> None:
    attention = GlobalCrossAttention(8, heads=2)
    lst, guidance = features()
    changed = guidance.clone()
    changed[..., 0, 0] += 5

    with torch.no_grad():
        difference = attention(lst, changed) - attention(lst, guidance)

    assert (difference[..., 6:, 6:] != 0).any(dim=1).all()


def test_global_attention_asks_only_which_channels_vary_alike() -> None:
    attention = GlobalCrossAttention(8, heads=2)
    lst, guidance = features()
    with torch.no_grad():
        attention.query[0].bias.zero_()
        attention.query[1].bias.zero_()

        once, twice = (attention(factor * lst, guidance) - factor * lst for factor in (1, 2))

    torch.testing.assert_close(once, twice)


def test_multi_scale_attention_sees_25_pixels() -> None:
    attention = MultiScaleAttention(8)
    lst, _ = features(side=33)
    changed = lst.clone()
    changed[..., 16, 16] += 5

    with torch.no_grad():
        rows, columns = (attention(changed) != attention(lst))[0].any(dim=0).nonzero().T

    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 28, 4, 28)


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_the_refinement_looks_at_every_level(changed: int) -> None:
    refinement = MultiLevelRefinement(8, n_levels=3, n_blocks=1, reduction=2)
    levels = [torch.randn(1, 8, side, side) for side in (4, 8, 16)]
    others = [level + (number == changed) for number, level in enumerate(levels)]

    with torch.no_grad():
        difference = refinement(others) - refinement(levels)

    assert difference.shape == (1, 8, 16, 16)
    assert difference.any()


@pytest.mark.parametrize("arguments", [{"heads": 5}, {"reduction": 7}])
def test_unusable_arguments_are_explained(arguments: dict[str, int]) -> None:
    ((argument, value),) = arguments.items()

    with pytest.raises(ModelError, match=f"{argument} is {value}: choose a divisor of num_feats, which is 24"):
        small(**arguments)
