from __future__ import annotations

import pytest
import torch

from groklst_engine.models.zoo import create_model


@pytest.mark.parametrize(("reference_compat", "same"), [(False, True), (True, False)])
def test_a_ragged_right_edge_changes_nothing_far_from_it(reference_compat: bool, same: bool) -> None:
    torch.manual_seed(0)
    network = create_model("FEN", scale=2, num_feats=8, n_blocks=1, reference_compat=reference_compat).double()
    lst = torch.randn(1, 1, 16, 64, dtype=torch.float64)

    with torch.no_grad():
        whole, ragged = network(lst)[..., :80], network(lst[..., :63])[..., :80]

    assert torch.allclose(whole, ragged, rtol=0, atol=1e-12) is same
