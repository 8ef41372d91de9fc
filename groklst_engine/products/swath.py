"""Products without a grid: their pixels are spread onto a regular geographic grid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from groklst_engine.errors import InputError
from groklst_engine.grid import Grid
from groklst_engine.products.model import Layer, Product
from groklst_engine.products.qc import good
from groklst_engine.raster import Floats, open_raster, profile_of, read_band

METRES_PER_DEGREE = 111_320.0
MIN_WEIGHT = 0.25
"""Of the weight that a full pixel would leave on a grid cell; below it the cell is missing."""

MAX_CELLS = 100_000_000
"""A grid of more cells means wrong coordinates."""


def grid_swath(product: Product, with_quality: bool) -> tuple[MemoryFile, float | None]:
    """The LST in kelvin on a regular latitude-longitude grid of about the sensor's own pixel.

    Each swath pixel shares its value among the four cells around it, by bilinear weights; a cell is the weighted mean
    of what it got. Overlapping scans average out; the smoothing stays below one pixel.

    Args:
        product: A product with ``swath``.
        with_quality: Whether to leave out the pixels that its quality layers call bad.

    Returns:
        A GeoTIFF in memory with the Float32 band, NaN where missing, and the share of valid pixels that quality kept.

    Raises:
        InputError: A file is missing or damaged, or its coordinates make no sense.
    """
    assert product.swath is not None
    kelvin, stored = _physical(product.layer, product)
    latitude, _ = _physical(product.swath.latitude)
    longitude, _ = _physical(product.swath.longitude)
    if not kelvin.shape == latitude.shape == longitude.shape:
        raise InputError(f"The coordinates of '{product.layer.path}' are of another size: get a complete copy.")
    valid = np.isfinite(kelvin) & np.isfinite(latitude) & np.isfinite(longitude)
    for fill in product.fills:
        valid &= stored != fill
    kept = None
    if with_quality and product.quality and valid.any():
        clear = np.ones(kelvin.shape, bool)
        for quality in product.quality:
            with open_raster(quality.layer.path, "quality layer") as dataset:
                clear &= good(dataset.read(quality.layer.band), quality.bits)
        kept = float((valid & clear).sum() / valid.sum())
        valid &= clear
    if not valid.any():
        raise InputError(
            f"The quality layers leave no valid pixel of '{product.layer.path}': take another scene, or all pixels "
            "(quality 'any')."
        )
    grid = _regular(latitude, longitude, product.native or 1000.0)
    cells = _spread(kelvin[valid], latitude[valid], longitude[valid], grid)
    memory = MemoryFile()
    with memory.open(**profile_of(grid) | {"nodata": np.nan}) as dataset:
        dataset.write(cells, 1)
        dataset.set_band_description(1, product.layer.names[0] if product.layer.names else "LST")
        dataset.set_band_unit(1, "K")
    return memory, kept


def _physical(layer: Layer, product: Product | None = None) -> tuple[NDArray[np.float64], Floats]:
    """Scaled values of a whole layer, NaN where missing, and the numbers as stored."""
    with open_raster(layer.path, "LST" if product else "coordinate") as dataset:
        stored = read_band(dataset, layer.band, "LST" if product else "coordinate")
        scale, offset = dataset.scales[layer.band - 1], dataset.offsets[layer.band - 1]
        # coordinates stored as integers need all their digits
        exact = dataset.read(layer.band).astype(np.float64)
    if product and (scale, offset) == (1.0, 0.0):
        scale, offset = product.scale, product.offset
    return np.where(np.isfinite(stored), exact * scale + offset, np.nan), stored


def _regular(latitude: NDArray[np.float64], longitude: NDArray[np.float64], native: float) -> Grid:
    """A grid over all coordinates, cells of about ``native`` metres."""
    found = np.isfinite(latitude) & np.isfinite(longitude) & (abs(latitude) <= 90) & (abs(longitude) <= 180)
    if not found.any():
        raise InputError("The product's coordinates are all missing: get a complete copy.")
    south, north = latitude[found].min(), latitude[found].max()
    west, east = longitude[found].min(), longitude[found].max()
    if east - west > 180:
        raise InputError("The product crosses the date line, which cannot be put onto one grid: cut it there first.")
    dy = native / METRES_PER_DEGREE
    dx = dy / max(0.05, math.cos(math.radians((south + north) / 2)))
    width, height = math.ceil((east - west) / dx) + 1, math.ceil((north - south) / dy) + 1
    if width * height > MAX_CELLS:
        raise InputError("The product's coordinates span more than a scene: get a complete copy.")
    return Grid(CRS.from_epsg(4326), from_origin(west - dx / 2, north + dy / 2, dx, dy), height, width)


def _spread(
    values: NDArray[np.float64], latitude: NDArray[np.float64], longitude: NDArray[np.float64], grid: Grid
) -> Floats:
    """Weighted means of scattered values on a grid, NaN where too few came."""
    columns, rows = ~grid.transform @ (longitude, latitude)
    columns, rows = columns - 0.5, rows - 0.5  # from corners to centres
    left, top = np.floor(columns).astype(np.intp), np.floor(rows).astype(np.intp)
    sums, weights = np.zeros(grid.height * grid.width), np.zeros(grid.height * grid.width)
    for down in (0, 1):
        for right in (0, 1):
            row, column = top + down, left + right
            share = (1 - abs(rows - row)) * (1 - abs(columns - column))
            inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width)
            cell = (row * grid.width + column)[inside]
            weights += np.bincount(cell, share[inside], weights.size)
            sums += np.bincount(cell, (share * values)[inside], weights.size)
    filled = weights > MIN_WEIGHT
    means = np.full(weights.size, np.nan)
    means[filled] = sums[filled] / weights[filled]
    return means.reshape(grid.height, grid.width).astype(np.float32)
