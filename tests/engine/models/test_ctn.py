from __future__ import annotations

import torch

from groklst_engine.models.zoo import create_model


def test_eight_is_reached_by_a_third_step_of_two() -> None:
    by_4, by_8 = (create_model("ctn", scale=scale, preset="small") for scale in (4, 8))

    assert len(by_8.upsampler) == len(by_4.upsampler) + 1
    assert by_8(torch.randn(1, 1, 15, 16)).shape == (1, 1, 120, 128)
