"""What a run may know of sensor, sun and ground. Part of the jobs' models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from groklst_engine.inputs import Frozen, RasterName
from groklst_engine.physics.psf import PsfShape

Strength = Annotated[float, Field(ge=0, le=1)]
Domain = Literal["temperature", "radiance"]
Derived = Literal["slope", "northness", "eastness", "hillshade", "ndvi", "ndwi", "ndbi", "ndmvi", "savi", "albedo"]


class Physics(Frozen):
    """Sensor, sun and ground.

    Attributes:
        consistency: Share of the difference to the coarse LST that is removed after aggregation, 0 to 1; None takes 1,
            or 0 in cross-sensor mode.
        psf: Point spread function through which the result shall give back the coarse LST.
        mtf: Contrast that a Gaussian one leaves at the Nyquist frequency of the coarse grid, 0.05 to 0.95.
        domain: What averages over a coarse pixel, temperature or the emitted radiance.
        emissivity: Raster of the emissivity, 0 to 1, for the radiance; None takes 1 everywhere.
        derive: Guidance to derive from the given bands: slope, northness, eastness, hillshade, ndvi, ndwi, ndbi,
            ndmvi, savi or albedo.
        overpass: Date and time at which the LST was taken, such as 2020-07-14T10:45Z; UTC without a zone.
        cross_sensor: LST and guidance are of two sensors: estimate shift and point spread function of the LST, and
            correct the result for them.
    """

    consistency: Strength | None = None
    psf: PsfShape = "box"
    mtf: float = Field(0.3, ge=0.05, le=0.95)
    domain: Domain = "temperature"
    emissivity: RasterName | None = None
    derive: tuple[Derived, ...] = ()
    overpass: datetime | None = None
    cross_sensor: bool = False
