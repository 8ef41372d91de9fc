"""Kelvin or degrees Celsius."""

from __future__ import annotations

import numpy as np
import pytest

from groklst_engine.errors import InputError
from groklst_engine.units import ZERO_CELSIUS, guess_unit, offset_to_kelvin


def temperatures(mean: float, spread: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, 500)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mean", [215, 255, 273.15, 300, 340])
def test_any_lst_is_recognised_in_either_unit(mean: float, seed: int) -> None:
    kelvin = temperatures(mean, 4, seed)
    assert guess_unit(kelvin, None, "it") == "K"
    assert guess_unit(kelvin - ZERO_CELSIUS, None, "it") == "C"


@pytest.mark.parametrize("word", ["K", "kelvin", " Kelvin ", "degK"])
def test_a_word_for_kelvin(word: str) -> None:
    assert guess_unit(temperatures(300, 5), word, "it") == "K"


@pytest.mark.parametrize("word", ["C", "°C", "celsius", "degC", "degree_Celsius"])
def test_a_word_for_celsius(word: str) -> None:
    assert guess_unit(temperatures(20, 5), word, "it") == "C"
    assert guess_unit(temperatures(0, 0.3), word, "it") == "C"  # too near to zero to be recognised without


def test_zeros_are_no_evidence() -> None:
    mostly_fill = np.concatenate([np.zeros(5000), temperatures(300, 5)])
    assert guess_unit(mostly_fill, None, "it") == "K"


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (temperatures(0.3, 0.1), None),
        (temperatures(15_000, 300), None),
        (np.full(500, -9999.0), None),
        (np.zeros(500), None),
        (np.concatenate([temperatures(300, 5), temperatures(20, 5)]), None),
        (temperatures(20, 5), "K"),
        (temperatures(300, 5), "°C"),
        (temperatures(80, 5), "fahrenheit"),
    ],
    ids=["reflectance", "scaled integers", "fill", "zeros", "both", "no kelvin", "no celsius", "fahrenheit"],
)
def test_what_is_ambiguous_is_refused(values: np.ndarray, declared: str | None) -> None:
    with pytest.raises(InputError, match="LST unit") as refusal:
        guess_unit(values, declared, "band 1 of 'lst.tif'")
    message = str(refusal.value)
    assert "band 1 of 'lst.tif'" in message
    assert declared is None or f"'{declared}'" in message
    assert "\n" not in message
    assert message.endswith(".")


def test_offsets() -> None:
    assert offset_to_kelvin("K") == 0
    assert offset_to_kelvin("C") == 273.15
