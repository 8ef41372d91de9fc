"""The tile plan: everything is covered once, blends sum to 1, and the mosaic is the whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from groklst_engine.grid import Margins
from groklst_engine.tiles import Mosaic, TilePlan

PLANS = [
    TilePlan(height, width, core, halo, ramp, strip)
    for strip in (None, 2)
    for core, halo, ramp in [(5, 0, 0), (7, 3, 0), (8, 2, 4), (16, 8, 8), (9, 1, 2)]
    for height, width in [(1, 1), (core - 1, core), (core + 1, core), (core + ramp, 3 * core + 1), (40, 23)]
]
every_plan = pytest.mark.parametrize("plan", PLANS, ids=str)


def mosaic_of(plan: TilePlan, whole: np.ndarray, scale: int) -> np.ndarray:
    """Take a field apart by the plan and put it together again."""
    mosaic = Mosaic(plan, scale)
    result = np.full_like(whole, np.inf)
    for tile in plan:
        rows, columns = slice(tile.keep.top, tile.keep.bottom), slice(tile.keep.left, tile.keep.right)
        mosaic.add(tile, whole.reshape(plan.height, scale, plan.width, scale)[rows, :, columns].reshape(
            (tile.keep.bottom - tile.keep.top) * scale, -1))  # fmt: skip
        if tile.last_in_piece:
            final = plan.final(tile.piece)
            done = mosaic.take(tile.piece)
            result[final.top * scale : final.bottom * scale, final.left * scale : final.right * scale] = done
    return result


def field(plan: TilePlan, scale: int) -> np.ndarray:
    shape = (plan.height * scale, plan.width * scale)
    return np.random.default_rng(0).normal(300, 5, shape).astype(np.float32)


@every_plan
def test_weights_sum_to_one(plan: TilePlan) -> None:
    total = np.zeros((plan.height, plan.width))
    for tile in plan:
        total[tile.keep.top : tile.keep.bottom, tile.keep.left : tile.keep.right] += plan.weights(tile)
    np.testing.assert_allclose(total, 1, atol=1e-6)


@every_plan
@pytest.mark.parametrize("scale", [1, 3])
def test_the_mosaic_is_the_whole(plan: TilePlan, scale: int) -> None:
    whole = field(plan, scale)
    if plan.ramp == 0:
        np.testing.assert_array_equal(mosaic_of(plan, whole, scale), whole)
    else:
        np.testing.assert_allclose(mosaic_of(plan, whole, scale), whole, rtol=3e-7)


@pytest.mark.parametrize("ramp", [0, 4])
def test_missing_pixels_stay_missing_and_harm_no_other(ramp: int) -> None:
    plan = TilePlan(20, 20, 8, 2, ramp)
    whole = field(plan, 2)
    whole[3:20, 14:19] = np.nan
    np.testing.assert_allclose(mosaic_of(plan, whole, 2), whole, rtol=3e-7)


@every_plan
def test_tiles_have_their_halo_and_end_with_the_raster(plan: TilePlan) -> None:
    tiles = list(plan)
    assert len(tiles) == len(plan)
    assert len(plan) == plan.rows * plan.columns or (plan.strip and plan.ramp)
    margin = plan.halo + plan.ramp
    for tile in tiles:
        core, read = tile.core, tile.read
        assert (read.top, read.bottom) == (max(0, core.top - margin), min(plan.height, core.bottom + margin))
        assert (read.left, read.right) == (max(0, core.left - margin), min(plan.width, core.right + margin))
        for window in (core, tile.keep):
            assert read.top <= window.top < window.bottom <= read.bottom
            assert read.left <= window.left < window.right <= read.right
    assert sum(tile.last_in_piece for tile in tiles) == plan.pieces


@every_plan
def test_no_tile_is_larger_than_the_side_that_memory_is_planned_for(plan: TilePlan) -> None:
    rows, columns = plan.side
    assert max(tile.shape[0] for tile in plan) <= rows <= plan.height
    assert max(tile.shape[1] for tile in plan) <= columns <= plan.width


@every_plan
def test_a_mosaic_continues_between_any_two_pieces(plan: TilePlan) -> None:
    whole, pieces = field(plan, 2), range(plan.pieces)
    expected = [part.copy() for part in taken(plan, whole, 0, Mosaic(plan, 2))]
    for first in pieces:
        before = Mosaic(plan, 2)
        for number, _ in enumerate(taken(plan, whole, 0, before), start=1):
            if number == first:
                break
        after = Mosaic(plan, 2, before.pending if first else None)
        for part, same in zip(taken(plan, whole, first, after), expected[first:], strict=True):
            np.testing.assert_array_equal(part, same)


def taken(plan: TilePlan, whole: np.ndarray, first: int, mosaic: Mosaic) -> Iterator[np.ndarray]:
    for tile in plan.tiles(first):
        keep = tile.keep
        mosaic.add(tile, whole[2 * keep.top : 2 * keep.bottom, 2 * keep.left : 2 * keep.right])
        if tile.last_in_piece:
            yield mosaic.take(tile.piece)


def test_the_ramp_rises_by_a_raised_cosine() -> None:
    first, second = TilePlan(1, 20, 10, 0, 2)
    weights = TilePlan(1, 20, 10, 0, 2).weights(second)[0, :4]
    np.testing.assert_allclose(weights, np.sin(np.pi / 2 * (np.arange(4) + 0.5) / 4) ** 2, rtol=1e-6)
    assert (first.keep.right, second.keep.left) == (12, 8)


def test_a_core_must_hold_both_ramps() -> None:
    with pytest.raises(ValueError, match="too small for a ramp"):
        TilePlan(20, 20, 7, 0, 4)


def test_what_is_far_from_what_a_tile_keeps_is_spare() -> None:
    corner, edge, *_ = (tile for tile in TilePlan(40, 40, core=10, halo=7) if tile.core.top == 10)
    assert corner.spare(3) == Margins(top=4, bottom=4, left=0, right=4)
    assert edge.spare(5) == Margins(2, 2, 2, 2)
    assert edge.spare(9) == Margins()
