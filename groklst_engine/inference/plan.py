"""Choosing the tiles of a run: exact where a method's reach is known, blended where it looks at the whole tile."""

from __future__ import annotations

import math

from groklst_engine.grid import Grid
from groklst_engine.inference.gaps import REACH
from groklst_engine.tiles import TilePlan

TILE = 512
"""Fine pixels per side of a tile's core."""

MIN_CORE = 96
"""Coarse pixels per side of a core below which too much of a tile would be halo."""

SMALLEST_CORE = 16
"""Coarse pixels per side of a core below which a lack of memory is not to be helped."""

GLOBAL_HALO = 8
GLOBAL_RAMP = 8
"""Coarse pixels of context and of blending for methods with global statistics."""

STRIP = 16_384
"""Fine pixels to which a strip of columns is wide; wider rasters are done in several."""


def first_core(scale: int, tile: int | None) -> int:
    """Side of a tile's core in coarse pixels, from the output pixels per side that were asked for, if any."""
    return max(1, tile // scale) if tile else max(TILE // scale, MIN_CORE)


def plan_tiles(coarse: Grid, scale: int, core: int, radius: int | None, correction: int) -> TilePlan:
    """Tiles for a method.

    Args:
        coarse: The coarse grid.
        scale: Coarse pixel divided by fine pixel.
        core: Side of a tile's core, at most, in coarse pixels.
        radius: The method's, in coarse pixels; None when it looks at the whole tile.
        correction: Radius of the coarse-consistency correction.
    """
    height, width = coarse.height, coarse.width
    core = max(_even_share(height, core), _even_share(width, core))
    if radius is not None:
        return TilePlan(height, width, core, halo=radius + REACH + correction, strip=_strip(core, scale))
    if core >= max(height, width):
        return TilePlan(height, width, core, GLOBAL_HALO)  # one tile, its edges mirrored as those of several are
    core = max(core, 2 * GLOBAL_RAMP)
    return TilePlan(height, width, core, GLOBAL_HALO, GLOBAL_RAMP, _strip(core, scale))


def _even_share(size: int, core: int) -> int:
    """The core that covers ``size`` with as many tiles, but no nearly empty last one."""
    return math.ceil(size / math.ceil(size / core))


def _strip(core: int, scale: int) -> int:
    return max(1, STRIP // (core * scale))
