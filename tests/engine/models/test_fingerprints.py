"""Our networks against figures taken from the published ones: parameter shapes and forward results in float64.

All parameters are filled by a formula of their shape, so that names and order do not matter. The published networks
work on kelvin and normalise inside; ours do not, so the test normalises around them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.zoo import create_model, get_spec

HERE = Path(__file__).parent
FINGERPRINTS = json.loads((HERE / "fingerprints.json").read_text())
SHAPES = json.loads((HERE / "shapes.json").read_text())
MEAN_STD_KELVIN = {2: (282.51, 14.73), 4: (282.51, 14.68), 8: (282.51, 14.59)}


def name_and_scale(entry: str) -> tuple[str, int]:
    name, scale = entry.rsplit("_x", 1)
    return name, int(scale)


def fill(network: nn.Module, gain: float) -> None:
    values = {shape: formula(shape, gain) for shape in {parameter.shape for parameter in network.parameters()}}
    for parameter in network.parameters():
        parameter.data = values[parameter.shape]


def formula(shape: torch.Size, gain: float) -> Tensor:
    n, d = shape.numel(), len(shape)
    v = (12.9898 * torch.arange(1, n + 1, dtype=torch.float64) + 78.233 * d).sin().abs() * 43758.5453
    v = 2 * v.frac() - 1
    return (v * gain * math.sqrt(3) / math.sqrt(n / shape[0]) if d >= 2 else 0.1 + 0.05 * v).reshape(shape)


def waves(height: int) -> tuple[Tensor, Tensor]:
    y = torch.arange(height, dtype=torch.float64)[:, None]
    return y, y.T


def lst_kelvin(height: int) -> Tensor:
    y, x = waves(height)
    return (282.51 + 12 * (0.37 * y + 0.21 * x).sin())[None, None]


def guidance(height: int) -> Tensor:
    y, x = waves(height)
    return torch.stack([(0.13 * (c + 1) * y + 0.29 * x + c).sin() for c in range(10)])[None]


@pytest.mark.parametrize("entry", FINGERPRINTS)
def test_forward_equals_the_published_network(entry: str) -> None:
    name, scale = name_and_scale(entry)
    expected = FINGERPRINTS[entry]
    height = expected["height"]
    network = create_model(name, scale=scale).eval()
    fill(network, expected["gain"])
    lst = lst_kelvin(height // scale)
    mean, std = MEAN_STD_KELVIN[scale]

    with torch.no_grad():
        result = network((lst - mean) / std, guidance(height) if get_spec(name).guided else None) * std + mean

    assert result.mean().item() == pytest.approx(expected["mean"], rel=1e-9)
    assert result.std(correction=0).item() == pytest.approx(expected["std"], rel=1e-9)
    difference = result - up_bicubic(lst, scale)
    assert difference.square().mean().sqrt().item() == pytest.approx(expected["difference_to_bicubic_rms"], rel=1e-9)
    for pixel, value in expected["pixels"].items():
        row, column = map(int, pixel.split(","))
        assert result[0, 0, row, column].item() == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("entry", SHAPES)
def test_parameter_shapes_equal_the_published_network(entry: str) -> None:
    name, scale = name_and_scale(entry)
    with torch.device("meta"):
        network = create_model(name, scale=scale)

    shapes = Counter("x".join(map(str, parameter.shape)) for parameter in network.parameters())

    assert shapes == SHAPES[entry]
    assert not list(network.buffers())
