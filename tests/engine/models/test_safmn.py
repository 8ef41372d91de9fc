from __future__ import annotations

import pytest
import torch

from groklst_engine.models.safmn import SAFMN, GlobalResponseNorm


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 20), (20, 15)])
def test_images_smaller_than_the_coarsest_cell(height: int, width: int) -> None:
    result = SAFMN(scale=2, num_feats=8, n_blocks=1)(torch.randn(1, 1, height, width))

    assert result.shape == (1, 1, 2 * height, 2 * width)
    assert result.isfinite().all()


def test_response_norm_leaves_features_alone_at_the_start() -> None:
    x = torch.randn(2, 4, 5, 6)

    assert torch.equal(GlobalResponseNorm(4)(x), x)


def test_response_norm_has_a_finite_gradient_where_nothing_responds() -> None:
    norm = GlobalResponseNorm(4)
    x = torch.zeros(1, 4, 5, 6, requires_grad=True)
    with torch.no_grad():
        norm.gain.fill_(1)

    norm(x).sum().backward()

    assert x.grad is not None
    assert x.grad.isfinite().all()
