"""Networks for inference: fewer layers, the same values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from groklst_engine import create_model
from groklst_engine.inference.fusion import without_batch_norm


def trained(name: str) -> nn.Module:
    """A network whose normalisations have statistics of their own."""
    torch.manual_seed(0)
    network = create_model(name, scale=4, guidance_bands=3).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name, values in module.state_dict(keep_vars=True).items():
                if name in ("weight", "running_var"):
                    nn.init.uniform_(values, 0.5, 2.0)
                elif name in ("bias", "running_mean"):
                    nn.init.normal_(values)
    return network


@pytest.mark.parametrize(("name", "left"), [("dkn", 0), ("fdkn", 0), ("dgf", 0)])
def test_without_batch_norm_the_values_are_the_same(name: str, left: int) -> None:
    network = trained(name)
    lst, guidance = torch.randn(1, 1, 12, 12).double(), torch.randn(1, 3, 48, 48).double()
    with torch.inference_mode():
        expected = network(lst, guidance)
        folded = without_batch_norm(network)
        assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == left
        torch.testing.assert_close(folded(lst, guidance), expected, rtol=1e-9, atol=1e-9)


def test_a_normalisation_before_a_convolution_stays() -> None:
    """There zeros around the image would become something else."""
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(2))
    assert [type(layer) for layer in without_batch_norm(network)] == [
        nn.BatchNorm2d,
        nn.Conv2d,
        nn.ReLU,
        nn.BatchNorm2d,
    ]
