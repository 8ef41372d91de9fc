"""Quality layers and masks as yes-or-no rasters on a grid."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

from groklst_engine.errors import InputError
from groklst_engine.grid import Grid
from groklst_engine.products.model import Bits, Quality
from groklst_engine.raster import grid_of, open_raster

Clear = NDArray[np.bool_]

MAX_SAMPLES = 4
"""Quality pixels looked at per side of a pixel, where they are finer."""

CLEAR_SHARE = 0.99
"""Share of a pixel that a mask must call clear."""


def good(values: NDArray[np.integer], bits: tuple[Bits, ...]) -> Clear:
    """Where all fields of a quality number hold a good value."""
    numbers = values.astype(np.int64)
    keep = np.ones(numbers.shape, bool)
    for field in bits:
        keep &= np.isin((numbers >> field.first) & ((1 << field.count) - 1), list(field.keep))
    return keep


@dataclass(frozen=True)
class _Source:
    dataset: rasterio.DatasetReader | WarpedVRT
    band: int
    samples: int
    bits: tuple[Bits, ...] | None  # None: 1 is clear


class ClearMask:
    """Which pixels of a grid are clear: quality layers by their bits, masks by being 1.

    A layer of the grid's own size is taken pixel by pixel. Another is warped: of a finer quality layer up to 4 × 4
    pixels are looked at and all must be good; a finer mask is averaged. Beyond the layer nothing is clear.

    Args:
        grid: The grid to read on.
        quality: Quality layers.
        mask: A raster that is 1 where clear.

    Raises:
        InputError: A layer cannot be read.
    """

    def __init__(self, grid: Grid, quality: tuple[Quality, ...] = (), mask: str | None = None) -> None:
        self._stack = ExitStack()
        self._sources: list[_Source] = []
        try:
            for part in quality:
                self._add(grid, part.layer.path, part.layer.band, part.bits)
            if mask is not None:
                self._add(grid, mask, 1, None)
        except BaseException:
            self._stack.close()
            raise

    def _add(self, grid: Grid, path: str, band: int, bits: tuple[Bits, ...] | None) -> None:
        what = "mask" if bits is None else "quality layer"
        dataset = self._stack.enter_context(open_raster(path, what))
        # subdatasets of quality are often without a place of their own
        if bits is not None and dataset.shape == (grid.height, grid.width):
            self._sources.append(_Source(dataset, band, 1, bits))
            return
        own = grid_of(dataset, what)
        transform, _, _ = calculate_default_transform(own.crs, grid.crs, own.width, own.height, *own.bounds)
        finer = math.sqrt(abs(grid.pixel[0] * grid.pixel[1] / (transform.a * transform.e)))
        samples = 1 if bits is None else min(MAX_SAMPLES, max(1, math.ceil(finer - 0.01)))
        sampled = grid.refined(samples)
        average = bits is None and finer > 1.01
        vrt = WarpedVRT(
            dataset,
            crs=sampled.crs,
            transform=sampled.transform,
            width=sampled.width,
            height=sampled.height,
            resampling=Resampling.average if average else Resampling.nearest,
            src_nodata=dataset.nodatavals[band - 1],
            nodata=-1,
            dtype="float32" if bits is None else "int32",
            tolerance=1e-6,
        )
        self._sources.append(_Source(self._stack.enter_context(vrt), band, samples, bits))

    def __bool__(self) -> bool:
        return bool(self._sources)

    def read(self, window: Window) -> Clear:
        """Whether each pixel of a window of the grid is clear, ``(rows, columns)``.

        Raises:
            InputError: A file is damaged.
        """
        rows, columns = int(window.height), int(window.width)
        clear = np.ones((rows, columns), bool)
        for source in self._sources:
            n = source.samples
            part = Window(window.col_off * n, window.row_off * n, columns * n, rows * n)
            try:
                values = source.dataset.read(source.band, window=part)
            except RasterioError as error:
                raise InputError(
                    f"The mask '{source.dataset.name}' is damaged or cut off: get a complete copy."
                ) from error
            if source.bits is None:
                clear &= values > CLEAR_SHARE
            else:
                known = values >= 0 if np.issubdtype(values.dtype, np.signedinteger) else True
                keep = good(values, source.bits) & known
                clear &= keep.reshape(rows, n, columns, n).all((1, 3))
        return clear

    def close(self) -> None:
        """Close the files."""
        self._stack.close()
