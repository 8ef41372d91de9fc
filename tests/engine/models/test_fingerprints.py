"""Our networks against figures taken from the published ones: parameter shapes and forward results in float64.

All parameters are filled by a formula of their shape, so that names and order do not matter. The published networks
work on kelvin and normalise inside; ours do not, so the test normalises around them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.layers.coupling import InvertibleCoupling
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.zoo import MODELS, create_model, get_spec

HERE = Path(__file__).parent
FINGERPRINTS = json.loads((HERE / "fingerprints.json").read_text())
SHAPES = json.loads((HERE / "shapes.json").read_text())
SHIFT_SCALE_KELVIN = {2: (282.51, 14.73), 4: (282.51, 14.68), 8: (282.51, 14.59)}
MINIMUM_RANGE_KELVIN = {2: (242.50, 79.83), 4: (242.72, 78.49), 8: (243.53, 77.32)}
MIN_MAX = {"suft_x2", "suft_x4", "suft_x8", "svlrm_x2", "dsrn_x2"}
"""Networks published with min-max instead of z-score normalisation."""


def plain_coupling(module: nn.Module) -> None:
    """Let an invertible coupling neither permute channels nor turn signs."""
    if isinstance(module, InvertibleCoupling):
        module.order.copy_(torch.arange(len(module.order)))
        module.sign.fill_(1)


TOLERANCE = {"dct": 1e-5, "msg": 1e-7}
"""Relative; where the published network computes a constant table in float32. All others: 1e-9."""

AFTER_FILL: dict[str, Callable[[nn.Module], object]] = {
    "dgf": lambda network: nn.init.ones_(network.window),  # random, its sums come near 0 and nothing is comparable
    "sgnet": lambda network: [plain_coupling(module) for module in network.modules()],  # random in the published one
}
"""What the figures were taken with beside the formula, and why."""

SAVED_CONSTANTS = {"running_mean", "running_var", "num_batches_tracked", "order", "sign"}
"""What networks keep beside parameters: running statistics, and what is random in an invertible coupling."""

UNEVEN = {"FEN": 4, "act": 3, "ctn": 2}
"""Networks that, as published, stretch their pooling cells or overlook the last pixels where the size is no multiple of
this; ours do neither."""


CORRECTED = {
    "dct": "as published, no pixel can be colder than the mean",
    "dsrn": "as published, no pixel can be colder than interpolated",
}
"""Networks whose result we correct on purpose; only the published form has the published figures."""


def name_and_scale(entry: str) -> tuple[str, int]:
    name, scale = entry.removesuffix("_odd").rsplit("_x", 1)
    return name, int(scale)


def published(entry: str) -> nn.Module:
    name, scale = name_and_scale(entry)
    return create_model(name, scale=scale, reference_compat=True)


def fill(network: nn.Module, gain: float) -> None:
    values = {shape: formula(shape, gain) for shape in {parameter.shape for parameter in network.parameters()}}
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data = values[parameter.shape]


def formula(shape: torch.Size, gain: float) -> Tensor:
    n, d = shape.numel(), len(shape)
    v = (12.9898 * torch.arange(1, n + 1, dtype=torch.float64) + 78.233 * d).sin().abs() * 43758.5453
    v = 2 * v.frac() - 1
    return (v * gain * math.sqrt(3) / math.sqrt(n / shape[0]) if d >= 2 else 0.1 + 0.05 * v).reshape(shape)


def axes(height: int, width: int) -> tuple[Tensor, Tensor]:
    return torch.arange(height, dtype=torch.float64)[:, None], torch.arange(width, dtype=torch.float64)[None]


def lst_kelvin(height: int, width: int) -> Tensor:
    y, x = axes(height, width)
    return (282.51 + 12 * (0.37 * y + 0.21 * x).sin())[None, None]


def guidance(height: int, width: int) -> Tensor:
    y, x = axes(height, width)
    return torch.stack([(0.13 * (c + 1) * y + 0.29 * x + c).sin() for c in range(10)])[None]


def comparable_forms() -> Iterator[tuple[str, bool]]:
    """Each figure, with the published form of its network and, where it must give the same, with ours."""
    for entry, expected in FINGERPRINTS.items():
        name, _ = name_and_scale(entry)
        even = not any(side % UNEVEN.get(name, 1) for side in expected["lr"])
        if get_spec(name).differs_from_published:
            yield entry, True
        if even and name not in CORRECTED:
            yield entry, False


def test_every_published_network_has_figures() -> None:
    assert {name_and_scale(entry)[0] for entry in FINGERPRINTS} == set(MODELS) - {
        "guided-context",
        "guided-residual",
        "srda",
    }


@pytest.mark.parametrize(("entry", "compat"), list(comparable_forms()))
def test_forward_equals_the_published_network(entry: str, compat: bool) -> None:
    name, scale = name_and_scale(entry)
    expected = FINGERPRINTS[entry]
    height, width = expected["lr"]
    network = create_model(name, scale=scale, reference_compat=compat).double().eval()
    fill(network, expected["gain"])
    AFTER_FILL.get(name, lambda _: None)(network)
    lst = lst_kelvin(height, width)
    shift, kelvin = (MINIMUM_RANGE_KELVIN if f"{name}_x{scale}" in MIN_MAX else SHIFT_SCALE_KELVIN)[scale]

    with torch.no_grad():
        fine = guidance(scale * height, scale * width) if get_spec(name).guided else None
        result = network((lst - shift) / kelvin, fine) * kelvin + shift

    close = TOLERANCE.get(name, 1e-9)
    assert result.mean().item() == pytest.approx(expected["mean"], rel=close)
    assert result.std(correction=0).item() == pytest.approx(expected["std"], rel=close)
    difference = result - up_bicubic(lst, scale)
    assert difference.square().mean().sqrt().item() == pytest.approx(expected["difference_to_bicubic_rms"], rel=close)
    for pixel, value in expected["pixels"].items():
        row, column = map(int, pixel.split(","))
        assert result[0, 0, row, column].item() == pytest.approx(value, rel=close)


@pytest.mark.parametrize("entry", SHAPES)
def test_parameter_shapes_equal_the_published_network(entry: str) -> None:
    with torch.device("meta"):
        network = published(entry)

    shapes = Counter("x".join(map(str, parameter.shape)) for parameter in network.parameters())

    assert shapes == SHAPES[entry]
    saved_constants = set(network.state_dict()) - {key for key, _ in network.named_parameters()}
    assert {key.rpartition(".")[2] for key in saved_constants} <= SAVED_CONSTANTS
