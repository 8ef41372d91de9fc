"""Terrain from elevation: slope, exposition and the sun's light, which show in a thermal scene."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform

from groklst_engine.grid import Grid
from groklst_engine.physics.solar import sun_position
from groklst_engine.raster import Floats

METRES_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6371 km."""


@dataclass(frozen=True)
class Frame:
    """How pixels lie on the ground. All fields have the shape of the pixels.

    Attributes:
        latitude: Degrees.
        longitude: Degrees.
        column: Metres to the east and to the north from a pixel to the next column's.
        row: The same to the next row's.
    """

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    column: tuple[NDArray[np.float64], NDArray[np.float64]]
    row: tuple[NDArray[np.float64], NDArray[np.float64]]

    @classmethod
    def of(cls, grid: Grid, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Frame:
        """The frame of a grid's pixels at these rows and columns, in any projection: sinusoidal ones are skewed."""
        row, column = np.meshgrid(rows + 0.5, columns + 0.5, indexing="ij")

        def geographic(down: float, right: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            x, y = grid.transform @ (column + right, row + down)
            longitude, latitude = transform(grid.crs, CRS.from_epsg(4326), x.ravel(), y.ravel())
            return np.reshape(longitude, row.shape), np.reshape(latitude, row.shape)

        def step(down: float, right: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            (east, north), (west, south) = geographic(down, right), geographic(-down, -right)
            across = (east - west + 180) % 360 - 180  # also over the date line
            return across * METRES_PER_DEGREE * np.cos(np.radians(latitude)), (north - south) * METRES_PER_DEGREE

        longitude, latitude = geographic(0, 0)
        return cls(latitude, longitude, column=step(0, 0.5), row=step(0.5, 0))


def gradient(elevation: Floats, frame: Frame) -> tuple[Floats, Floats]:
    """How steeply the ground rises to the east and to the north, after Horn (1981).

    Args:
        elevation: ``(H, W)`` metres; the outermost pixels repeat beyond the edge.
        frame: Of these pixels.

    Returns:
        Two ``(H, W)``, metres per metre; NaN beside a missing pixel.
    """
    z = np.pad(elevation.astype(np.float64), 1, mode="edge")
    smooth_rows = z[:-2] + 2 * z[1:-1] + z[2:]
    smooth_columns = z[:, :-2] + 2 * z[:, 1:-1] + z[:, 2:]
    along_columns = (smooth_rows[:, 2:] - smooth_rows[:, :-2]) / 8
    along_rows = (smooth_columns[2:] - smooth_columns[:-2]) / 8
    area = frame.column[0] * frame.row[1] - frame.column[1] * frame.row[0]
    east = (along_columns * frame.row[1] - along_rows * frame.column[1]) / area
    north = (along_rows * frame.column[0] - along_columns * frame.row[0]) / area
    return east.astype(np.float32), north.astype(np.float32)


def slope(east: Floats, north: Floats) -> Floats:
    """Angle of the ground to the horizontal, degrees."""
    angle: Floats = np.degrees(np.arctan(np.hypot(east, north)))
    return angle


def eastness(east: Floats, north: Floats) -> Floats:
    """How much the ground faces east: the sine of the slope times the sine of the aspect, −1 to 1.

    Together with ``northness`` it says what the aspect's angle says, but has no jump from 360° to 0° and is 0 where
    the ground is flat and its aspect means nothing.
    """
    facing: Floats = -east / np.sqrt(1 + east**2 + north**2)
    return facing


def northness(east: Floats, north: Floats) -> Floats:
    """How much the ground faces north: the sine of the slope times the cosine of the aspect, −1 to 1."""
    facing: Floats = -north / np.sqrt(1 + east**2 + north**2)
    return facing


def hillshade(east: Floats, north: Floats, frame: Frame, when: datetime) -> Floats:
    """Cosine of the angle between the sun and the ground's normal, 0 to 1.

    0 where the ground is turned away from the sun, or the sun is down. The shadow of one slope on another is left out.

    Args:
        east: Rise to the east, metres per metre.
        north: Rise to the north.
        frame: Of these pixels.
        when: Time of the overpass; UTC if it names no zone.
    """
    height, azimuth = (np.radians(angle) for angle in sun_position(when, frame.latitude, frame.longitude))
    upward = 1 / np.sqrt(1 + east**2 + north**2)
    light = np.sin(height) * upward + np.cos(height) * (
        np.sin(azimuth) * eastness(east, north) + np.cos(azimuth) * northness(east, north)
    )
    # "where" would turn a missing pixel into a dark one
    shade: Floats = (np.maximum(light, 0) * (height > 0)).astype(np.float32)
    return shade
