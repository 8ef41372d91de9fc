"""The spatial split: the ground is cut into blocks, and each block goes to one split as a whole.

Neighbouring pixels resemble each other, and crops overlap: a network scored beside the ground it was trained on would
be scored on what it has seen (Roberts et al. 2017). So a crop belongs to a split only if all its blocks do, and scenes
that show the same ground share its blocks, whatever their date, sensor or CRS.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Literal

import numpy as np
from rasterio.crs import CRS

from groklst_engine.grid import Bounds, Grid

Part = Literal["train", "val", "test"]
SPLITS: tuple[Part, ...] = ("train", "val", "test")

_LONGITUDE_LATITUDE = CRS.from_epsg(4326)
_EDGE = 1e-3  # pixels; a crop that ends at a block's edge does not touch the next block

Block = tuple[int, int, int]
"""Number of the ground, row, column."""


@dataclass(frozen=True)
class Ground:
    """Ground that one scene shows, or several scenes together.

    Attributes:
        number: Its own.
        crs: Of the first scene.
        left: Western edge, in the CRS's units.
        top: Northern edge.
        pixel: Width and height of the largest pixel of its scenes.
    """

    number: int
    crs: CRS
    left: float
    top: float
    pixel: tuple[float, float]

    def blocks(self, crop: Grid, side: int) -> frozenset[Block]:
        """The blocks, ``side`` pixels wide and high, that a crop touches."""
        left, bottom, right, top = _bounds(crop, self.crs)
        columns, rows = (
            range(math.floor(start / size / side + _EDGE / side), math.ceil(stop / size / side - _EDGE / side))
            for start, stop, size in (
                (left - self.left, right - self.left, self.pixel[0]),
                (self.top - top, self.top - bottom, self.pixel[1]),
            )
        )
        return frozenset(product([self.number], rows, columns))


def find_grounds(grids: Sequence[Grid]) -> list[Ground]:
    """The ground of each grid; grids that overlap, directly or through others, have the same."""
    group = list(range(len(grids)))
    for index, grid in enumerate(grids):
        for other in range(index):
            if group[other] != group[index] and _overlap(grid, grids[other]):
                group = [group[other] if own == group[index] else own for own in group]
    grounds = {}
    for number in set(group):
        members = [grid for grid, own in zip(grids, group, strict=True) if own == number]
        crs = members[0].crs
        bounds = [_bounds(grid, crs) for grid in members]
        widths = ((right - left) / grid.width for grid, (left, _, right, _) in zip(members, bounds, strict=True))
        heights = ((top - bottom) / grid.height for grid, (_, bottom, _, top) in zip(members, bounds, strict=True))
        left, top = min(own[0] for own in bounds), max(own[3] for own in bounds)
        grounds[number] = Ground(number, crs, left, top, (max(widths), max(heights)))
    return [grounds[number] for number in group]


def _bounds(grid: Grid, crs: CRS) -> Bounds:
    return grid.bounds if grid.crs == crs else grid.bounds_in(crs)


def _overlap(one: Grid, other: Grid) -> bool:
    crs = one.crs if one.crs == other.crs else _LONGITUDE_LATITUDE
    (left, bottom, right, top), (left2, bottom2, right2, top2) = _bounds(one, crs), _bounds(other, crs)
    return min(right, right2) > max(left, left2) and min(top, top2) > max(bottom, bottom2)


def deal(crops: Sequence[frozenset[Block]], shares: Sequence[float], seed: int) -> list[Part | None]:
    """Deal blocks to the splits so that these get their shares of the crops, on each ground and altogether.

    Blocks are dealt in random order, the fullest first, each to the split that lacks most; before that, each split gets
    a block with few crops, so that none stays empty where there are blocks enough.

    Args:
        crops: The blocks that each crop touches.
        shares: Of train, val and test; a split without a share gets nothing.
        seed: Another seed, another deal.

    Returns:
        For each crop its split, or None where its blocks belong to several.
    """
    inside = Counter(block for blocks in crops if len(blocks) == 1 for block in blocks)
    touched = sorted({block for blocks in crops for block in blocks})
    order = [touched[index] for index in np.random.default_rng(seed).permutation(len(touched))]
    full = sorted((block for block in order if inside[block]), key=lambda block: -inside[block])
    wanted = {split: share / sum(shares) for split, share in zip(SPLITS, shares, strict=True) if share}
    totals: Counter[int] = Counter()
    for block in full:
        totals[block[0]] += inside[block]
    given: Counter[tuple[int, Part]] = Counter()
    dealt: dict[Block, Part] = {}

    def give(block: Block, split: Part) -> None:
        dealt[block] = split
        given[block[0], split] += inside[block]

    def lack(block: Block, split: Part) -> float:
        """Crops that a split lacks on the block's ground and altogether."""
        everywhere = sum(given[ground, split] for ground in totals)
        here = wanted[split] * totals[block[0]] - given[block[0], split]
        return here + wanted[split] * totals.total() - everywhere

    if len(full) >= len(wanted):
        for split in sorted(wanted, key=lambda split: wanted[split])[:-1]:
            give(full.pop(), split)
    for block in full:
        give(block, max(wanted, key=partial(lack, block)))
    across: dict[Block, list[Block]] = {}
    for blocks in crops:
        for block in blocks:
            across.setdefault(block, []).extend(blocks)
    for block in order:  # margins that hold no whole crop go with a neighbour, for the crops across their border
        if block not in dealt:
            near = Counter(dealt[other] for other in across[block] if other in dealt)
            dealt[block] = near.most_common(1)[0][0] if near else next(iter(wanted))
    splits = [{dealt[block] for block in blocks} for blocks in crops]
    return [own.pop() if len(own) == 1 else None for own in splits]
