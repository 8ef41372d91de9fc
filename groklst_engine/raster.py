"""Raster files: opening with a sentence for every failure, reading bands, and atomic writing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.windows import Window

from groklst_engine.errors import InputError, OutputError
from groklst_engine.grid import Grid
from groklst_engine.products.layers import is_hdf4
from groklst_engine.units import Unit

NODATA = -9999.0
Floats = NDArray[np.float32]


def open_raster(name: str, what: str) -> rasterio.DatasetReader:
    """Open a raster for reading.

    Args:
        name: Anything GDAL can open.
        what: How to call it in messages, e.g. ``LST``.

    Raises:
        InputError: It is missing, no raster, or has no band.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the CRS check says it better
            dataset = rasterio.open(name)
    except RasterioError as error:
        if not Path(name).exists() and ":" not in name and not name.startswith("/vsi"):
            raise InputError(f"The {what} file '{name}' does not exist: check the path.") from error
        if is_hdf4(name):
            raise InputError(
                f"The {what} file '{name}' is HDF4, which this engine's GDAL cannot read: open it in QGIS and export "
                "the layer as GeoTIFF with its name kept, e.g. MOD11A1.A2023182.h18v04.061.LST_Day_1km.tif."
            ) from error
        raise InputError(
            f"The {what} file '{name}' cannot be read as a raster: give a GeoTIFF or another format GDAL knows."
        ) from error
    if dataset.count == 0:
        dataset.close()
        raise InputError(f"The {what} file '{name}' has no band of its own: name one of its subdatasets.")
    return dataset


def grid_of(dataset: rasterio.DatasetReader, what: str) -> Grid:
    """The grid of an open raster.

    Raises:
        InputError: It has no CRS.
    """
    if dataset.crs is None:
        raise InputError(
            f"The {what} '{dataset.name}' has no coordinate reference system: assign one (in QGIS: Raster ▸ "
            "Projections ▸ Assign projection)."
        )
    return Grid(dataset.crs, dataset.transform, dataset.height, dataset.width)


def read_band(dataset: rasterio.DatasetReader, band: int, what: str, window: Window | None = None) -> Floats:
    """One band as float32 with NaN for missing pixels, the stored scale and offset not applied.

    Raises:
        InputError: The file is damaged.
    """
    try:
        values = dataset.read(band, window=window, masked=True)
    except (RasterioIOError, RasterioError) as error:
        raise InputError(f"The {what} file '{dataset.name}' is damaged or cut off: get a complete copy.") from error
    filled: Floats = values.astype(np.float32).filled(np.nan)
    return filled


def check_output(path: Path, overwrite: bool) -> None:
    """Refuse, before any work, an output that could not be written at the end.

    Raises:
        OutputError: It exists and may not be replaced, or its folder does not exist or may not be written to.
    """
    if path.is_dir():
        raise OutputError(f"The output '{path}' is a folder: give a file name.")
    if path.exists() and not overwrite:
        raise OutputError(f"The output '{path}' exists already: choose another name or allow overwriting.")
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' of the output does not exist: create it or choose another.")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"The output '{path}' cannot be written: choose a folder you may write to.")


class RasterWriter:
    """Writes a single-band Float32 GeoTIFF to ``<output>.part`` and renames it when all went well.

    Args:
        path: Final file.
        grid: Its grid.
        unit: Its unit, ``K`` or ``C``.
        description: Band description.
        tags: Provenance, written as GeoTIFF metadata.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(
        self, path: Path, grid: Grid, *, unit: Unit, description: str, tags: Mapping[str, str], overwrite: bool
    ) -> None:
        check_output(path, overwrite)
        self.path = path
        self.part = path.with_name(path.name + ".part")
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "dtype": "float32",
            "count": 1,
            "crs": grid.crs,
            "transform": grid.transform,
            "height": grid.height,
            "width": grid.width,
            "nodata": NODATA,
            "compress": "deflate",
            "predictor": 3,
            "bigtiff": "if_safer",
        }
        if min(grid.height, grid.width) >= 256:
            profile |= {"tiled": True, "blockxsize": 256, "blockysize": 256}
        try:
            self._dataset = rasterio.open(self.part, "w", **profile)
        except (RasterioError, OSError) as error:
            raise OutputError(f"The output '{path}' cannot be written: choose a folder you may write to.") from error
        self._dataset.set_band_description(1, description)
        self._dataset.set_band_unit(1, "K" if unit == "K" else "°C")
        self._dataset.update_tags(**tags)

    def write(self, rows: Floats, top: int) -> None:
        """Write full-width rows, NaN for missing, beginning at row ``top``.

        Raises:
            OutputError: The disk is full or gone.
        """
        values = np.where(np.isfinite(rows), rows, np.float32(NODATA))
        try:
            self._dataset.write(values, 1, window=Window(0, top, rows.shape[1], rows.shape[0]))
        except RasterioError as error:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from error

    def finish(self) -> None:
        """Complete ``part``, so that it can be read; the rename follows when the ``with`` block ends well.

        Raises:
            OutputError: The disk is full or gone.
        """
        try:
            self._dataset.close()
        except (RasterioError, OSError) as error:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from error

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.finish()
            if kind is None:
                self.part.replace(self.path)
        except OSError as failure:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from failure
        finally:
            with suppress(OSError):
                self.part.unlink(missing_ok=True)
