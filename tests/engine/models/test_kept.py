"""What networks make of the guidance alone is kept for the next LST over it, and changes nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from groklst_engine.inference.precision import HalfPrecision
from groklst_engine.layers.kept import keep_guidance
from groklst_engine.models.zoo import create_model, get_spec, list_models
from groklst_engine.normalize import InUnits, Normalization

SPARING = (
    "ahmf",
    "cunet",
    "dagf",
    "dct",
    "djf",
    "djfr",
    "dkn",
    "dsrn",
    "fdkn",
    "fdsr",
    "guided-context",
    "guided-residual",
    "msg",
    "pac",
    "srda",
)
"""Networks that look at the guidance apart from the LST at first."""


def network_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    preset = "small" if "small" in get_spec(name).presets else None
    return create_model(name, scale=4, guidance_bands=3, preset=preset).eval()


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", [name for name in list_models() if get_spec(name).guided])
@torch.inference_mode()
def test_a_kept_guidance_gives_the_same_bits(name: str, half: bool) -> None:
    plain = HalfPrecision(network_of(name)) if half else network_of(name)
    keeping = copy.deepcopy(plain)
    keep_guidance([keeping])
    dates, guidances = torch.randn(2, 1, 1, 24, 24), torch.randn(2, 1, 3, 96, 96)
    for guidance in (*guidances, guidances[0]):
        for date in dates:
            torch.testing.assert_close(keeping(date, guidance), plain(date, guidance), rtol=0, atol=0)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", SPARING)
@torch.inference_mode()
def test_the_guidance_is_worked_on_once(name: str, half: bool) -> None:
    keeping = HalfPrecision(network_of(name)) if half else network_of(name)
    keep_guidance([keeping])
    dates, guidance = torch.randn(2, 1, 1, 24, 24), torch.randn(1, 3, 96, 96)
    first, again = (operations(keeping, date, guidance) for date in dates)
    assert first > again
    assert operations(keeping, dates[1], guidance.clone()) == first


@torch.inference_mode()
def test_a_network_in_units_of_its_own_keeps_too() -> None:
    kelvin = Normalization.model_validate({"lst": {"mode": "none"}})
    keeping = InUnits(network_of("djfr"), kelvin, ("red", "nir", "dem"))
    keep_guidance([keeping])
    dates, guidance = torch.randn(2, 1, 1, 24, 24), torch.randn(1, 3, 96, 96)
    assert operations(keeping, dates[0], guidance) > operations(keeping, dates[1], guidance)


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(network: nn.Module, lst: torch.Tensor, guidance: torch.Tensor) -> int:
    """How many operations a forward pass takes."""
    with _Counted() as counted:
        network(lst, guidance)
    return counted.count
