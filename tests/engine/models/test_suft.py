"""SUFT's uncertainty: stretched per sample, and sound where there is none."""

from __future__ import annotations

import torch

from groklst_engine.models.suft import Bridge, _stretched
from groklst_engine.models.zoo import create_model


def test_each_sample_is_stretched_from_0_to_1() -> None:
    x = torch.randn(3, 1, 6, 8) * torch.tensor([0.01, 1, 100]).reshape(3, 1, 1, 1)

    stretched = _stretched(x)

    assert stretched.amin(dim=(1, 2, 3)).tolist() == [0, 0, 0]
    torch.testing.assert_close(stretched.amax(dim=(1, 2, 3)), torch.ones(3))


def test_guidance_is_left_out_where_nothing_is_uncertain() -> None:
    bridge = Bridge(4, 4, 2, reference_compat=False)
    torch.nn.init.zeros_(bridge.uncertainty.weight)
    lst, guidance = torch.randn(1, 4, 5, 7), torch.randn(1, 4, 10, 14)

    result = bridge(lst, guidance)
    result.sum().backward()

    assert torch.equal(result, bridge(lst, guidance + 1))
    assert all(parameter.grad.isfinite().all() for parameter in bridge.parameters())


def test_constant_inputs_have_finite_results_and_gradients_in_half_precision() -> None:
    network = create_model("suft", scale=2, guidance_bands=2, preset="small")

    with torch.autocast("cpu", torch.bfloat16):
        result = network(torch.zeros(1, 1, 16, 16), torch.ones(1, 2, 32, 32))
    result.sum().backward()

    assert result.isfinite().all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
