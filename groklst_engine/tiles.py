"""The tile plan: which windows are read, and how their results are put together. Pure NumPy, no I/O.

A tile is a core, a ramp around it where neighbours are blended, and a halo around that which is computed and thrown
away. All in coarse pixels, so that every tile begins at a coarse pixel's corner. A halo as wide as the method's
radius makes a tile give the very bits of the whole raster; methods with global statistics get a ramp instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groklst_engine.grid import CoarseWindow


@dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes:
        read: Window to read: core, ramp and halo; may reach beyond the raster.
        keep: Window whose result counts: core and ramp, within the raster.
        row: Which row of tiles it is in.
        last_in_row: Whether the row of tiles is complete with it.
    """

    read: CoarseWindow
    keep: CoarseWindow
    row: int
    last_in_row: bool


@dataclass(frozen=True)
class TilePlan:
    """Covers a coarse raster with tiles of one shape.

    Attributes:
        height: Of the coarse raster.
        width: Of the coarse raster.
        core: Side of a tile's core, in coarse pixels; cut to the raster's size.
        halo: Width of the halo, in coarse pixels.
        ramp: Width, in coarse pixels, to which a tile reaches over its core's edge for blending.
    """

    height: int
    width: int
    core: int
    halo: int
    ramp: int = 0

    def __post_init__(self) -> None:
        if self.core < max(1, 2 * self.ramp):
            raise ValueError(f"a core of {self.core} coarse pixels is too small for a ramp of {self.ramp}")

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.core)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.width // self.core)

    def __len__(self) -> int:
        return self.rows * self.columns

    def __iter__(self) -> Iterator[Tile]:
        """Tiles row by row, each row from left to right."""
        for row in range(self.rows):
            top, bottom = self._span(row, self.height)
            for column in range(self.columns):
                left, right = self._span(column, self.width)
                yield Tile(
                    read=CoarseWindow(
                        *self._extended(row, self.height, self.rows), *self._extended(column, self.width, self.columns)
                    ),
                    keep=CoarseWindow(top, bottom, left, right),
                    row=row,
                    last_in_row=column == self.columns - 1,
                )

    def final_rows(self, row: int) -> int:
        """How many coarse rows no later tile adds to, once a row of tiles is complete."""
        return self.height if row == self.rows - 1 else (row + 1) * self.core - self.ramp

    def weights(self, tile: Tile) -> NDArray[np.float32]:
        """Blending weights of a tile's ``keep`` window, ``(h, w)``, one per coarse pixel.

        Raised cosines that sum to 1 with the neighbours'. Constant within a coarse pixel, so that blending two
        coarse-consistent results gives a coarse-consistent one.
        """
        rows = self._weights_1d(tile.keep.top, tile.keep.bottom, self.height)
        columns = self._weights_1d(tile.keep.left, tile.keep.right, self.width)
        return np.outer(rows, columns).astype(np.float32)

    def _span(self, index: int, size: int) -> tuple[int, int]:
        return max(0, index * self.core - self.ramp), min(size, (index + 1) * self.core + self.ramp)

    def _extended(self, index: int, size: int, count: int) -> tuple[int, int]:
        margin = self.halo + (self.ramp if count > 1 else 0)
        return index * self.core - margin, index * self.core + min(self.core, size) + margin

    def _weights_1d(self, start: int, stop: int, size: int) -> NDArray[np.float64]:
        weights = np.ones(stop - start)
        if self.ramp == 0:
            return weights
        centres = np.arange(start, stop) + 0.5
        first = start + self.ramp if start > 0 else 0
        last = first + self.core
        if start > 0:
            weights *= self._risen(centres - first)
        if last < size:  # not where the window ends: the raster may end within the ramp
            weights *= self._risen(last - centres)
        return weights

    def _risen(self, beyond_edge: NDArray[np.floating]) -> NDArray[np.float64]:
        """0 at a ramp's width before the core's edge, 1 at a ramp's width after it."""
        share = np.clip(0.5 + beyond_edge / (2 * self.ramp), 0, 1)
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * share))


class Mosaic:
    """Puts tiles together, row of tiles by row of tiles; holds one such row in memory.

    Args:
        plan: The tile plan.
        scale: Fine pixels per coarse pixel and side.
    """

    def __init__(self, plan: TilePlan, scale: int) -> None:
        self._plan = plan
        self._scale = scale
        self._top = 0  # first coarse row not yet handed out
        rows = min(plan.height, plan.core + 2 * plan.ramp)
        self._sum = np.zeros((rows * scale, plan.width * scale), np.float32)

    def add(self, tile: Tile, values: NDArray[np.float32]) -> None:
        """Add a tile's ``keep`` window, ``(s·h, s·w)``; NaN, the same in all tiles, for missing."""
        s, keep = self._scale, tile.keep
        target = self._sum[(keep.top - self._top) * s : (keep.bottom - self._top) * s, keep.left * s : keep.right * s]
        if self._plan.ramp:
            target += values * self._plan.weights(tile).repeat(s, 0).repeat(s, 1)
        else:
            target[:] = values

    def take(self, row: int) -> tuple[int, NDArray[np.float32]]:
        """Hand out what is final once a row of tiles is complete: first fine row, and full-width fine rows."""
        s, top = self._scale, self._top
        done = (self._plan.final_rows(row) - top) * s
        rows = self._sum[:done].copy()
        self._sum[: -done or None] = self._sum[done:] if done < len(self._sum) else 0
        self._sum[len(self._sum) - done :] = 0
        self._top = self._plan.final_rows(row)
        return top * s, rows
