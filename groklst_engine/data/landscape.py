"""Where things are in a synthetic scene: relief, river, lake, fields, hills and a city, as shares of ground cover.

Nothing here knows spectra or temperatures; ``synthetic.py`` gives the covers their colours and their heat.
Lengths are in pixels unless a name says otherwise; y runs southwards, as rows do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

COVERS = ("crop", "forest", "straw", "soil", "rock", "asphalt", "roof", "water")

# What a parcel may carry: shares of crop, straw and soil, water at the roots (0 dry to 1 wet), frequency.
_PARCEL_KINDS = np.array(
    [
        (0.93, 0.02, 0.05, 0.85, 0.27),  # irrigated, closed canopy
        (0.45, 0.05, 0.50, 0.70, 0.12),  # young crop
        (0.30, 0.60, 0.10, 0.35, 0.22),  # ripening grain
        (0.04, 0.58, 0.38, 0.20, 0.15),  # stubble
        (0.02, 0.08, 0.90, 0.10, 0.13),  # dry fallow
        (0.03, 0.05, 0.92, 0.75, 0.04),  # freshly watered, still bare
        (0.45, 0.35, 0.20, 0.40, 0.07),  # pasture
    ],
    dtype=np.float32,
)
# What a city block may carry: shares of crop (lawn), forest (trees), soil, asphalt and roof, water, frequency.
_BLOCK_KINDS = np.array(
    [
        (0.25, 0.22, 0.05, 0.22, 0.26, 0.65, 0.56),  # houses with gardens
        (0.08, 0.08, 0.04, 0.45, 0.35, 0.40, 0.20),  # shops and car parks
        (0.02, 0.02, 0.08, 0.25, 0.63, 0.20, 0.10),  # warehouses
        (0.60, 0.35, 0.03, 0.02, 0.00, 0.85, 0.09),  # park
        (0.10, 0.02, 0.70, 0.15, 0.03, 0.25, 0.05),  # building site
    ],
    dtype=np.float32,
)


@dataclass(frozen=True)
class Landscape:
    """The ground of a scene.

    Attributes:
        elevation: ``(H, W)`` metres.
        cover: ``(8, H, W)`` shares of ``COVERS``, sum 1.
        moisture: ``(H, W)`` water that roots and soil surface can give off, 0 to 1. It differs from field to field
            for the same crop, so that no vegetation index can tell it.
        brightness: ``(H, W)`` factor near 1: soil types, stands and treatments of the same cover differ in colour.
        city: ``(H, W)`` how built-up the surroundings are, 0 to 1.
    """

    elevation: Field
    cover: Field
    moisture: Field
    brightness: Field
    city: Field


def fractal(rng: np.random.Generator, size: int, exponent: float, longest: float = 1.0) -> Field:
    """``(size, size)`` random field with amplitudes ~ frequency ** −exponent, mean 0 and standard deviation 1.

    Waves longer than ``longest`` (as a share of the side) are left out.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    frequency[0, 0] = np.inf
    amplitude = np.where(frequency >= 1 / longest, frequency, np.inf) ** -exponent
    waves = np.fft.rfft2(rng.standard_normal((size, size))) * amplitude
    values = np.fft.irfft2(waves, s=(size, size))
    return np.asarray((values - values.mean()) / values.std(), dtype=np.float32)


def smoothstep(values: Field, low: float, high: float) -> Field:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def soften(values: Field) -> Field:
    """A 3 × 3 binomial blur over the last two axes: a sensor's pixel also sees a little of its neighbours."""
    pad = [(0, 0)] * (values.ndim - 2) + [(1, 1), (1, 1)]
    wide = np.pad(values, pad, mode="edge")
    rows = (wide[..., :-2, :] + 2 * wide[..., 1:-1, :] + wide[..., 2:, :]) / 4
    return np.asarray((rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4, dtype=np.float32)


def _distance_to_path(points: NDArray[np.float64], size: int, reach: float) -> Field:
    """Distance from each pixel centre to the nearest ``(N, 2)`` point (x, y), never more than ``reach``."""
    distance = np.full((size, size), reach, dtype=np.float32)
    for x, y in points:
        left, right = max(0, int(x - reach)), min(size, int(x + reach) + 2)
        top, bottom = max(0, int(y - reach)), min(size, int(y + reach) + 2)
        if left < right and top < bottom:
            dx = np.arange(left, right, dtype=np.float32) + 0.5 - x
            dy = np.arange(top, bottom, dtype=np.float32) + 0.5 - y
            window = distance[top:bottom, left:right]
            np.minimum(window, np.hypot(dx[None], dy[:, None]), out=window)
    return distance


def _meanders(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """``(N, 2)`` points a pixel apart along a river from the western to the eastern edge.

    A sine-generated curve: the direction swings sinusoidally along the course (Langbein and Leopold, 1966).
    """
    along = np.arange(int(2.2 * size)) / size
    swing = 0.95 + 0.35 * np.sin(2 * np.pi * along / 0.9 + rng.uniform(0, 6))
    phase = 2 * np.pi * along / rng.uniform(0.17, 0.22) + 0.8 * np.sin(2 * np.pi * along / 0.61 + rng.uniform(0, 6))
    direction = rng.uniform(0.2, 0.32) + swing * np.sin(phase)
    start = np.array([-0.05, rng.uniform(0.36, 0.42)]) * size
    steps = np.stack([np.cos(direction), np.sin(direction)], axis=1)
    return np.asarray(start + np.cumsum(steps, axis=0), dtype=np.float64)


def _rotated(x: Field, y: Field, angle: float, cell: float) -> tuple[Field, Field]:
    """Coordinates along a grid that is turned by ``angle`` (radians), in cells."""
    u = (x * np.cos(angle) + y * np.sin(angle)) / cell
    v = (y * np.cos(angle) - x * np.sin(angle)) / cell
    return u.astype(np.float32), v.astype(np.float32)


def _survey_grid(rng: np.random.Generator, u: Field, v: Field) -> tuple[NDArray[np.int64], Field]:
    """Parcels of a square survey: some with a centre pivot, some halved, some in strips.

    Returns:
        ``(H, W)`` parcel numbers, and the distance to the parcel's border in cells.
    """
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    i, j = i - i.min(), j - j.min()
    du, dv = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    cells = int(i.max() + 1), int(j.max() + 1)
    use = rng.choice(4, size=cells, p=(0.36, 0.26, 0.22, 0.16))[i, j]
    across = np.where(rng.random(cells)[i, j] < 0.5, du, dv)
    pivot = np.hypot(du, dv) < 0.47
    half = across > 0
    strip = np.floor((across + 0.5) * 6) % 2 == 1
    part = np.select([use == 0, use == 1, use == 2], [pivot, half, strip], False)
    return (i * cells[1] + j) * 2 + part, 0.5 - np.maximum(abs(du), abs(dv))


def _old_parcels(rng: np.random.Generator, u: Field, v: Field) -> tuple[NDArray[np.int64], Field]:
    """Parcels that grew over time: Voronoi cells of a jittered grid, in a metric that favours straight corners.

    Returns:
        ``(H, W)`` parcel numbers, and the distance to the parcel's border in cells.
    """
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    i, j = i - i.min() + 1, j - j.min() + 1
    u, v = u - np.floor(u.min()) + 1, v - np.floor(v.min()) + 1
    cells = int(i.max() + 2), int(j.max() + 2)
    jitter = rng.uniform(0.15, 0.85, size=(2, *cells)).astype(np.float32)
    number = np.zeros(u.shape, dtype=np.int64)
    nearest = np.full(u.shape, np.inf, dtype=np.float32)
    second = nearest.copy()
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            du, dv = abs(i + a + jitter[0, i + a, j + b] - u), abs(j + b + jitter[1, i + a, j + b] - v)
            distance = (np.maximum(du, dv) + 0.15 * np.minimum(du, dv)).astype(np.float32)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            number = np.where(closer, (i + a) * cells[1] + j + b, number)
            nearest = np.where(closer, distance, nearest)
    return number, ((second - nearest) / 2).astype(np.float32)


class _Ground:
    """Cover shares, moisture and brightness, painted layer over layer."""

    def __init__(self, size: int) -> None:
        self.cover = np.zeros((len(COVERS), size, size), dtype=np.float32)
        self.moisture = np.zeros((size, size), dtype=np.float32)
        self.brightness = np.ones((size, size), dtype=np.float32)

    def lay(
        self, share: Field | float, moisture: Field | float, brightness: Field | float = 1.0, **cover: Field | float
    ) -> None:
        """Cover ``share`` of each pixel with a mixture of covers of sum 1."""
        self.cover *= 1 - share
        for name, part in cover.items():
            self.cover[COVERS.index(name)] += share * part
        for field, values in ((self.moisture, moisture), (self.brightness, brightness)):
            field *= 1 - share
            field += share * values


def make_landscape(rng: np.random.Generator, size: int, pixel: float) -> Landscape:
    """Draw a landscape.

    Args:
        rng: Source of all randomness.
        size: Pixels per side.
        pixel: Pixel size in metres.
    """
    y, x = np.mgrid[:size, :size].astype(np.float32) + np.float32(0.5)
    extent = size * pixel
    rough, fine, medium = fractal(rng, size, 2.0), fractal(rng, size, 0.9), fractal(rng, size, 1.6)
    river = _meanders(rng, size)
    to_river = _distance_to_path(river, size, reach=0.09 * size) / size
    river_half_width = max(1.3 / size, 0.0045)

    hilly = smoothstep(0.66 - (0.8 * x + 1.6 * y) / size + 0.12 * rough, 0.0, 0.45)
    ridges = (1 - np.abs(fractal(rng, size, 2.2, longest=0.3)) / 2).astype(np.float32)
    valley = smoothstep(0.075 - to_river + 0.012 * medium, 0.0, 0.05)
    lake_at = np.array([rng.uniform(0.74, 0.84), rng.uniform(0.15, 0.24)]) * size
    lobes = np.clip(fractal(rng, size, 1.8, longest=0.3), -2, 2)
    to_lake = np.hypot(x - lake_at[0], (y - lake_at[1]) * 1.5) / size - 0.06 - 0.022 * lobes
    flat_lake = smoothstep(-to_lake, -0.03, 0.0)
    relief = min(0.030 * extent, 900.0)
    heights = hilly * (0.30 + 0.70 * ridges + 0.15 * rough) + 0.012 * medium - 0.085 * valley
    elevation = (900 - 0.003 * extent * x / size + relief * heights).astype(np.float32)
    elevation += flat_lake * (np.average(elevation, weights=flat_lake) - elevation)

    ground = _Ground(size)
    lush = np.clip(0.17 + 0.07 * medium + 0.02 * fine + 0.10 * valley, 0.02, 0.6)
    bare = np.clip(0.30 - 0.08 * rough + 0.04 * fine, 0.05, 0.6) * (1 - lush)
    ground.lay(1.0, np.clip(0.28 + 0.08 * medium, 0, 1), crop=lush, soil=bare, straw=1 - lush - bare)
    arable = (1 - valley) * (1 - smoothstep(hilly, 0.02, 0.10))
    _lay_fields(rng, ground, x, y, river, arable, medium + 0.5 * fine, pixel)
    _lay_hills(ground, elevation, pixel, hilly, ridges, medium + 0.4 * fine)
    woods = smoothstep(0.030 - to_river + 0.014 * medium, 0.0, 0.010) * np.clip(0.75 + 0.2 * fine, 0, 1)
    ground.lay(woods, 0.8, forest=0.75, crop=0.2, soil=0.05)
    city = _lay_city(rng, ground, x, y, river, rough + 0.3 * medium)
    city *= 1 - flat_lake
    reeds = np.clip(1 - np.abs(to_lake) / (2.5 / size), 0, 1) * (medium > 0.1)
    ground.lay(reeds, 0.9, crop=0.8, straw=0.2)
    ground.lay(np.clip((river_half_width - to_river) * size + 0.5, 0, 1), 1.0, water=1.0)
    ground.lay(np.clip(-to_lake * size + 0.5, 0, 1), 1.0, water=1.0)

    texture = np.clip(1 + 0.08 * medium * (1 - city) + 0.04 * fine, 0.6, 1.4)
    return Landscape(
        elevation,
        soften(ground.cover),
        soften(ground.moisture),
        soften(ground.brightness) * texture.astype(np.float32),
        city,
    )


def _lay_fields(
    rng: np.random.Generator,
    ground: _Ground,
    x: Field,
    y: Field,
    river: NDArray[np.float64],
    arable: Field,
    uneven: Field,
    pixel: float,
) -> None:
    """Fields on the ``arable`` land: survey squares with centre pivots south of the river, older parcels north."""
    size = len(x)
    # A quarter section is 800 m wide; small or coarse scenes get fields one can still see.
    cell = float(np.clip(800 / pixel, 8, max(8, size / 8)))
    course = np.poly1d(np.polyfit(river[:, 0], river[:, 1], 3))
    south = y > course(x)
    angle = rng.uniform(0.03, 0.12)
    squares, square_border = _survey_grid(rng, *_rotated(x, y, angle, cell))
    u, v = _rotated(x, y, rng.uniform(0.3, 0.6), 0.6 * cell)
    parcels, parcel_border = _old_parcels(rng, 0.6 * u, v)
    number = np.where(south, squares, squares.max() + 1 + parcels)
    border = np.where(south, square_border * cell, parcel_border * 0.6 * cell)

    kind = rng.choice(len(_PARCEL_KINDS), size=number.max() + 1, p=_PARCEL_KINDS[:, -1])
    crop, straw, _, moisture = (_PARCEL_KINDS[kind, column][number] for column in range(4))
    # Same crop, other water: irrigation turns, soils and farmers differ.
    moisture = moisture + rng.normal(0, 0.16, kind.size).astype(np.float32)[number] + 0.04 * uneven
    vigour = rng.normal(0, 0.06, kind.size).astype(np.float32)[number] + 0.05 * uneven * (crop > 0.1)
    crop = np.clip(crop + vigour, 0, 0.97)
    straw = np.minimum(straw, 1 - crop)
    tone = np.clip(rng.normal(1, 0.11, kind.size), 0.7, 1.35).astype(np.float32)[number]
    ground.lay(arable, np.clip(moisture, 0.02, 1), tone, crop=crop, straw=straw, soil=1 - crop - straw)
    track = np.clip(0.9 - border, 0, 1) * (rng.random(kind.size) < 0.8)[number] * 0.6
    ground.lay(arable * track, 0.1, soil=0.7, straw=0.3)


def _lay_hills(ground: _Ground, elevation: Field, pixel: float, hilly: Field, ridges: Field, uneven: Field) -> None:
    """Woods on the northern slopes and in the gullies, rock on the crests."""
    southward = np.gradient(elevation, pixel, axis=0)
    woods = smoothstep(1.6 * hilly + 4.0 * southward - 0.9 * ridges + 0.3 * uneven, 0.15, 0.75)
    woods *= smoothstep(hilly, 0.15, 0.5)
    ground.lay(0.92 * woods, 0.65, forest=0.9, straw=0.05, soil=0.05)
    crest = smoothstep(ridges + 0.10 * uneven, 0.93, 1.08) * smoothstep(hilly, 0.6, 0.95)
    ground.lay(0.8 * crest, 0.1, rock=0.8, soil=0.2)


def _lay_city(
    rng: np.random.Generator, ground: _Ground, x: Field, y: Field, river: NDArray[np.float64], uneven: Field
) -> Field:
    """A city on the northern bank, with its streets, blocks, parks and the roads that lead out of it.

    Returns:
        How built-up the surroundings are, 0 to 1.
    """
    size = len(x)
    centre_x = rng.uniform(0.50, 0.60) * size
    centre = np.array([centre_x, river[np.abs(river[:, 0] - centre_x).argmin(), 1] - 0.07 * size])
    away = np.hypot((x - centre[0]) / 1.25, y - centre[1]) / size
    centrality = smoothstep(0.16 - away, 0.0, 0.14)

    block = max(5.0, size / 64)
    u, v = _rotated(x, y, rng.uniform(-0.15, 0.15), block)
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    i, j = i - i.min(), j - j.min()
    cells = int(i.max() + 1), int(j.max() + 1)
    # Whole blocks are built up or not, fewer of them on the outskirts.
    density = smoothstep(0.155 - away + 0.025 * uneven, -0.01, 0.06)
    built = (density > rng.random(cells)[i, j]).astype(np.float32)
    # Quarters: neighbouring blocks are alike more often than not.
    kinds = rng.choice(len(_BLOCK_KINDS), size=cells, p=_BLOCK_KINDS[:, -1])
    quarters = rng.choice(len(_BLOCK_KINDS), size=(cells[0] // 4 + 1, cells[1] // 4 + 1), p=_BLOCK_KINDS[:, -1])
    kind = np.where(
        rng.random(cells) < 0.45, quarters[np.arange(cells[0])[:, None] // 4, np.arange(cells[1]) // 4], kinds
    )
    shares = _BLOCK_KINDS[kind[i, j]] * rng.uniform(0.5, 1.5, (*x.shape, 7)).astype(np.float32)
    shares[..., 4] *= 0.8 + 0.8 * centrality
    shares[..., :5] /= shares[..., :5].sum(axis=-1, keepdims=True)
    crop, forest, soil, asphalt, roof = np.moveaxis(shares[..., :5], -1, 0)
    water = _BLOCK_KINDS[kind, 5] + rng.normal(0, 0.12, cells).astype(np.float32)
    moisture = np.clip(water[i, j], 0.05, 1)
    ground.lay(built, moisture, crop=crop, forest=forest, soil=soil, asphalt=asphalt, roof=roof)

    to_street = np.minimum(0.5 - abs(u - np.floor(u) - 0.5), 0.5 - abs(v - np.floor(v) - 0.5)) * block
    avenue = (np.minimum(i % 5, j % 5) == 0) & (to_street < 1.6)
    ground.lay(built * np.where(avenue, 0.75, 0.55 * np.clip(1.2 - to_street, 0, 1)), 0.05, asphalt=0.9, crop=0.1)

    for angle in rng.uniform(0, 0.5) + np.array([0.2, 2.0, 3.4, 4.9]):
        reach = np.arange(0.02 * size, 1.1 * size)
        bend = angle + 0.25 * np.sin(reach / size * rng.uniform(2, 5))
        road = centre + reach[:, None] * np.stack([np.cos(bend), np.sin(bend)], axis=1)
        ground.lay(0.85 * np.clip(1.7 - _distance_to_path(road, size, reach=3), 0, 1), 0.05, asphalt=0.8, soil=0.2)
    return smoothstep(0.19 - away + 0.02 * uneven, 0.0, 0.12)
