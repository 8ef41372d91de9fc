"""The coarse LST in kelvin: product, packing, unit and quality found out once, then read window by window."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from groklst_engine.errors import InputError
from groklst_engine.grid import Grid
from groklst_engine.inputs import LstSource
from groklst_engine.products import Layer, Product, lst_product
from groklst_engine.products.layers import entry
from groklst_engine.products.lst import by_numbers
from groklst_engine.products.qc import ClearMask
from groklst_engine.products.swath import grid_swath
from groklst_engine.raster import Floats, grid_of, open_raster, read_band
from groklst_engine.units import PLAUSIBLE_KELVIN, Unit, guess_unit, offset_to_kelvin

SAMPLE_PIXELS = 4_000_000
"""Pixels from which an LST band's unit and statistics are taken, which bounds the memory for any raster."""

LIKELY_KELVIN = (150.0, 400.0)
"""The median of an LST in kelvin lies between."""


@dataclass(frozen=True)
class LstSummary:
    """Facts of an LST band, in kelvin.

    Attributes:
        mean: Mean of the valid pixels.
        std: Their standard deviation.
        low: 2nd percentile.
        high: 98th percentile.
        valid: Share of valid pixels, 0 to 1.
        implausible: Share of pixels that are no temperature and were taken as missing.
        kept: Share of the measured pixels that quality layers and mask keep; None without any.
    """

    mean: float
    std: float
    low: float
    high: float
    valid: float
    implausible: float
    kept: float | None = None


class LstReader:
    """The coarse LST in kelvin.

    What the job says of scale, offset and unit wins, then the file's own scale and offset where they give
    temperatures, then the product's.

    Args:
        source: The raster.
        what: How to call it in messages.
        mask: A raster that is 1 where clear.

    Attributes:
        name: The raster that was opened.
        grid: Its grid.
        band: The band, from 1.
        product: The product it belongs to, or None.
        scale: From stored number to ``unit``.
        offset: From stored number to ``unit``.
        unit: Its unit.
        summary: Its statistics.
        warnings: What the user should know of how it was read.

    Raises:
        InputError: It cannot be read, has no CRS, no valid pixel, or a unit that can't be guessed.
    """

    def __init__(self, source: LstSource, what: str = "LST", mask: str | None = None) -> None:
        self.what = what
        self._stack = ExitStack()
        try:
            self.product = lst_product(source.path, source.band)
            layer = self.product.layer if self.product else Layer(entry(source.path), source.band)
            self.name, self.band = layer.path, layer.band
            self._kept: float | None = None
            self.dataset = self._open(source)
            if self.band > self.dataset.count:
                raise InputError(
                    f"The {what} file '{source.path}' has no band {source.band}: choose one from 1 to "
                    f"{self.dataset.count}."
                )
            self.grid = self._place()
            quality = self.product.quality if self.product and source.qc == "recommended" else ()
            in_swath = self.product is not None and self.product.swath is not None
            self._clear = ClearMask(self.grid, () if in_swath else quality, mask)
            self._stack.callback(self._clear.close)
            stored, clear = self._sample()
            self._packing(source, stored)
            values, clear = self._measured(stored, clear)
            values = values * self.scale + self.offset
            where = f"band {self.band} of '{self.name}'"
            declared = self.dataset.units[self.band - 1] or self.dataset.tags(self.band).get("GRIB_UNIT")
            self.unit: Unit = source.unit if source.unit != "auto" else guess_unit(values, declared, where)
            self.summary = self._summarise(values, clear)
            self.grid = self.grid.moved(*source.shift)
        except BaseException:
            self._stack.close()
            raise

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of how it was read."""
        return self.product.warnings if self.product else ()

    def _open(self, source: LstSource) -> rasterio.DatasetReader:
        if self.product and self.product.swath:
            memory, self._kept = grid_swath(self.product, source.qc == "recommended")
            self._stack.enter_context(memory)
            self.band = 1
            return self._stack.enter_context(memory.open())
        return self._stack.enter_context(open_raster(self.name, self.what))

    def _place(self) -> Grid:
        """The grid; a product's own CRS where its files leave it out, longitudes from −180 to 180."""
        if self.dataset.crs is None and self.product and self.product.crs:
            crs = rasterio.crs.CRS.from_string(self.product.crs)
            grid = Grid(crs, self.dataset.transform, self.dataset.height, self.dataset.width)
        else:
            grid = grid_of(self.dataset, self.what)
        if grid.crs.is_geographic and grid.bounds[0] >= 180:
            grid = replace(grid, transform=rasterio.Affine.translation(-360, 0) @ grid.transform)
        return grid

    def _sample(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Stored numbers, NaN where declared missing, and which are clear; of a large band every n-th of each axis."""
        height, width = self.dataset.height, self.dataset.width
        step = math.ceil(math.sqrt(height * width / SAMPLE_PIXELS))
        rows = max(1, SAMPLE_PIXELS // width) // step * step or step
        # offset by half a step: the outermost row and column of a raster are often fill
        picked = np.s_[step // 2 :: step, step // 2 :: step]
        found, clear = [], []
        for top in range(0, height, rows):
            window = Window(0, top, width, min(rows, height - top))
            found.append(read_band(self.dataset, self.band, self.what, window)[picked].ravel())
            clear.append(self._clear.read(window)[picked].ravel())
        stored = np.concatenate(found).astype(np.float64)
        self._sampled = stored.size
        if not np.isfinite(stored).any():
            raise InputError(
                f"Band {self.band} of the {self.what} file '{self.name}' holds no valid pixel: choose another "
                "band or file."
            )
        return stored, np.concatenate(clear)

    def _packing(self, source: LstSource, stored: NDArray[np.float64]) -> None:
        """Find scale, offset, fills and valid range."""
        index = self.band - 1
        self.scale, self.offset = float(self.dataset.scales[index]), float(self.dataset.offsets[index])
        self._fills: tuple[float, ...] = ()
        self._valid: tuple[float, float] | None = None
        whole = np.issubdtype(np.dtype(self.dataset.dtypes[index]), np.integer)
        said = source.scale is not None or source.offset is not None
        product = self.product
        numbers = stored[np.isfinite(stored) & (stored != 0)]
        median = float(np.median(numbers)) if numbers.size else 0.0
        if product and not product.swath:
            as_packed = median * product.scale + product.offset
            in_file = _likely(median * self.scale + self.offset)
            if not said and not in_file and _likely(as_packed):
                self.scale, self.offset = product.scale, product.offset
            if whole or (self.scale, self.offset) == (product.scale, product.offset):
                self._fills, self._valid = product.fills, product.valid
        elif not product and not said and source.unit == "auto" and whole and (self.scale, self.offset) == (1, 0):
            rule = by_numbers(median, self._metres())
            if rule:
                self.scale, self.offset, self._fills, self._valid = rule.scale, rule.offset, rule.fills, rule.valid
                told = (
                    f"Nothing in '{self.name}' names its scale; numbers and pixel are those of the product "
                    f"'{rule.title}': read as stored × {rule.scale:g} + {rule.offset:g} K."
                )
                name = f"{rule.name}, by its numbers"
                self.product = Product(
                    name, rule.title, Layer(self.name, self.band), scale=rule.scale, offset=rule.offset,
                    fills=rule.fills, valid=rule.valid, unit="K", psf=rule.psf, native=rule.native, warnings=(told,),
                )  # fmt: skip
        self.scale = self.scale if source.scale is None else source.scale
        self.offset = self.offset if source.offset is None else source.offset

    def _metres(self) -> float:
        """Pixel height in metres, roughly."""
        height = self.grid.pixel[1]
        if self.grid.crs.is_geographic:
            return height * 111_320
        return height * float(self.grid.crs.linear_units_factor[1])

    def _measured(
        self, stored: NDArray[np.float64], clear: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Stored numbers that are measurements and, of these, which are clear."""
        measured = np.isfinite(stored) & ~self._is_fill(stored)
        if not measured.any():
            raise InputError(
                f"Band {self.band} of the {self.what} file '{self.name}' holds no valid pixel: choose another "
                "band or file."
            )
        return stored[measured], clear[measured]

    def _is_fill(self, stored: NDArray[np.floating]) -> NDArray[np.bool_]:
        missing = np.zeros(stored.shape, bool)
        for fill in self._fills:
            missing |= stored == fill
        if self._valid:
            missing |= (stored < self._valid[0]) | (stored > self._valid[1])
        return missing

    def _summarise(self, values: NDArray[np.float64], clear: NDArray[np.bool_]) -> LstSummary:
        kelvin = values + offset_to_kelvin(self.unit)
        possible = (kelvin > PLAUSIBLE_KELVIN[0]) & (kelvin < PLAUSIBLE_KELVIN[1])
        if not possible.any():
            raise InputError(
                f"Band {self.band} of the {self.what} file '{self.name}' holds no temperature between "
                f"{PLAUSIBLE_KELVIN[0]:g} and {PLAUSIBLE_KELVIN[1]:g} K: check its unit, scale and offset."
            )
        plausible = kelvin[possible & clear]
        if plausible.size == 0:
            raise InputError(
                f"Mask and quality layers leave no pixel of the {self.what} '{self.name}': take another scene, or all "
                "pixels (quality 'any')."
            )
        low, high = np.percentile(plausible, [2, 98])
        return LstSummary(
            mean=float(plausible.mean()),
            std=float(plausible.std()),
            low=float(low),
            high=float(high),
            valid=plausible.size / self._sampled,
            implausible=int((~possible).sum()) / self._sampled,
            kept=plausible.size / int(possible.sum()) if self._clear else self._kept,
        )

    def read(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """Kelvin at the given rows and columns, ``(rows, columns)``, NaN where missing or not clear."""
        window = Window.from_slices(
            (int(rows.min()), int(rows.max()) + 1), (int(columns.min()), int(columns.max()) + 1)
        )
        stored = read_band(self.dataset, self.band, self.what, window)
        kelvin = stored * np.float32(self.scale) + np.float32(self.offset + offset_to_kelvin(self.unit))
        kelvin[(kelvin <= PLAUSIBLE_KELVIN[0]) | (kelvin >= PLAUSIBLE_KELVIN[1]) | self._is_fill(stored)] = np.nan
        if self._clear:
            kelvin[~self._clear.read(window)] = np.nan
        picked: Floats = kelvin[np.ix_(rows - rows.min(), columns - columns.min())]
        return picked

    def close(self) -> None:
        """Close the files."""
        self._stack.close()


def _likely(kelvin: float) -> bool:
    return LIKELY_KELVIN[0] < kelvin < LIKELY_KELVIN[1]
