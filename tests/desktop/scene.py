"""Generated rasters of one place for the desktop tests: a coarse LST and finer reflectance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, osr

gdal.UseExceptions()

EPSG = 32633
ORIGIN = (412_000.0, 5_634_000.0)
FINE_PIXEL = 25.0
SCALE = 4
BANDS = ("blue", "green", "red", "nir")


def make_scene(folder: Path, coarse_side: int = 60) -> dict[str, str]:
    """Write a square scene with fields, a lake and relief.

    Args:
        folder: Where to write.
        coarse_side: LST pixels per side.

    Returns:
        The paths: ``lst`` (kelvin, 100 m) and ``reflectance`` (four bands, 25 m).
    """
    folder.mkdir(parents=True, exist_ok=True)
    kelvin, bands = _fields(coarse_side * SCALE)
    coarse = kelvin.reshape(coarse_side, SCALE, coarse_side, SCALE).mean((1, 3))
    return {
        "lst": _write(folder / "lst.tif", coarse[None], FINE_PIXEL * SCALE, ("LST",)),
        "reflectance": _write(folder / "reflectance.tif", bands, FINE_PIXEL, BANDS),
    }


def make_fine_lst(path: Path, coarse_side: int = 60) -> str:
    """Write the temperature of the same place as it is at 25 m."""
    return _write(path, _fields(coarse_side * SCALE)[0][None], FINE_PIXEL, ("LST",))


def _fields(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Kelvin ``(side, side)`` and reflectance ``(4, side, side)``."""
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[0:side, 0:side]
    # slanted, so that the edges of the fields fall between coarse pixels
    along, across = (rows + columns // 3) // 23, (columns - rows // 3 + side) // 15
    vegetation = rng.uniform(0.1, 0.9, (along.max() + 1, across.max() + 1))[along, across]
    height = 0.5 + 0.5 * np.sin(rows / 53) * np.cos(columns / 67)
    lake = np.hypot(rows - 0.6 * side, 1.5 * (columns - 0.4 * side)) < side / 7
    kelvin = np.where(lake, 293.0, 312.0 - 12.0 * vegetation - 4.0 * height) + rng.normal(0, 0.1, (side, side))
    red, nir = 0.22 - 0.18 * vegetation, 0.15 + 0.35 * vegetation
    bands = np.stack([0.5 * red, 0.8 * red, red, nir])
    bands[:, lake] = np.array([0.08, 0.06, 0.04, 0.02])[:, None]
    return kelvin, bands


def make_later_lst(path: Path, lst: str) -> str:
    """Write the LST of a warmer day."""
    return _write(path, read(lst)[None] + 4, FINE_PIXEL * SCALE, ("LST",))


def make_large_lst(path: Path, lst: str, copies: int) -> str:
    """Write an LST raster that repeats another one, ``copies`` × ``copies`` times."""
    return _write(path, np.tile(read(lst), (copies, copies))[None], FINE_PIXEL * SCALE, ("LST",))


def _write(path: Path, values: np.ndarray, pixel: float, names: tuple[str, ...]) -> str:
    count, height, width = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, count, gdal.GDT_Float32)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(EPSG)
    dataset.SetProjection(reference.ExportToWkt())
    dataset.SetGeoTransform((ORIGIN[0], pixel, 0, ORIGIN[1], 0, -pixel))
    for index, name in enumerate(names, start=1):
        band = dataset.GetRasterBand(index)
        band.SetDescription(name)
        band.WriteArray(values[index - 1].astype("float32"))
        if name == "LST":
            band.SetUnitType("K")
    dataset = None
    return str(path)


def read(path: str | Path) -> np.ndarray:
    """The first band of a raster, ``(height, width)``."""
    dataset = gdal.Open(str(path))  # must outlive its band
    return dataset.GetRasterBand(1).ReadAsArray()


def block_means(values: np.ndarray, size: int) -> np.ndarray:
    """Means of ``size`` × ``size`` blocks: ``(height / size, width / size)``."""
    height, width = values.shape
    return values.reshape(height // size, size, width // size, size).mean((1, 3), dtype="float64")
