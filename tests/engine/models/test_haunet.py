from __future__ import annotations

import pytest
import torch

from groklst_engine.models import haunet
from groklst_engine.models.haunet import spatial_attention


def test_attention_in_parts_equals_attention_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 4, 15, dtype=torch.float64, requires_grad=True) for _ in range(3))
    temperature = torch.rand(3, 1, 1, dtype=torch.float64, requires_grad=True)
    inputs = [query, key, value, temperature]
    cosines = torch.cosine_similarity(query[..., :, None], key[..., None, :], dim=2)
    expected = value @ (cosines * temperature).relu().softmax(dim=-1).transpose(-2, -1)
    monkeypatch.setattr(haunet, "_LOGITS", 4 * 2 * 3 * 15)  # four pixels at a time

    result = spatial_attention(*inputs)

    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(
        torch.autograd.grad(result.square().sum(), inputs), torch.autograd.grad(expected.square().sum(), inputs)
    )
