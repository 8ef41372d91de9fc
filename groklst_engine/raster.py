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
from rasterio.shutil import copy
from rasterio.windows import Window

from groklst_engine.errors import InputError, OutputError
from groklst_engine.grid import Grid
from groklst_engine.products.layers import is_hdf4
from groklst_engine.units import Unit

CACHE = 256_000_000
"""Bytes of GDAL's cache of blocks; of its own accord it would take a twentieth of the machine's memory."""

os.environ.setdefault("GDAL_CACHEMAX", str(CACHE))

THREADS = min(4, os.cpu_count() or 1)
"""That compress an output: more than keep up with any method would only be in the way."""

NODATA = -9999.0
BLOCK = 256
"""Pixels per side of an output file's blocks."""
Floats = NDArray[np.float32]


def profile_of(grid: Grid, bands: int = 1) -> dict[str, Any]:
    """What rasterio has to be told of a float32 GeoTIFF that fills a grid, ``NODATA`` where values are missing."""
    place = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    return {"driver": "GTiff", "dtype": "float32", "count": bands, "nodata": NODATA, **place}


def with_nodata(values: Floats) -> Floats:
    """The values as such a file has them: ``NODATA`` for NaN."""
    return np.where(np.isfinite(values), values, np.float32(NODATA))


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
        keep_part: Whether ``part`` stays when the work fails or is cancelled, to be continued.
        held: What an earlier writer held back when it was synced: continue its ``part``.
        cog: Whether to make a cloud-optimised GeoTIFF of it in the end.

    Attributes:
        path: Final file.
        part: The file being written.
        unit: Its unit.
        held: Rows not yet written, ``(rows, columns)``: they would fill only a part of the file's blocks.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        grid: Grid,
        *,
        unit: Unit,
        description: str,
        tags: Mapping[str, str],
        overwrite: bool,
        keep_part: bool = False,
        held: Floats | None = None,
        cog: bool = False,
    ) -> None:
        check_output(path, overwrite)
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._keep_part = keep_part
        self._cog = cog
        self._profile = {
            **profile_of(grid),
            "compress": "deflate",
            "predictor": 3,
            "zlevel": 1,  # 3 % larger than the default, written four times as fast
            "num_threads": THREADS,
            "bigtiff": "if_safer",
        }
        if min(grid.height, grid.width) >= BLOCK:
            self._profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}
        self.unit = unit
        self._description, self._tags = description, tags
        if held is None:
            self.restart()
        else:
            self.held = held
            self._open("r+", num_threads=THREADS)

    def restart(self) -> None:
        """Begin again with an empty file.

        Raises:
            OutputError: The file cannot be written.
        """
        self.held = np.zeros((0, 0), np.float32)
        self._open("w", **self._profile)
        self._dataset.set_band_description(1, self._description)
        self._dataset.set_band_unit(1, "K" if self.unit == "K" else "°C")
        self._dataset.update_tags(**self._tags)

    def _open(self, mode: str, **profile: Any) -> None:
        try:
            self._dataset = rasterio.open(self.part, mode, **profile)
        except (RasterioError, OSError) as error:
            raise OutputError(
                f"The output '{self.path}' cannot be written: choose a folder you may write to."
            ) from error

    def write(self, rows: Floats, top: int, left: int = 0) -> None:
        """Write rows of a strip of columns, NaN for missing, each strip from top to bottom.

        Args:
            rows: ``(rows, columns)``.
            top: Their first row in the raster.
            left: Their first column.

        Raises:
            OutputError: The disk is full or gone.
        """
        bottom = top + len(rows)
        # whole blocks only: one that is written twice is compressed twice, and leaves a hole in the file
        end = bottom if bottom == self._profile["height"] else bottom // BLOCK * BLOCK
        for first in range(top - len(self.held), end, BLOCK):  # one row of them at a time, for the memory
            self._write_blocks(
                _joined(self.held, rows[max(0, first - top) : min(first + BLOCK, end) - top]), first, left
            )
            self.held = self.held[:0]
        self.held = _joined(self.held, rows[max(0, end - top) :]).copy()

    def _write_blocks(self, rows: Floats, top: int, left: int) -> None:
        try:
            self._dataset.write(with_nodata(rows), 1, window=Window(left, top, rows.shape[1], len(rows)))
        except RasterioError as error:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from error

    def read(self, window: Window) -> Floats:
        """What was written and synced, NaN where missing.

        Raises:
            InputError: The file is damaged.
        """
        return read_band(self._dataset, 1, "unfinished output", window)

    def sync(self) -> None:
        """Bring all that is written and not ``held`` to the disk, so that it outlives this process.

        Raises:
            OutputError: The disk is full or gone.
        """
        self.finish()
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())
        self._open("r+", num_threads=THREADS)

    def finish(self) -> None:
        """Complete ``part``, so that it can be read; the rename follows when the ``with`` block ends well.

        Raises:
            OutputError: The disk is full or gone.
        """
        try:
            self._dataset.close()
        except (RasterioError, OSError) as error:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from error

    def _optimise(self) -> None:
        """Turn ``part`` into a cloud-optimised GeoTIFF."""
        optimised = self.part.with_name(self.part.name + ".cog")
        options = {"compress": "deflate", "predictor": "yes", "level": 1, "bigtiff": "if_safer"}
        try:
            copy(self.part, optimised, driver="COG", overview_resampling="average", **options)
            optimised.replace(self.part)
        except RasterioError as error:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from error
        finally:
            optimised.unlink(missing_ok=True)

    def __enter__(self) -> RasterWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.finish()
            if kind is None:
                if self._cog:
                    self._optimise()
                self.part.replace(self.path)
        except OSError as failure:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from failure
        finally:
            if not self._keep_part:
                with suppress(OSError):
                    self.part.unlink(missing_ok=True)


def _joined(above: Floats, below: Floats) -> Floats:
    """Rows one below the other; nothing is copied where there are none above."""
    return np.concatenate([above, below]) if len(above) else below
