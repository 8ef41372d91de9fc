"""Choosing the tiles of a run: exact where a method's reach is known, blended where it looks at the whole tile."""

from __future__ import annotations

import math
from collections.abc import Callable

from groklst_engine.events import OnEvent, log, warn
from groklst_engine.grid import Grid, GridPair
from groklst_engine.inference.footprint import free_bytes, run_bytes
from groklst_engine.methods.base import Downscaler
from groklst_engine.tiles import TilePlan

TILE = 768
"""Fine pixels per side of a tile's core."""

MIN_CORE = 96
"""Coarse pixels per side of a core below which too much of a tile would be halo."""

SMALLEST_CORE = 16
"""Coarse pixels per side of a core below which a lack of memory is not to be helped."""

LARGEST_STEP = 0.9
"""Factor by which a core that does not fit becomes smaller at least: each step asks the network what it takes."""

GENEROUS = 8192
"""Bytes for each fine pixel of a tile that no network takes: what has that much to spare needs no closer look."""

GLOBAL_HALO = 8
GLOBAL_RAMP = 8
"""Coarse pixels of context and of blending for methods with global statistics."""

STRIP = 16_384
"""Fine pixels to which a strip of columns is wide; wider rasters are done in several."""


def first_core(scale: int, tile: int | None) -> int:
    """Side of a tile's core in coarse pixels, from the output pixels per side that were asked for, if any."""
    return max(1, tile // scale) if tile else max(TILE // scale, MIN_CORE)


def plan_tiles(coarse: Grid, scale: int, radius: int | None, correction: int, core: int) -> TilePlan:
    """Tiles for a method.

    Args:
        coarse: The coarse grid.
        scale: Coarse pixel divided by fine pixel.
        radius: The method's, in coarse pixels; None when it looks at the whole tile.
        correction: Radius of the coarse-consistency correction.
        core: Side of a tile's core, at most, in coarse pixels.
    """
    height, width = coarse.height, coarse.width
    core = max(_even_share(height, core), _even_share(width, core))
    if radius is not None:
        return TilePlan(height, width, core, halo=radius + correction, strip=_strip(core, scale))
    if core >= max(height, width):
        return TilePlan(height, width, core, halo=0)  # one tile
    core = max(core, 2 * GLOBAL_RAMP)
    return TilePlan(height, width, core, GLOBAL_HALO, GLOBAL_RAMP, _strip(core, scale))


def fitting(
    planned: Callable[[int], TilePlan],
    core: int,
    method: Downscaler,
    pair: GridPair,
    bands: int,
    cap: float | None,
    on_event: OnEvent,
) -> TilePlan:
    """The largest tiles that fit into memory, or nearly so, where those asked for do not.

    Args:
        planned: The plan for a core.
        core: Side of a tile's core, at most, in coarse pixels.
        method: Fitted.
        pair: The grids.
        bands: Guidance bands read.
        cap: Gigabytes for the whole process; None: as much as is free.
        on_event: Told when it had to be less.
    """
    plan, free = planned(core), free_bytes(cap)
    rows, columns = plan.side
    if cap is None and rows * columns * pair.scale**2 * GENEROUS < free:
        return plan
    while (needed := run_bytes(plan, pair.scale, bands, _tile_bytes(method, plan, pair.scale, bands), cap)) > free:
        if plan.core <= SMALLEST_CORE:
            warn(on_event, f"The smallest tiles take {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free.")
            return plan
        smaller = math.sqrt(max(0.0, free) / needed)  # memory goes with the area
        plan = planned(max(SMALLEST_CORE, int(plan.core * min(LARGEST_STEP, smaller))))
        log(on_event, f"To stay within {free / 1e9:.1f} GB more, tiles are {plan.core * pair.scale} pixels wide.")
    return plan


def _tile_bytes(method: Downscaler, plan: TilePlan, scale: int, bands: int) -> int:
    """Bytes that a method takes for a tile: as a network says, or as simple ones do."""
    rows, columns = plan.side
    measure = getattr(method, "footprint", None)
    return int(measure(rows, columns)) if measure else (3 * bands + 12) * rows * columns * scale**2 * 4


def _even_share(size: int, core: int) -> int:
    """The core that covers ``size`` with as many tiles, but no nearly empty last one."""
    return math.ceil(size / math.ceil(size / core))


def _strip(core: int, scale: int) -> int:
    return max(1, STRIP // (core * scale))
