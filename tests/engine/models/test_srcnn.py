from __future__ import annotations

import pytest
import torch

from groklst_engine.errors import ModelError
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.srcnn import SRCNN
from groklst_engine.models.zoo import create_model


def test_the_residual_form_adds_to_the_interpolated_image() -> None:
    published, residual = SRCNN(scale=5), SRCNN(scale=5, residual=True)
    residual.load_state_dict(published.state_dict())
    lst = torch.randn(1, 1, 16, 16)

    torch.testing.assert_close(residual(lst), up_bicubic(lst, 5) + published(lst))


@pytest.mark.parametrize("kernel_sizes", [(9, 5), (9, 2, 5)])
def test_unusable_kernel_sizes_are_explained(kernel_sizes: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match="choose 3 odd numbers, one more than there are widths"):
        create_model("srcnn", scale=2, kernel_sizes=kernel_sizes)
