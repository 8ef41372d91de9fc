"""Rasters that tests make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, osr


def write_raster(path: Path, values: np.ndarray, names: tuple[str, ...], pixel: float = 30) -> str:
    """Write bands ``(count, height, width)`` with their descriptions."""
    count, height, width = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), width, height, count, gdal.GDT_Float32)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32632)
    dataset.SetProjection(reference.ExportToWkt())
    dataset.SetGeoTransform((500_000, pixel, 0, 5_600_000, 0, -pixel))
    for number, name in enumerate(names, start=1):
        dataset.GetRasterBand(number).WriteArray(values[number - 1])
        dataset.GetRasterBand(number).SetDescription(name)
    dataset = None  # written when closed
    return str(path)
