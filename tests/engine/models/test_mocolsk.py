"""MoCoLSK-Net: sizes and variants of its paper, and where ours is right and the published one is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.errors import ModelError
from groklst_engine.layers.dynamic_mlp import DynamicFilter
from groklst_engine.models.mocolsk import MoCoLSKNet
from groklst_engine.models.zoo import create_model

SCALE, BANDS = 2, 3


def parameters_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def small(**arguments: Any) -> MoCoLSKNet:
    torch.manual_seed(0)
    network = create_model("mocolsk", scale=SCALE, guidance_bands=BANDS, preset="small", **arguments)
    assert isinstance(network, MoCoLSKNet)
    return network


def inputs(batch: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    lst = torch.randn(batch, 1, 16, 16, generator=generator, dtype=dtype)
    return lst, torch.randn(batch, BANDS, 32, 32, generator=generator, dtype=dtype)


def filter_gradients(network: MoCoLSKNet) -> dict[str, Tensor | None]:
    (network(*inputs(batch=2)) - 1).abs().mean().backward()
    return {key: parameter.grad for key, parameter in network.named_parameters() if "dynamic_filter" in key}


@pytest.mark.parametrize(
    ("arguments", "x2", "x4", "x8"),
    [
        ({}, 20_011_833, 25_430_841, 40_913_721),
        ({"mlp_type": "b"}, 20_028_857, 25_447_865, 40_930_745),
        ({"mlp_type": "C"}, 20_037_049, 25_456_057, 40_938_937),
        ({"mocolsk_kernel_size": 1}, 20_003_129, 25_422_137, 40_905_017),
        ({"mocolsk_kernel_size": 5}, 20_029_241, 25_448_249, 40_931_129),
        ({"mocolsk_kernel_size": 7}, 20_055_353, 25_474_361, 40_957_241),
        ({"num_stages": 1}, 2_826_929, 3_601_073, 5_812_913),
        ({"num_stages": 2}, 6_731_041, 8_623_393, 14_030_113),
        ({"num_stages": 3}, 12_403_705, 15_844_345, 25_674_745),
        ({"num_stages": 5}, 29_722_337, 37_549_793, 59_913_953),
        ({"num_feats": 16}, 4_997_949, 6_352_701, 10_223_421),
        ({"num_feats": 48}, 45_140_533, 57_333_301, 92_169_781),
        ({"num_feats": 64}, 80_482_353, 102_158_385, 164_089_905),
    ],
)
def test_sizes_equal_the_published_ones(arguments: dict[str, Any], x2: int, x4: int, x8: int) -> None:
    with torch.device("meta"):
        sizes = [parameters_of(create_model("mocolsk", scale=scale, **arguments)) for scale in (2, 4, 8)]

    assert sizes == [x2, x4, x8]


@pytest.mark.parametrize(
    ("mlp_type", "sizes"),
    [("a", [37_360, 37_392, 45_872]), ("b", [41_616, 34_816, 40_560]), ("c", [43_664, 37_632, 44_144])],
)
def test_dynamic_filters_of_several_layers_have_the_published_sizes(mlp_type: str, sizes: list[int]) -> None:
    filters = [DynamicFilter(32, 36, mlp_type, layers, 16) for layers in (1, 2, 3)]

    assert [parameters_of(dynamic_filter) for dynamic_filter in filters] == sizes


@pytest.mark.parametrize("mlp_type", ["a", "b", "c"])
@pytest.mark.parametrize("mlp_layers", [1, 3])
def test_each_sample_gets_its_own_filter_with_gradient(mlp_type: str, mlp_layers: int) -> None:
    network = small(mlp_type=mlp_type, mlp_layers=mlp_layers).double()
    lst, guidance = inputs(batch=3, dtype=torch.float64)

    with torch.no_grad():
        together = network(lst, guidance)
        alone = torch.cat([network(lst[i : i + 1], guidance[i : i + 1]) for i in range(3)])
    gradients = filter_gradients(network.float())

    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)
    assert all(gradient is not None and gradient.any() for gradient in gradients.values())


def test_the_published_form_cuts_the_gradient_and_mixes_the_batch() -> None:
    published = small(reference_compat=True).double()
    ours = small().double()
    ours.load_state_dict(published.state_dict())
    lst, guidance = inputs(batch=2, dtype=torch.float64)

    with torch.no_grad():
        assert torch.equal(published(lst[:1], guidance[:1]), ours(lst[:1], guidance[:1]))
        mixing = (published(lst, guidance) - ours(lst, guidance)).abs().max()

    assert mixing > 1e-6
    assert all(gradient is None for gradient in filter_gradients(published.float()).values())


def test_the_selection_depends_on_both_modalities() -> None:
    generate = small().stages[0].fusion.fuse.select.masks.weights
    u, g = torch.randn(2, 1, 16, 12, 12)

    filters = generate(u, g)

    assert filters.shape == (1, 2, 2, 3, 3)
    assert not torch.equal(filters, generate(u + 1, g))
    assert not torch.equal(filters, generate(u, g + 1))


def test_the_skip_stays_exact_with_bf16_weights() -> None:
    network = small()
    lst, guidance = inputs(batch=1)

    with torch.no_grad():
        exact = network(lst, guidance)
        rough = network.bfloat16()(lst, guidance)

    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 2e-3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mlp_type": "d"}, "mlp_type is 'd': choose a, b or c"),
        ({"kernel_size": 4}, "kernel_size is 4: choose an odd number"),
        ({"mocolsk_kernel_size": 2}, "mocolsk_kernel_size is 2: choose an odd number"),
        ({"num_feats": 17}, "num_feats is 17: choose an even number"),
        ({"pooling": "mean"}, "pooling is 'mean': choose average, max, both or pyramid"),
        ({"gated": "both"}, "gated is 'both': choose guidance or lst"),
        ({"fusion": ("CSCC",)}, "fusion is 'CSCC': choose S, C, identity, SK-M, LSK-M, LSK-CS-M or MoCoLSK-Ex"),
        ({"fusion": ("C", "S")}, "fusion has 2 names: choose 1 or num_stages, which is 4"),
        ({"fusion": ("C",), "large_kernels": ((23, 1),)}, "fusion is C: choose at least two large_kernels"),
        ({"large_kernels": ((5, 1), (7,))}, r"large_kernels has \(7,\): choose an odd size and a dilation"),
        ({"large_kernels": ()}, "large_kernels is empty: choose sizes and dilations"),
        ({"num_feats": 8}, "reduction is 16: choose at most num_feats, which is 8"),
    ],
)
def test_unusable_arguments_are_explained(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        create_model("mocolsk", scale=2, **arguments)
