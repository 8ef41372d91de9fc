"""The inputs, aligned: the coarse LST in kelvin and all guidance on the fine grid, read lazily window by window."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.windows import Window

from groklst_engine.bands import Role, guess_roles
from groklst_engine.errors import InputError
from groklst_engine.grid import CoarseWindow, Grid, GridPair
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.raster import Floats, grid_of, open_raster, read_band
from groklst_engine.units import PLAUSIBLE_KELVIN, Unit, guess_unit, offset_to_kelvin

SAMPLE_PIXELS = 4_000_000
"""Pixels from which an LST band's unit and statistics are taken, which bounds the memory for any raster."""


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
    """

    mean: float
    std: float
    low: float
    high: float
    valid: float
    implausible: float


def mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices ``start`` … ``stop`` − 1 of an axis of ``size`` that is mirrored at both ends, edge included."""
    index = np.arange(start, stop) % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def _spanning(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Window:
    """The smallest window that holds the rows and columns."""
    return Window(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


class LstReader:
    """The coarse LST in kelvin, its unit found out once.

    Raises:
        InputError: It cannot be read, has no CRS, no valid pixel, or a unit that can't be guessed.
    """

    def __init__(self, source: LstSource, what: str = "LST") -> None:
        self.what = what
        self.dataset = open_raster(source.path, what)
        try:
            self.grid = grid_of(self.dataset, what)
            if source.band > self.dataset.count:
                raise InputError(
                    f"The {what} file '{source.path}' has no band {source.band}: choose one from 1 to "
                    f"{self.dataset.count}."
                )
            self.band = source.band
            index = source.band - 1
            self.scale = self.dataset.scales[index] if source.scale is None else source.scale
            self.offset = self.dataset.offsets[index] if source.offset is None else source.offset
            stored = self._sample()
            self.unit: Unit = (
                source.unit
                if source.unit != "auto"
                else guess_unit(stored, self.dataset.units[index], f"band {self.band} of '{source.path}'")
            )
            self.summary = self._summarise(stored)
        except BaseException:
            self.dataset.close()
            raise

    def _sample(self) -> NDArray[np.float64]:
        """Valid stored values, scaled: all of a small band, every n-th row and column of a large one."""
        height, width = self.dataset.height, self.dataset.width
        step = math.ceil(math.sqrt(height * width / SAMPLE_PIXELS))
        rows = max(1, SAMPLE_PIXELS // width) // step * step or step
        # offset by half a step: the outermost row and column of a raster are often fill
        found = [
            read_band(self.dataset, self.band, self.what, Window(0, top, width, min(rows, height - top)))[
                step // 2 :: step, step // 2 :: step
            ]
            for top in range(0, height, rows)
        ]
        self._sampled = sum(part.size for part in found)
        values = np.concatenate([part[np.isfinite(part)] for part in found]).astype(np.float64)
        if values.size == 0:
            raise InputError(
                f"Band {self.band} of the {self.what} file '{self.dataset.name}' holds no valid pixel: choose another "
                "band or file."
            )
        return values * self.scale + self.offset

    def _summarise(self, stored: NDArray[np.float64]) -> LstSummary:
        kelvin = stored + offset_to_kelvin(self.unit)
        plausible = kelvin[(kelvin > PLAUSIBLE_KELVIN[0]) & (kelvin < PLAUSIBLE_KELVIN[1])]
        if plausible.size == 0:
            raise InputError(
                f"Band {self.band} of the {self.what} file '{self.dataset.name}' holds no temperature between "
                f"{PLAUSIBLE_KELVIN[0]:g} and {PLAUSIBLE_KELVIN[1]:g} K: check its unit, scale and offset."
            )
        low, high = np.percentile(plausible, [2, 98])
        return LstSummary(
            mean=float(plausible.mean()),
            std=float(plausible.std()),
            low=float(low),
            high=float(high),
            valid=plausible.size / self._sampled,
            implausible=(kelvin.size - plausible.size) / self._sampled,
        )

    def read(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """Kelvin at the given rows and columns, ``(rows, columns)``, NaN where missing."""
        window = Window.from_slices(
            (int(rows.min()), int(rows.max()) + 1), (int(columns.min()), int(columns.max()) + 1)
        )
        stored = read_band(self.dataset, self.band, self.what, window)
        kelvin = stored * np.float32(self.scale) + np.float32(self.offset + offset_to_kelvin(self.unit))
        kelvin[(kelvin <= PLAUSIBLE_KELVIN[0]) | (kelvin >= PLAUSIBLE_KELVIN[1])] = np.nan
        picked: Floats = kelvin[np.ix_(rows - rows.min(), columns - columns.min())]
        return picked

    def close(self) -> None:
        """Close the file."""
        self.dataset.close()


@dataclass(frozen=True)
class GuidanceLayer:
    """Facts of one guidance raster on its way to the fine grid.

    Attributes:
        path: As given.
        grid: Its own grid.
        roles: Per band; None: left out.
        descriptions: Per band, as the file has them.
        pixel: Its pixel size in the units of the LST's CRS.
        coverage: Share of the LST's extent that its extent covers.
        resampling: How it comes to the fine grid.
    """

    path: str
    grid: Grid
    roles: tuple[Role | None, ...]
    descriptions: tuple[str | None, ...]
    pixel: tuple[float, float]
    coverage: float
    resampling: Literal["average", "cubic"]


@dataclass(frozen=True)
class _Warp:
    """Bands of one raster that come to the fine grid together: same resampling, same nodata value.

    Where ``nearest`` is missing, the result is, too.
    """

    vrt: WarpedVRT
    path: str
    nearest: WarpedVRT | None = None
    bands: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)


class AlignedReader:
    """The coarse LST and all guidance bands, on one pair of grids.

    Guidance is warped lazily: averaged when it is finer than the fine grid, by cubic convolution when it is coarser;
    class bands by nearest neighbour.

    Attributes:
        pair: The grids.
        lst: The LST.
        layers: Facts of the guidance rasters.
        roles: Of the guidance bands, in the order of ``read``'s channels.

    Raises:
        InputError: An input cannot be used; says which and why.
    """

    def __init__(self, lst: LstSource, guidance: tuple[GuidanceSource, ...], scale: int) -> None:
        self._stack = ExitStack()
        try:
            self.lst = LstReader(lst)
            self._stack.callback(self.lst.close)
            self.pair = GridPair.from_coarse(self.lst.grid, scale)
            self.layers: list[GuidanceLayer] = []
            self.roles: tuple[Role, ...] = ()
            self._warps: list[_Warp] = []
            for source in guidance:
                self._add(source)
        except BaseException:
            self._stack.close()
            raise

    def _add(self, source: GuidanceSource) -> None:
        dataset = self._stack.enter_context(open_raster(source.path, "guidance"))
        grid = grid_of(dataset, "guidance")
        if grid.height * grid.width == 1:
            raise InputError(f"The guidance '{source.path}' is a single pixel: give a raster finer than the LST.")
        coverage = self.pair.coarse.coverage_by(grid)
        if coverage == 0:
            raise InputError(
                f"The guidance '{source.path}' does not overlap the LST '{self.lst.dataset.name}': choose layers of "
                "the same place, or correct their CRS."
            )
        roles = source.roles or guess_roles(source.path, dataset.descriptions)
        if len(roles) != dataset.count:
            raise InputError(
                f"{len(roles)} roles were given for the {dataset.count} bands of the guidance '{source.path}': give "
                "one for each, '-' for a band to leave out."
            )
        transform, _, _ = calculate_default_transform(
            grid.crs, self.pair.fine.crs, grid.width, grid.height, *grid.bounds
        )
        pixel = abs(transform.a), abs(transform.e)
        finer = pixel[0] * pixel[1] < 0.98 * self.pair.fine.pixel[0] * self.pair.fine.pixel[1]
        layer = GuidanceLayer(
            source.path, grid, tuple(roles), dataset.descriptions, pixel, coverage, "average" if finer else "cubic"
        )
        self.layers.append(layer)
        warps: dict[tuple[Resampling, str], _Warp] = {}
        for index, role in enumerate(roles):
            if role is None:
                continue
            resampling = Resampling.nearest if role == "landcover" else Resampling[layer.resampling]
            nodata = dataset.nodatavals[index]
            key = (resampling, str(nodata))  # as text, in which one NaN equals another
            if key not in warps:
                # Of several bands GDAL interpolates into the gaps of each; of a single one it does not.
                into_gaps = resampling is Resampling.cubic and dataset.count > 1
                nearest = self._warped(dataset, nodata, Resampling.nearest) if into_gaps else None
                warps[key] = _Warp(self._warped(dataset, nodata, resampling), source.path, nearest)
            warps[key].bands.append(index + 1)
            warps[key].channels.append(len(self.roles))
            warps[key].scales.append(dataset.scales[index])
            warps[key].offsets.append(dataset.offsets[index])
            self.roles += (role,)
        self._warps += warps.values()

    def _warped(self, dataset: rasterio.DatasetReader, nodata: float | None, resampling: Resampling) -> WarpedVRT:
        fine = self.pair.fine
        return self._stack.enter_context(
            WarpedVRT(
                dataset,
                crs=fine.crs,
                transform=fine.transform,
                width=fine.width,
                height=fine.height,
                resampling=resampling,
                src_nodata=np.nan if nodata is None else nodata,
                nodata=np.nan,
                dtype="float32",
                tolerance=1e-6,  # pixels; GDAL's default of 0.125 would differ from tile to tile
                UNIFIED_SRC_NODATA="NO",  # else a pixel counts as missing only where all bands are
                # Left to itself GDAL widens the cubic kernel along an axis on which the source is a little finer, and
                # that one divides by weights that sum to nearly zero at the edge of a gap.
                **({"XSCALE": "1", "YSCALE": "1"} if resampling is Resampling.cubic else {}),
            )
        )

    def read(self, window: CoarseWindow) -> tuple[Floats, Floats]:
        """Read a window, mirrored beyond the raster.

        Returns:
            LST ``(h, w)`` in kelvin and guidance ``(C, s·h, s·w)`` in physical units; NaN where missing.

        Raises:
            InputError: A file is damaged.
        """
        coarse, fine, s = self.pair.coarse, self.pair.fine, self.pair.scale
        lst = self.lst.read(
            mirrored(window.top, window.bottom, coarse.height), mirrored(window.left, window.right, coarse.width)
        )
        rows = mirrored(window.top * s, window.bottom * s, fine.height)
        columns = mirrored(window.left * s, window.right * s, fine.width)
        guidance = np.empty((len(self.roles), len(rows), len(columns)), np.float32)
        inner = _spanning(rows, columns)
        picked = np.ix_(rows - rows.min(), columns - columns.min())
        for warp in self._warps:
            try:
                stored = warp.vrt.read(warp.bands, window=inner)
                if warp.nearest is not None:
                    stored[np.isnan(warp.nearest.read(warp.bands, window=inner))] = np.nan
            except RasterioError as error:
                raise InputError(
                    f"The guidance file '{warp.path}' is damaged or cut off: get a complete copy."
                ) from error
            for values, channel, scale, offset in zip(stored, warp.channels, warp.scales, warp.offsets, strict=True):
                guidance[channel] = (values * np.float32(scale) + np.float32(offset))[picked]
        guidance[~np.isfinite(guidance)] = np.nan
        return lst, guidance

    def __enter__(self) -> AlignedReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
