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
from groklst_engine.lst_reader import LstReader
from groklst_engine.metrics import ScoreAccumulator
from groklst_engine.raster import Floats
from groklst_engine.reader import AlignedReader
from groklst_engine.units import offset_to_kelvin

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


def compare_with_input(output: Path, lst: LstSource, scale: int, cancel: CancelToken) -> Comparison:
    """How well the output, averaged over each coarse pixel, gives back the coarse LST.

    Raises:
        InputError: The output holds no valid pixel.
    """
    scores = ScoreAccumulator()
    coarse, fine = LstReader(lst), LstReader(LstSource(path=str(output)), "output")
    try:
        maps = _Maps(fine.grid)
        columns, fine_columns = np.arange(coarse.grid.width), np.arange(fine.grid.width)
        for top, bottom in _strips(coarse.grid.height, coarse.grid.width * scale**2):
            cancel.check()
            measured = coarse.read(np.arange(top, bottom), columns)
            result = fine.read(np.arange(top * scale, bottom * scale), fine_columns)
            scores.update(_block_means(result, scale), measured)
            maps.add(top * scale, result, measured.repeat(scale, 0).repeat(scale, 1))
        return _comparison("Result, averaged to the input's pixels", "coarse consistency", scores, maps, fine)
    finally:
        coarse.close()
        fine.close()


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
            maps.add(top, result, truth + offset)
        return _comparison(label, "fine reference", scores, maps, reader.lst)


def _comparison(label: str, protocol: str, scores: ScoreAccumulator, maps: _Maps, output: LstReader) -> Comparison:
    try:
        row = {"label": label, "protocol": protocol, **scores.scores().to_json()}
    except ValueError as error:
        raise InputError(f"The output shares no valid pixel with what it is compared to ({protocol}).") from error
    offset = offset_to_kelvin(output.unit)
    limits = (output.summary.low - offset, output.summary.high - offset)
    return Comparison(row, maps.output, maps.other, output.grid, limits)


def _strips(height: int, pixels_per_row: int) -> Iterator[tuple[int, int]]:
    rows = max(1, STRIP_PIXELS // pixels_per_row)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _block_means(fine: Floats, scale: int) -> NDArray[np.float64]:
    """Means over the valid pixels of each block, NaN where there is none."""
    height, width = fine.shape[0] // scale, fine.shape[1] // scale
    blocks = fine.astype(np.float64).reshape(height, scale, width, scale).transpose(0, 2, 1, 3)
    blocks = blocks.reshape(height, width, scale * scale)
    valid = np.isfinite(blocks)
    count = valid.sum(-1)
    total = np.where(valid, blocks, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


class _Maps:
    """Every n-th pixel of two rasters, collected strip by strip."""

    def __init__(self, grid: Grid) -> None:
        self._step = math.ceil(max(grid.height, grid.width) / MAP_SIDE)
        shape = (-(-grid.height // self._step), -(-grid.width // self._step))
        self.output = np.full(shape, np.nan, np.float32)
        self.other = np.full(shape, np.nan, np.float32)

    def add(self, top: int, output: Floats, other: Floats) -> None:
        """Add full-width rows that begin at row ``top``."""
        first = -top % self._step
        rows = slice(-(-top // self._step), -(-(top + len(output)) // self._step))
        self.output[rows] = output[first :: self._step, :: self._step]
        self.other[rows] = other[first :: self._step, :: self._step]
