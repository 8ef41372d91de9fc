"""SAN's statistics: the covariance and its square root."""

from __future__ import annotations

import torch

from groklst_engine.models.san import RegionNonLocal, SecondOrderChannelAttention, covariance, newton_schulz_sqrt


def test_covariance_is_over_the_pixels() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64) + 7

    expected = torch.stack([torch.cov(sample.flatten(1), correction=0) for sample in x])

    torch.testing.assert_close(covariance(x), expected)


def test_square_roots_come_close_for_well_conditioned_matrices() -> None:
    matrix = torch.tensor([[2.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 1.0]], dtype=torch.float64)

    root = newton_schulz_sqrt(matrix[None])[0]

    assert (root @ root - matrix).abs().max() < 0.02


def test_constant_features_have_finite_gates_and_gradients() -> None:
    attention = SecondOrderChannelAttention(8, 4)
    x = torch.full((1, 8, 6, 6), 3.0, requires_grad=True)

    result = attention(x)
    result.sum().backward()

    assert x.grad is not None
    assert result.isfinite().all()
    assert x.grad.isfinite().all()


def test_pixels_gather_from_their_own_quarter_only() -> None:
    torch.manual_seed(0)
    nonlocal_attention = RegionNonLocal(4, 2, reference_compat=False)
    torch.nn.init.normal_(nonlocal_attention.expand.weight)
    x = torch.randn(1, 4, 7, 9)
    changed = x.clone()
    changed[..., 0, 0] += 5

    with torch.no_grad():
        differs = (nonlocal_attention(x) != nonlocal_attention(changed)).any(dim=1)[0]

    assert differs[:3, :4].all()
    differs[:3, :4] = False
    assert not differs.any()
