"""Comparing a written output with its input and with a reference, in strips of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken
from groklst_engine.grid import CoarseWindow, Grid
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.lst_reader import SAMPLE_PIXELS, LstReader
from groklst_engine.metrics import ScoreAccumulator
from groklst_engine.raster import Floats
from groklst_engine.reader import AlignedReader
from groklst_engine.units import Unit, offset_to_kelvin

STRIP_PIXELS = 4_000_000
MAP_SIDE = 900
"""Longest side of the maps kept for the report."""


@dataclass(frozen=True)
class Comparison:
    """Scores of an output, and what the report shows of it.

    Attributes:
        row: Label, protocol and the five scores.
        output_map: Output in kelvin, every n-th pixel.
        other_map: Input or reference in kelvin at the same pixels.
        grid: Of the output.
        output_range: 2nd and 98th percentile of the output, in its own unit.
    """

    row: dict[str, Any]
    output_map: Floats
    other_map: Floats
    grid: Grid
    output_range: tuple[float, float]


class InputComparison:
    """How well an output, averaged over each coarse pixel, gives back the coarse LST; found out while it is written.

    Args:
        lst: The coarse LST.
        fine: Grid of the output.
        scale: Coarse pixel divided by fine pixel.
        unit: Of the output.
    """

    def __init__(self, lst: LstSource, fine: Grid, scale: int, unit: Unit) -> None:
        self._coarse = LstReader(lst)
        self._grid = fine
        self._scale = scale
        self._offset = np.float32(offset_to_kelvin(unit))
        self._scores = ScoreAccumulator()
        self._maps = _Maps(fine)
        self._step = math.ceil(math.sqrt(fine.height * fine.width / SAMPLE_PIXELS))
        self._sample: list[Floats] = []

    def add(self, top: int, left: int, values: Floats) -> None:
        """Take in a part of the output, in its unit, whose corner is that of a coarse pixel."""
        s = self._scale
        rows = np.arange(top // s, (top + values.shape[0]) // s)
        columns = np.arange(left // s, (left + values.shape[1]) // s)
        measured = self._coarse.read(rows, columns)
        kelvin = values + self._offset
        self._scores.update(_block_means(kelvin, s), measured)
        self._maps.add(top, left, kelvin, measured, s)
        middle = self._step // 2  # the outermost row and column of a raster are often fill
        sample = values[(middle - top) % self._step :: self._step, (middle - left) % self._step :: self._step]
        self._sample.append(sample[np.isfinite(sample)])

    def comparison(self) -> Comparison:
        """The scores of all that was added.

        Raises:
            InputError: The output holds no valid pixel.
        """
        row = _row("Result, averaged to the input's pixels", "coarse consistency", self._scores)
        low, high = np.percentile(np.concatenate(self._sample), [2, 98])
        return Comparison(row, self._maps.output, self._maps.other, self._grid, (float(low), float(high)))

    def close(self) -> None:
        """Close the LST."""
        self._coarse.close()


def compare_with_reference(output: Path, reference: LstSource, label: str, cancel: CancelToken) -> Comparison:
    """How well the output gives a fine reference LST, brought to the output's grid where it lies on another.

    Raises:
        InputError: The reference cannot be used, or shares no valid pixel with the output.
    """
    source = LstReader(reference, "reference")
    roles: tuple[Role | None, ...] = tuple(
        "other" if band == reference.band else None for band in range(1, source.dataset.count + 1)
    )
    offset = np.float32(offset_to_kelvin(source.unit))
    source.close()
    scores = ScoreAccumulator()
    guidance = (GuidanceSource(path=reference.path, roles=roles),)
    with AlignedReader(LstSource(path=str(output)), guidance, 1) as reader:
        grid = reader.pair.fine
        maps = _Maps(grid)
        for top, bottom in _strips(grid.height, grid.width):
            cancel.check()
            result, (truth,) = reader.read(CoarseWindow(top, bottom, 0, grid.width))
            scores.update(result, truth + offset)
            maps.add(top, 0, result, truth + offset)
        summary, offset_out = reader.lst.summary, offset_to_kelvin(reader.lst.unit)
        limits = (summary.low - offset_out, summary.high - offset_out)
        return Comparison(_row(label, "fine reference", scores), maps.output, maps.other, grid, limits)


def _row(label: str, protocol: str, scores: ScoreAccumulator) -> dict[str, Any]:
    try:
        return {"label": label, "protocol": protocol, **scores.scores().to_json()}
    except ValueError as error:
        raise InputError(f"The output shares no valid pixel with what it is compared to ({protocol}).") from error


def _strips(height: int, pixels_per_row: int) -> Iterator[tuple[int, int]]:
    rows = max(1, STRIP_PIXELS // pixels_per_row)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _block_means(fine: Floats, scale: int) -> NDArray[np.float64]:
    """Means over the valid pixels of each block, NaN where there is none."""
    valid = np.isfinite(fine)
    if valid.all():
        return _block_sums(fine, scale) / scale**2
    count = _block_sums(valid, scale)
    return np.where(count > 0, _block_sums(np.where(valid, fine, 0), scale) / np.maximum(count, 1), np.nan)


def _block_sums(values: NDArray[Any], scale: int) -> NDArray[np.float64]:
    height, width = values.shape[0] // scale, values.shape[1] // scale
    rows = values.reshape(height, scale, -1).sum(1, dtype=np.float64)
    sums: NDArray[np.float64] = rows.reshape(height, width, scale).sum(-1)
    return sums


class _Maps:
    """Every n-th pixel of two rasters, collected strip by strip."""

    def __init__(self, grid: Grid) -> None:
        self._step = math.ceil(max(grid.height, grid.width) / MAP_SIDE)
        shape = (-(-grid.height // self._step), -(-grid.width // self._step))
        self.output = np.full(shape, np.nan, np.float32)
        self.other = np.full(shape, np.nan, np.float32)

    def add(self, top: int, left: int, output: Floats, other: Floats, scale: int = 1) -> None:
        """Add a part that begins at row ``top`` and column ``left``; ``other`` is coarser by ``scale``."""
        rows = np.arange(-(-top // self._step), -(-(top + output.shape[0]) // self._step))
        columns = np.arange(-(-left // self._step), -(-(left + output.shape[1]) // self._step))
        there = np.ix_(rows, columns)
        rows, columns = rows * self._step - top, columns * self._step - left
        self.output[there] = output[np.ix_(rows, columns)]
        self.other[there] = other[np.ix_(rows // scale, columns // scale)]
