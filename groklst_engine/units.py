"""Which unit an LST raster is in: kelvin or degrees Celsius."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groklst_engine.errors import InputError

Unit = Literal["K", "C"]
ZERO_CELSIUS = 273.15

PLAUSIBLE_KELVIN = (100.0, 500.0)
"""LST outside is a fill value that nobody declared (0, −9999 …), not a temperature."""

_KELVIN_WORDS = {"k", "kelvin", "degk", "deg k", "degree kelvin", "degrees kelvin"}
_CELSIUS_WORDS = {"c", "°c", "celsius", "degc", "deg c", "degree celsius", "degrees celsius", "degree_celsius"}


def offset_to_kelvin(unit: Unit) -> float:
    """What to add to a temperature in ``unit`` to have kelvin."""
    return 0.0 if unit == "K" else ZERO_CELSIUS


def guess_unit(values: NDArray[np.floating], declared: str | None, where: str) -> Unit:
    """The unit of LST values from the band's own word for it, else from their range.

    Args:
        values: Valid values with the file's scale and offset applied.
        declared: The band's unit as the file states it.
        where: The band, for messages.

    Raises:
        InputError: Neither tells; names the options to set.
    """
    word = (declared or "").strip(" []").lower()
    kelvin, celsius = _shares(values)
    if word in _KELVIN_WORDS and kelvin >= 0.5:
        return "K"
    if word in _CELSIUS_WORDS and celsius >= 0.5:
        return "C"
    if not word and kelvin >= 0.5 and kelvin > 5 * celsius:
        return "K"
    # numbers within ±1.5 are more often an index or a reflectance than degrees around freezing
    if not word and celsius >= 0.5 and celsius > 5 * kelvin and np.abs(values).max() > 1.5:
        return "C"
    low, high = np.percentile(values, [1, 99])
    says = f", declared as '{declared}'," if word else ""
    raise InputError(
        f"The unit of {where} can't be guessed: its values run from {low:g} to {high:g}{says} which is neither kelvin "
        "nor °C for certain: set the LST unit (K or C) and, for scaled integers, scale and offset (MODIS: scale 0.02)."
    )


def _shares(values: NDArray[np.floating]) -> tuple[float, float]:
    """Shares of the values that could be LST in kelvin and in °C; zeros, a common fill, do not count."""
    counted = values[values != 0]
    if counted.size == 0:
        return 0.0, 0.0
    kelvin = np.mean((counted > 150) & (counted < 400))
    celsius = np.mean((counted > -90) & (counted < 85))
    return float(kelvin), float(celsius)
