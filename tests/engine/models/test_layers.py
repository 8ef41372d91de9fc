"""Blocks whose exactness the networks' own tests would not show."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from groklst_engine.layers.conv import conv_per_sample
from groklst_engine.layers.dynamic_mlp import apply_generated
from groklst_engine.layers.large_kernel import convolved
from groklst_engine.layers.padding import padded
from groklst_engine.layers.pooling import CellMeans, channel_mean_max, image_means, pyramid_tokens
from groklst_engine.layers.projection import PROJECTION_GEOMETRY, DenseProjection
from groklst_engine.layers.resample import PixelShuffleUpsampler, up_bicubic
from groklst_engine.layers.transformer import DropPath


@pytest.mark.parametrize("scale", PROJECTION_GEOMETRY)
def test_projections_go_to_the_other_grid_exactly(scale: int) -> None:
    coarse, fine = torch.randn(1, 3, 5, 7), torch.randn(1, 3, 5 * scale, 7 * scale)

    assert DenseProjection(3, 4, scale, "up")(coarse).shape == (1, 4, 5 * scale, 7 * scale)
    assert DenseProjection(3, 4, scale, "down")(fine).shape == (1, 4, 5, 7)


@pytest.mark.parametrize("scale", [2, 3, 4, 8, 16])
def test_sub_pixel_convolutions_reach_any_of_their_scales(scale: int) -> None:
    assert PixelShuffleUpsampler(2, scale)(torch.randn(1, 2, 3, 5)).shape == (1, 2, 3 * scale, 5 * scale)


@pytest.mark.parametrize("scale", [1, 6])
def test_sub_pixel_convolutions_refuse_other_scales(scale: int) -> None:
    with pytest.raises(ValueError, match="3 or a power of two"):
        PixelShuffleUpsampler(2, scale)


def test_bicubic_interpolation_keeps_a_plane_in_place() -> None:
    plane = torch.arange(12.0).expand(1, 1, 12, 12)

    fine = up_bicubic(plane, 4)[0, 0, 24, 8:-8]

    expected = (torch.arange(48.0)[8:-8] + 0.5) / 4 - 0.5
    assert (fine.reshape(-1, 4).mean(1) - expected.reshape(-1, 4).mean(1)).abs().max() < 1e-5


def test_filters_per_sample_equal_one_convolution_each() -> None:
    x, weights = torch.randn(3, 2, 6, 8), torch.randn(3, 4, 2, 3, 3)

    expected = torch.cat([F.conv2d(x[i : i + 1], weights[i], padding=1) for i in range(3)])

    torch.testing.assert_close(conv_per_sample(x, weights), expected)


def test_generated_matrices_are_stored_row_by_row() -> None:
    matrix = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    result = apply_generated(torch.tensor([[[1.0, 10.0]]]), matrix.reshape(1, 1, 6))

    assert result.tolist() == [[[41.0, 52.0, 63.0]]]


def test_pyramid_tokens_run_from_the_whole_image_to_the_cells_row_by_row() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2)

    assert pyramid_tokens(x, (1, 2))[0, :, 0].tolist() == [1.5, 0, 1, 2, 3]
    assert pyramid_tokens(torch.randn(2, 5, 4, 9)).shape == (2, 50, 5)


def test_channel_summary_is_mean_then_maximum() -> None:
    x = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)

    assert channel_mean_max(x).flatten().tolist() == [3, 6]


def test_cells_are_counted_from_the_corner_and_the_last_are_cut() -> None:
    x = torch.arange(5.0).expand(1, 1, 3, 5)

    means = CellMeans(2)(x)[0, 0]

    assert means.tolist() == [[0.5, 0.5, 2.5, 2.5, 4]] * 3


def test_stretched_cells_drift_away_from_their_pixels() -> None:
    x = torch.arange(5.0).expand(1, 1, 4, 5)

    assert CellMeans(2, stretch=True)(x)[0, 0, 0].tolist() == [0.5, 0.5, 0.5, 2.5, 2.5]


def test_dropped_paths_are_whole_samples_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 3)
    layer = DropPath(0.25)

    result = layer(x)

    assert torch.equal(layer.eval()(x), x)
    assert (result == result[:, :1, :1]).all()
    torch.testing.assert_close(result.unique(), torch.tensor([0, 4 / 3]))
    torch.testing.assert_close(result.mean(), torch.tensor(1.0), rtol=0, atol=0.03)


def test_padding_mirrors_where_it_can() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)

    assert padded(x, 3)[0, 0].tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert padded(x, 4, at_least=4)[0, 0, 3].tolist() == [3, 4, 5, 5]
    assert padded(x, 4, "zeros")[0, 0].tolist() == [[0, 1, 2, 0], [3, 4, 5, 0], [0] * 4, [0] * 4]
    assert padded(x, 1) is x


@pytest.mark.parametrize("size", [(12, 15), (13, 11)])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_dilated_convolution_equals_plain_ones_over_every_third_pixel(batch: int, size: tuple[int, int]) -> None:
    conv = nn.Conv2d(4, 4, 7, padding=9, dilation=3, groups=4).double()
    x = torch.randn(batch, 4, *size, dtype=torch.double)
    torch.testing.assert_close(convolved(conv, x), conv(x))


def test_means_over_the_image_are_exact_in_half_precision() -> None:
    x = (300 + torch.rand(2, 3, 60, 70, dtype=torch.double)).requires_grad_()
    torch.testing.assert_close(image_means(x), x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(torch.autograd.grad(image_means(x).sum(), x)[0], torch.full_like(x, 1 / 4200))
    half = image_means((x / 300).bfloat16()).double()
    torch.testing.assert_close(half, (x / 300).mean((2, 3), keepdim=True), rtol=2**-8, atol=0)
