from __future__ import annotations

import torch

from groklst_engine.models.han import LayerAttention


def test_unlike_layers_weigh_most() -> None:
    attention = LayerAttention()
    torch.nn.init.ones_(attention.strength)
    like, unlike = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    layers = 10 * torch.stack([like, like, unlike]).reshape(1, 3, 2, 1, 1)

    with torch.no_grad():
        added = (attention(layers) - layers).reshape(3, 2) / 10

    torch.testing.assert_close(added, torch.stack([unlike, unlike, like]))


def test_sums_over_the_image_stay_exact_in_half_precision() -> None:
    attention = LayerAttention()
    torch.nn.init.ones_(attention.strength)
    layers = torch.full((1, 2, 4, 64, 64), 30.0)
    layers[:, 1] *= 1.001

    with torch.no_grad():
        exact = attention(layers)
        with torch.autocast("cpu", torch.bfloat16):
            rough = attention(layers)

    torch.testing.assert_close(rough, exact, rtol=0.01, atol=0)
