from __future__ import annotations

import torch

from groklst_engine.models.egasr import _LAPLACIAN, EdgeConv
from groklst_engine.models.zoo import create_model


def test_the_bias_of_the_mixing_has_no_effect_so_ours_has_none() -> None:
    torch.manual_seed(0)
    published = EdgeConv(4, _LAPLACIAN, reference_compat=True).double()
    ours = EdgeConv(4, _LAPLACIAN, reference_compat=False).double()
    ours.load_state_dict({key: value for key, value in published.state_dict().items() if key in ours.state_dict()})
    x = torch.randn(1, 4, 6, 7, dtype=torch.float64)

    with torch.no_grad():
        published.mix.bias += 100

        torch.testing.assert_close(published(x), ours(x), rtol=0, atol=1e-12)


def test_operators_are_constants_and_not_saved() -> None:
    network = create_model("egasr", scale=2, preset="small")

    assert not [key for key in network.state_dict() if key.endswith("operator")]
    assert len([key for key, _ in network.named_buffers() if key.endswith("operator")]) == 2 * 2 * 3
