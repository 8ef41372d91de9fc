from __future__ import annotations

import torch

from groklst_engine.models.cfgn import ContrastChannelAttention


def test_a_constant_channel_has_a_finite_gradient() -> None:
    x = torch.ones(1, 8, 4, 4, requires_grad=True)

    ContrastChannelAttention(8)(x).sum().backward()

    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_the_gates_depend_on_contrast() -> None:
    attention = ContrastChannelAttention(8).double()
    flat = torch.zeros(1, 8, 4, 4, dtype=torch.float64)
    rough = flat.clone()
    rough[..., ::2], rough[..., 1::2] = 1, -1

    with torch.no_grad():
        flat_gate, rough_gate = attention(flat + 1)[..., 0], attention(rough + 1)[..., 0] / 2

    assert not torch.allclose(flat_gate, rough_gate)
