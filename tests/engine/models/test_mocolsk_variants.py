"""Every row of the ablations of MoCoLSK-Net's paper can be configured, runs, trains, and differs where it should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from groklst_engine.layers.large_kernel import LargeKernels
from groklst_engine.layers.pooling import POOLINGS
from groklst_engine.layers.selective_kernel import ChannelMasks, GeneratedWeights, SpatialMasks, StaticWeights
from groklst_engine.models.mocolsk import Exchanged, MoCoLSKNet, fusion_modules
from groklst_engine.models.zoo import create_model, get_spec

SCALE, BANDS = 2, 3
TINY = {"num_feats": 8, "num_stages": 1, "n_resblocks": 1, "reduction": 1}
"""What a row of the paper does not name."""

LARGE_KERNELS = {
    23: ((5, 1), (7, 3)),
    7: ((3, 1), (3, 2)),
    11: ((3, 1), (5, 2)),
    39: ((7, 1), (9, 4)),
    59: ((9, 1), (11, 5)),
}
"""By the receptive field that the paper states."""

SEQUENCES = ("SSSS", "CCCC", "SCSC", "CSCS", "CCSS", "SSCC", "CSCC", "CSSS", "SCSS")

ABLATIONS: dict[str, dict[str, Any]] = {
    "full": {},
    "baseline": {"fusion": ("identity",)},
    "single large kernel": {"large_kernels": ((23, 1),)},
    "static convolution": {"dynamic": False, "mocolsk_kernel_size": 7},
    "static channel selection": {"dynamic": False, "fusion": ("C",)},
    "LST times selection": {"gated": "lst"},
    **{f"receptive field {field}": {"large_kernels": kernels} for field, kernels in LARGE_KERNELS.items()},
    **{f"pooling {name}": {"pooling": name} for name in POOLINGS},
    **{f"pooling {name}, channels select": {"pooling": name, "fusion": ("C",)} for name in POOLINGS},
    **{f"{stages} stages": {"num_stages": stages} for stages in (1, 2, 3, 4, 5)},
    **{f"width {width}": {"num_feats": width} for width in (16, 24, 32, 40)},
    **{sequence: {"fusion": tuple(sequence), "num_stages": 4} for sequence in SEQUENCES},
    **{name: {"fusion": (name,)} for name in ("SK-M", "LSK-M", "LSK-CS-M", "MoCoLSK-Ex")},
    **{
        f"filter {size}, version {version}": {"mocolsk_kernel_size": size, "mlp_type": version}
        for size in (1, 3, 5, 7, 9)
        for version in "abc"
    },
    **{
        f"{layers} layers, version {version}": {"mlp_layers": layers, "mlp_type": version}
        for layers in (1, 2, 3)
        for version in "abc"
    },
}


def tiny(**arguments: Any) -> MoCoLSKNet:
    torch.manual_seed(0)
    network = create_model("mocolsk", scale=SCALE, guidance_bands=BANDS, **{**TINY, **arguments})
    assert isinstance(network, MoCoLSKNet)
    return network


def features(channels: int = 8, batch: int = 2, side: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, batch, channels, side, side, generator=generator)
    return first, second


@pytest.mark.parametrize("row", ABLATIONS)
def test_every_row_of_the_ablations_trains(row: str) -> None:
    network = tiny(**ABLATIONS[row])
    generator = torch.Generator().manual_seed(2)
    lst, guidance = torch.randn(2, 1, 8, 8, generator=generator), torch.randn(2, BANDS, 16, 16, generator=generator)
    target = guidance[:, :1] - guidance[:, 1:2]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    idle = {name for name, _ in network.named_parameters()}
    losses = []

    for _ in range(6):
        optimizer.zero_grad()
        loss = (network(lst, guidance) - target).abs().mean()
        loss.backward()
        idle -= {
            name
            for name, parameter in network.named_parameters()
            if parameter.grad is not None and parameter.grad.any()
        }
        optimizer.step()
        losses.append(loss.item())

    assert not idle
    assert losses[-1] < losses[0]


def test_rows_that_differ_in_an_argument_differ_in_the_result() -> None:
    lst, guidance = torch.randn(1, 1, 8, 8), torch.randn(1, BANDS, 16, 16)
    results: dict[str, float] = {}
    for row in ABLATIONS.values():
        arguments = get_spec("mocolsk").arguments(**{**TINY, **row})
        if len(arguments["fusion"]) == 1:
            arguments["fusion"] *= arguments["num_stages"]
        with torch.no_grad():
            results[str(arguments)] = tiny(**row)(lst, guidance).double().sum().item()

    assert len(results) > 50
    assert len(set(results.values())) == len(results)


def test_the_published_best_is_a_preset() -> None:
    assert get_spec("mocolsk").arguments("cscc")["fusion"] == ("C", "S", "C", "C")
    assert get_spec("mocolsk").arguments("paper")["fusion"] == ("S",)


@pytest.mark.parametrize(("field", "kernels"), LARGE_KERNELS.items())
def test_large_kernels_see_the_field_that_the_paper_states(field: int, kernels: tuple[tuple[int, int], ...]) -> None:
    side = field + 4
    x = torch.zeros(1, 2, side, side)
    x[..., side // 2, side // 2] = 1
    large_kernels = LargeKernels(2, kernels)

    with torch.no_grad():
        change = (large_kernels(x)[-1] != large_kernels(torch.zeros_like(x))[-1])[0].any(dim=0)

    rows = change.any(dim=1).nonzero().flatten().tolist()
    assert (rows[0], rows[-1]) == (2, side - 3)
    assert [len(large_kernels(x)), *large_kernels(x)[0].shape] == [2, 1, 1, side, side]


def test_pixels_select_one_by_one_and_channels_select_shares() -> None:
    first, second = features()
    branches = [torch.randn(2, 4, 12, 12) for _ in range(2)]

    spatial = SpatialMasks(2, 3, StaticWeights)(branches, first, second)
    channel = ChannelMasks(2, 4, StaticWeights)(branches, first, second)

    assert [mask.shape for mask in spatial] == [(2, 1, 12, 12)] * 2
    assert [mask.shape for mask in channel] == [(2, 4, 1, 1)] * 2
    torch.testing.assert_close(channel[0] + channel[1], torch.ones(2, 4, 1, 1))
    assert channel[0].std() > 0


@pytest.mark.parametrize("pooling", POOLINGS)
def test_generated_weights_are_those_of_the_sample(pooling: str) -> None:
    options = {"mlp_type": "a", "mlp_layers": 1, "mlp_hidden": 8, "reference_compat": False}
    generate = GeneratedWeights((4, 6), channels=8, pooling=pooling, **options)  # type: ignore[arg-type]
    first, second = features()

    together = generate(first, second)
    alone = torch.cat([generate(first[i : i + 1], second[i : i + 1]) for i in range(2)])

    assert together.shape == (2, 4, 6)
    assert not torch.equal(together[0], together[1])
    torch.testing.assert_close(together, alone)


def test_static_weights_do_not_look_at_the_sample() -> None:
    weights = StaticWeights((2, 2, 7, 7))(*features())

    assert weights.shape == (2, 2, 2, 7, 7)
    assert torch.equal(weights[0], weights[1])


def test_poolings_summarise_the_whole_image() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])[None, None]

    assert POOLINGS["average"](x).tolist() == [[[3]]]
    assert POOLINGS["max"](x).tolist() == [[[6]]]
    assert POOLINGS["both"](x).tolist() == [[[3], [6]]]
    assert POOLINGS["pyramid"](x).shape == (1, 50, 1)


def test_the_selection_multiplies_the_modality_asked_for() -> None:
    lst, guidance = features()
    options: dict[str, Any] = {"large_kernels": ((3, 1), (3, 2)), "filter_size": 3, "weights": StaticWeights}
    for name in ("S", "C"):
        by_guidance, by_lst = (fusion_modules(8, gated=gated, **options)[name]() for gated in ("guidance", "lst"))
        by_lst.load_state_dict(by_guidance.state_dict())

        selected = by_guidance.select(lst, guidance)

        torch.testing.assert_close(by_guidance(lst, guidance), guidance * selected)
        torch.testing.assert_close(by_lst(lst, guidance), lst * selected)


def test_exchanged_pathways_are_the_same_module_with_exchanged_inputs() -> None:
    lst, guidance = features()
    exchanged = tiny(fusion=("MoCoLSK-Ex",)).stages[0].fusion.fuse
    assert isinstance(exchanged, Exchanged)

    torch.testing.assert_close(exchanged(lst, guidance), exchanged.fuse(guidance, lst))
    assert not torch.equal(exchanged(lst, guidance), exchanged(guidance, lst))


def test_the_baseline_only_concatenates() -> None:
    lst, guidance = features()
    network = tiny(fusion=("identity",))

    assert torch.equal(network.stages[0].fusion.fuse(lst, guidance), guidance)
