"""How the bands of a guidance raster are packed, and what they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from groklst_engine.bands import Role, guess_roles
from groklst_engine.products.layers import layers_in
from groklst_engine.products.model import Product, Quality
from groklst_engine.products.recognise import guidance_product, is_auxiliary

LARGEST_REFLECTANCE = 1.6
"""Stored reflectances above it are still scaled."""


@dataclass(frozen=True)
class BandPacking:
    """A guidance band.

    Attributes:
        role: What it shows; None: a flag or an angle, to leave out.
        scale: From stored number to physical unit.
        offset: From stored number to physical unit.
        nodata: Stored number that means missing.
        quality: Quality layers of its product.
        product: Name of the product, or None.
        warnings: What the user should know.
    """

    role: Role | None
    scale: float
    offset: float
    nodata: float | None
    quality: tuple[Quality, ...] = ()
    product: str | None = None
    warnings: tuple[str, ...] = ()


def guidance_packing(dataset: rasterio.DatasetReader, path: str) -> tuple[BandPacking, ...]:
    """One entry per band: the file's own word first, then the product's, then a guess from names."""
    layers = layers_in(path)
    if len(layers) != dataset.count:
        layers = []
    products = [guidance_product(layer, layers) for layer in layers] or [None] * dataset.count
    guessed = guess_roles(path, dataset.descriptions)
    known = any(products)
    found: list[BandPacking] = []
    for index, product in enumerate(products):
        scale, offset, nodata = dataset.scales[index], dataset.offsets[index], dataset.nodatavals[index]
        if product is None:
            role = None if known and is_auxiliary(layers[index]) else guessed[index]
            found.append(BandPacking(role, scale, offset, nodata))
            continue
        if (scale, offset) == (1.0, 0.0) and _still_packed(dataset, index, product):
            scale, offset = product.scale, product.offset
        if nodata is None and product.fills:
            nodata = product.fills[0]
        role = product.role if product.role != "other" else guessed[index]
        found.append(BandPacking(role, scale, offset, nodata, product.quality, product.name, product.warnings))
    return tuple(found)


def _still_packed(dataset: rasterio.DatasetReader, index: int, product: Product) -> bool:
    """Whether a band holds the product's stored numbers: whole ones, or floats too large to be reflectance."""
    if product.scale == 1.0 or np.issubdtype(np.dtype(dataset.dtypes[index]), np.integer):
        return True
    step = max(1, max(dataset.shape) // 256)
    shape = max(1, dataset.height // step), max(1, dataset.width // step)
    try:
        seen = dataset.read(index + 1, out_shape=shape, resampling=Resampling.nearest, masked=True).compressed()
    except RasterioError:
        return False
    seen = seen[np.isfinite(seen) & (seen != 0)]
    return bool(seen.size) and bool(np.median(np.abs(seen)) > LARGEST_REFLECTANCE)
