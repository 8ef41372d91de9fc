"""The tile plan: which windows are read, and how their results are put together. Pure NumPy, no I/O.

A tile is a core, a ramp around it where neighbours are blended, and a halo around that which is computed and thrown
away. All in coarse pixels, so that every tile begins at a coarse pixel's corner. A halo as wide as the method's
radius makes a tile give the very bits of the whole raster; methods with global statistics get a ramp instead. Tiles
end where the raster ends, so that a method meets the same edge in a tile as in the whole.

A wide raster is done strip of columns by strip of columns, each from top to bottom, so that memory is bounded by the
strip and not by the raster. A row of tiles in a strip is a piece: what is put together, written and resumed at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groklst_engine.grid import CoarseWindow, Margins


@dataclass(frozen=True)
class Tile:
    """One tile.

    Attributes:
        core: Window that is its own.
        read: Window to read: core, ramp and halo.
        keep: Window whose result counts: core and ramp, within the strip.
        piece: Which piece it belongs to, counted from 0 in the order of computation.
        last_in_piece: Whether the piece is complete with it.
    """

    core: CoarseWindow
    read: CoarseWindow
    keep: CoarseWindow
    piece: int
    last_in_piece: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Coarse pixels to be read: rows and columns."""
        return self.read.bottom - self.read.top, self.read.right - self.read.left

    def spare(self, reach: int) -> Margins:
        """What of ``read`` is farther than ``reach`` from ``keep``."""
        read, keep = self.read, self.keep
        beyond = keep.top - read.top, read.bottom - keep.bottom, keep.left - read.left, read.right - keep.right
        return Margins(*beyond).less(reach)


@dataclass(frozen=True)
class TilePlan:
    """Covers a coarse raster with tiles.

    Attributes:
        height: Of the coarse raster.
        width: Of the coarse raster.
        core: Side of a tile's core, in coarse pixels; cut where the raster ends.
        halo: Width of the halo, in coarse pixels.
        ramp: Width, in coarse pixels, to which a tile reaches over its core's edge for blending.
        strip: Tiles side by side in a strip of columns; None: all.
    """

    height: int
    width: int
    core: int
    halo: int
    ramp: int = 0
    strip: int | None = None

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

    @property
    def side(self) -> tuple[int, int]:
        """Coarse pixels of the largest ``read`` window: rows and columns."""
        reach = self.core + 2 * (self.halo + self.ramp)
        return min(reach, self.height), min(reach, self.width)

    @property
    def pieces(self) -> int:
        """Rows of tiles in all strips together."""
        return self._strips * self.rows

    def __len__(self) -> int:
        return self.rows * (self.columns + (self._strips - 1 if self.ramp else 0))

    def __iter__(self) -> Iterator[Tile]:
        """Tiles strip by strip, in each row by row, each row from left to right."""
        return self.tiles()

    def tiles(self, first_piece: int = 0) -> Iterator[Tile]:
        """Tiles from a piece on."""
        for piece in range(first_piece, self.pieces):
            window, row = self.final(piece), piece % self.rows
            # a tile reaches over its left edge, so that the one left of the strip is blended into it
            first, last = self._strip_columns(piece)
            for column in range(max(0, first - 1) if self.ramp else first, last):
                left, right = self._span(column, self.width, self.ramp)
                yield Tile(
                    core=CoarseWindow(*self._span(row, self.height), *self._span(column, self.width)),
                    read=CoarseWindow(
                        *self._span(row, self.height, self.ramp + self.halo),
                        *self._span(column, self.width, self.ramp + self.halo),
                    ),
                    keep=CoarseWindow(
                        *self._span(row, self.height, self.ramp), max(left, window.left), min(right, window.right)
                    ),
                    piece=piece,
                    last_in_piece=column == last - 1,
                )

    def final(self, piece: int) -> CoarseWindow:
        """What no later tile adds to, once a piece and all before it are complete, and was not final before."""
        first, last = self._strip_columns(piece)
        row = piece % self.rows
        return CoarseWindow(
            self._final(row, self.rows, self.height),
            self._final(row + 1, self.rows, self.height),
            self._final(first, self.columns, self.width),
            self._final(last, self.columns, self.width),
        )

    def weights(self, tile: Tile) -> NDArray[np.float32]:
        """Blending weights of a tile's ``keep`` window, ``(h, w)``, one per coarse pixel.

        Raised cosines that sum to 1 with the neighbours'. Constant within a coarse pixel, so that blending two
        coarse-consistent results gives a coarse-consistent one.
        """
        core, keep = tile.core, tile.keep
        rows = self._weights_1d(core.top, core.bottom, keep.top, keep.bottom, self.height)
        columns = self._weights_1d(core.left, core.right, keep.left, keep.right, self.width)
        return np.outer(rows, columns).astype(np.float32)

    @property
    def _strips(self) -> int:
        return -(-self.columns // self.strip) if self.strip else 1

    def _strip_columns(self, piece: int) -> tuple[int, int]:
        width = self.strip or self.columns
        first = piece // self.rows * width
        return first, min(first + width, self.columns)

    def _final(self, index: int, count: int, size: int) -> int:
        """How many coarse rows or columns are final once ``index`` of ``count`` rows or columns of tiles are there."""
        return size if index == count else max(0, index * self.core - self.ramp)

    def _span(self, index: int, size: int, margin: int = 0) -> tuple[int, int]:
        """First and last + 1 of a core's rows or columns, with a margin, within the raster."""
        return max(0, index * self.core - margin), min(size, (index + 1) * self.core + margin)

    def _weights_1d(self, first: int, last: int, start: int, stop: int, size: int) -> NDArray[np.float64]:
        """From ``start`` to ``stop``, of the core from ``first`` to ``last``."""
        weights = np.ones(stop - start)
        if self.ramp == 0:
            return weights
        centres = np.arange(start, stop) + 0.5
        if first > 0:
            weights *= self._risen(centres - first)
        if last < size:
            weights *= self._risen(last - centres)
        return weights

    def _risen(self, beyond_edge: NDArray[np.floating]) -> NDArray[np.float64]:
        """0 at a ramp's width before the core's edge, 1 at a ramp's width after it."""
        share = np.clip(0.5 + beyond_edge / (2 * self.ramp), 0, 1)
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * share))


class Mosaic:
    """Puts tiles together, piece by piece; holds one piece in memory.

    Args:
        plan: The tile plan.
        scale: Fine pixels per coarse pixel and side.
        pending: What an earlier mosaic held between two pieces, ``(rows, columns)``.
    """

    def __init__(self, plan: TilePlan, scale: int, pending: NDArray[np.float32] | None = None) -> None:
        self._plan = plan
        self._scale = scale
        self.pending = np.zeros((0, 0), np.float32) if pending is None else pending
        self._piece = -1
        self._sum = self.pending

    def add(self, tile: Tile, values: NDArray[np.float32]) -> None:
        """Add a tile's ``keep`` window, ``(s·h, s·w)``; NaN, the same in all tiles, for missing."""
        s, keep, final = self._scale, tile.keep, self._plan.final(tile.piece)
        if tile.piece != self._piece:
            self._piece = tile.piece
            rows, width = (tile.keep.bottom - final.top) * s, (final.right - final.left) * s
            self._sum = np.zeros((rows, width), np.float32)
            self._sum[: len(self.pending)] += self.pending.reshape(-1, width)
        target = self._sum[
            (keep.top - final.top) * s : (keep.bottom - final.top) * s,
            (keep.left - final.left) * s : (keep.right - final.left) * s,
        ]
        if self._plan.ramp:
            target += values * self._plan.weights(tile).repeat(s, 0).repeat(s, 1)
        else:
            target[:] = values

    def take(self, piece: int) -> NDArray[np.float32]:
        """Hand out what is final once a piece is complete: the fine pixels of the plan's ``final`` window."""
        final = self._plan.final(piece)
        done = (final.bottom - final.top) * self._scale
        self.pending = self._sum[done:].copy()
        return self._sum[:done]
