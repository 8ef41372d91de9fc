"""Blocks that belong to one guided network: what they are meant to compute."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from groklst_engine.errors import ModelError
from groklst_engine.layers.coupling import InvertibleCoupling
from groklst_engine.models.cunet import SoftThreshold
from groklst_engine.models.dagf import filter_per_pixel
from groklst_engine.models.dct import laplacian, solve_screened_poisson
from groklst_engine.models.sgnet import phase
from groklst_engine.models.zoo import create_model


def test_soft_thresholds_shrink_or_with_a_negative_one_stretch() -> None:
    shrink = SoftThreshold()
    x = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0])

    with torch.no_grad():
        shrink.threshold.fill_(1)
        assert shrink(x).tolist() == [-2, 0, 0, 0, 2]
        shrink.threshold.fill_(-1)
        assert shrink(x).tolist() == [-4, -1.5, 0, 1.5, 4]


def test_the_screened_poisson_equation_is_solved_exactly() -> None:
    target = torch.randn(1, 2, 7, 10, dtype=torch.float64)
    weight = torch.tensor([0.3, 5.0], dtype=torch.float64).reshape(1, 2, 1, 1)

    solution = solve_screened_poisson(target, weight)

    def four_neighbours(x: torch.Tensor) -> torch.Tensor:
        edges_repeated = F.pad(x, (1, 1, 1, 1), mode="replicate")
        rows = edges_repeated[..., 2:, 1:-1] + edges_repeated[..., :-2, 1:-1]
        columns = edges_repeated[..., 1:-1, 2:] + edges_repeated[..., 1:-1, :-2]
        return rows + columns - 4 * x

    torch.testing.assert_close(solution + weight * four_neighbours(four_neighbours(solution)), target)


def test_the_laplacian_sums_the_differences_to_8_neighbours() -> None:
    spike = torch.zeros(1, 1, 5, 5)
    spike[..., 2, 2] = 16

    assert laplacian(spike)[0, 0, 1:4, 1:4].round(decimals=4).tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]


def test_each_pixel_is_filtered_by_its_own_kernel() -> None:
    x, kernels = torch.randn(2, 3, 6, 8), torch.randn(2, 9, 6, 8)

    neighbourhoods = F.unfold(x, 3, dilation=2, padding=2).reshape(2, 3, 9, 6, 8)

    torch.testing.assert_close(filter_per_pixel(x, kernels, dilation=2), (neighbourhoods * kernels[:, None]).sum(dim=2))


def test_a_coupling_starts_as_a_rotation_of_the_channels() -> None:
    matrix = InvertibleCoupling(6, 2)._matrix()

    torch.testing.assert_close(matrix @ matrix.T, torch.eye(6), rtol=0, atol=1e-5)


def test_rounding_noise_has_neither_phase_nor_gradient() -> None:
    noise = 1e-18
    spectrum = torch.tensor([1, -1, -1 + noise * 1j, -1 - noise * 1j, noise * 1j, 1 + 1j], dtype=torch.complex128)
    spectrum = spectrum.reshape(1, 1, 2, 3).requires_grad_()

    angles = phase(spectrum)
    angles.sum().backward()

    assert angles.flatten().tolist() == [0, math.pi, math.pi, math.pi, 0, math.pi / 4]
    assert spectrum.grad is not None
    assert spectrum.grad.flatten().tolist() == [0, 0, 0, 0, 0, -0.5 + 0.5j]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_feats": 41}, "num_feats is 41: choose an even number"),
        ({"reduction": 6}, "reduction is 6: choose a multiple of 4 that is at most num_feats, which is 40"),
        ({"num_feats": 8}, "reduction is 16: choose a multiple of 4 that is at most num_feats, which is 8"),
    ],
)
def test_unusable_arguments_of_sgnet_are_explained(arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        create_model("sgnet", scale=2, **arguments)
