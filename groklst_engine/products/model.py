"""What is known of a product: plain descriptions, without any reading."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from groklst_engine.bands import Role
from groklst_engine.units import Unit

Psf = Literal["box", "gaussian", "triangular"]
"""Shape of a sensor's pixel: MODIS and VIIRS respond as a triangle along the scan, most others blur."""


@dataclass(frozen=True)
class Layer:
    """A band of a raster.

    Attributes:
        path: Any name that GDAL can open.
        band: From 1.
        names: What it is called: band description, variable, subdataset or file stem.
    """

    path: str
    band: int = 1
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bits:
    """Which values of a field inside a quality number are good.

    Attributes:
        first: Lowest bit, from 0.
        count: Number of bits; 16 with ``first`` 0 is the number itself.
        keep: The good values.
    """

    first: int
    count: int
    keep: frozenset[int]


@dataclass(frozen=True)
class Quality:
    """A quality layer and which of its pixels to keep.

    Attributes:
        layer: Where it is.
        bits: All must hold.
    """

    layer: Layer
    bits: tuple[Bits, ...]


@dataclass(frozen=True)
class Swath:
    """Where the pixels of a product without a grid lie."""

    latitude: Layer
    longitude: Layer


@dataclass(frozen=True)
class Product:
    """A raster recognised as a product.

    Attributes:
        name: Short name, e.g. ``MOD11A1``.
        title: In words.
        layer: The band to read.
        role: What a guidance band shows; None for LST.
        scale: From stored number to ``unit``, where the file does not say.
        offset: From stored number to ``unit``, where the file does not say.
        fills: Stored numbers that mean missing.
        valid: Lowest and highest stored number that is a measurement.
        unit: Of the LST; None for guidance.
        quality: Quality layers that were found beside it.
        error: The product's own uncertainty of each pixel, where there is one.
        error_scale: From its stored number to kelvin.
        acquired: When, in UTC.
        acquired_from: What told so.
        psf: Likely shape of the sensor's pixel.
        native: The sensor's own pixel in metres.
        swath: Where the pixels lie, for a product without a grid.
        crs: For files that leave it out.
        warnings: What the user should know.
    """

    name: str
    title: str
    layer: Layer
    role: Role | None = None
    scale: float = 1.0
    offset: float = 0.0
    fills: tuple[float, ...] = ()
    valid: tuple[float, float] | None = None
    unit: Unit | None = None
    quality: tuple[Quality, ...] = ()
    error: Layer | None = None
    error_scale: float = 1.0
    acquired: datetime | None = None
    acquired_from: str = ""
    psf: Psf = "box"
    native: float | None = None
    swath: Swath | None = None
    crs: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    r"""How a product is recognised and read.

    Partner layers are named by templates that ``re.Match.expand`` fills from the match of ``layer``:
    ``QC_\1`` beside ``LST_Day_1km`` is ``QC_Day``; ``flags_in.nc:bayes_in`` is a variable of a file beside it.

    Attributes:
        name: Short name, used where the file name does not hold a more exact one.
        title: In words.
        layer: Pattern searched in the layer's names.
        file: Pattern searched in the file's name; its match, if any, becomes the product's name with ``exact_name``.
        exact_name: Pattern of the exact short name in the file's name.
        needs_file: Whether the file's name must match, because the layer's alone says too little.
        scale: From stored number to kelvin or reflectance.
        offset: From stored number to kelvin or reflectance.
        fills: Stored numbers that mean missing.
        valid: Lowest and highest stored number that is a measurement.
        quality: Templates of quality layers with the bits to keep.
        error: Template of the layer with the product's own uncertainty.
        error_scale: From its stored number to kelvin.
        view_time: Template of the layer with the local solar time in tenths of an hour.
        overpass: Usual local solar hour by the first group of ``layer``, in lower case.
        psf: Likely shape of the sensor's pixel.
        native: The sensor's own pixel in metres.
        swath: Templates of latitude and longitude.
        crs: For files that leave it out.
        roles: Role by the first group of ``layer``; ``""`` for all others.
    """

    name: str
    title: str
    layer: str
    file: str = ""
    exact_name: str = r"(?!)"
    needs_file: bool = False
    scale: float = 1.0
    offset: float = 0.0
    fills: tuple[float, ...] = ()
    valid: tuple[float, float] | None = None
    quality: tuple[tuple[str, tuple[Bits, ...]], ...] = ()
    error: str | None = None
    error_scale: float = 1.0
    view_time: str | None = None
    overpass: dict[str, float] = field(default_factory=dict)
    psf: Psf = "box"
    native: float | None = None
    swath: tuple[str, str] | None = None
    crs: str | None = None
    roles: dict[str, Role] = field(default_factory=dict)

    def match(self, name: str, file: str) -> re.Match[str] | None:
        """The match in a layer's name, if the file's name fits, too."""
        if self.needs_file and not re.search(self.file, file):
            return None
        return re.search(self.layer, name)

    def exact(self, file: str) -> str:
        """The product's short name: the file's own word for it, else the rule's."""
        found = re.search(self.exact_name, file)
        return found[0] if found else self.name
