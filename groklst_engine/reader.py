"""The inputs, aligned: the coarse LST in kelvin and all guidance on the fine grid, read lazily window by window."""

from __future__ import annotations

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

from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.grid import CoarseWindow, Grid, GridPair
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.lst_reader import LstReader
from groklst_engine.products import Quality, guidance_paths
from groklst_engine.products.packing import BandPacking, guidance_packing
from groklst_engine.products.qc import ClearMask
from groklst_engine.raster import Floats, grid_of, open_raster


def mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices ``start`` … ``stop`` − 1 of an axis of ``size`` that is mirrored at both ends, edge included."""
    index = np.arange(start, stop) % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)


def _spanning(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Window:
    """The smallest window that holds the rows and columns."""
    return Window(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def _within(index: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Where indices are in the part of an axis that they span: all of it, in order, where nothing is mirrored."""
    places = index - index.min()
    return slice(None) if np.array_equal(places, np.arange(np.ptp(index) + 1)) else places


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
        product: The product it was recognised as, or None.
        warnings: What the user should know of how it is read.
    """

    path: str
    grid: Grid
    roles: tuple[Role | None, ...]
    descriptions: tuple[str | None, ...]
    pixel: tuple[float, float]
    coverage: float
    resampling: Literal["average", "cubic"]
    product: str | None = None
    warnings: tuple[str, ...] = ()


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
    class bands by nearest neighbour. Pixels that a product's quality layers call bad, or the mask, are missing.

    Args:
        lst: The LST.
        guidance: The guidance.
        scale: Coarse pixel divided by fine pixel.
        mask: A raster that is 1 where the scene is clear, for LST and guidance.

    Attributes:
        pair: The grids.
        lst: The LST.
        layers: Facts of the guidance rasters.
        roles: Of the guidance bands, in the order of ``read``'s channels.

    Raises:
        InputError: An input cannot be used; says which and why.
    """

    def __init__(
        self, lst: LstSource, guidance: tuple[GuidanceSource, ...], scale: int, mask: str | None = None
    ) -> None:
        self._stack = ExitStack()
        try:
            self.lst = LstReader(lst, mask=mask)
            self._stack.callback(self.lst.close)
            self.pair = GridPair.from_coarse(self.lst.grid, scale)
            self.layers: list[GuidanceLayer] = []
            self.roles: tuple[Role, ...] = ()
            self._warps: list[_Warp] = []
            self._quality: dict[tuple[Quality, ...], tuple[ClearMask, list[int]]] = {}
            for source in guidance:
                for path in guidance_paths(source.path):
                    self._add(source.model_copy(update={"path": path}))
            self._mask = ClearMask(self.pair.fine, mask=mask)
            self._stack.callback(self._mask.close)
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
                f"The guidance '{source.path}' does not overlap the LST '{self.lst.name}': choose layers of "
                "the same place, or correct their CRS."
            )
        packing = guidance_packing(dataset, source.path)
        roles = source.roles or tuple(band.role for band in packing)
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
            source.path,
            grid,
            tuple(roles),
            dataset.descriptions,
            pixel,
            coverage,
            "average" if finer else "cubic",
            next((band.product for band in packing if band.product), None),
            tuple(dict.fromkeys(said for band in packing for said in band.warnings)),
        )
        self.layers.append(layer)
        as_it_is = self.pair.fine.shares_pixels(grid)  # the nearest pixel is the very one, and found much faster
        warps: dict[tuple[Resampling, str], _Warp] = {}
        for index, role in enumerate(roles):
            if role is None:
                continue
            nearest_is_right = as_it_is or role == "landcover"
            resampling = Resampling.nearest if nearest_is_right else Resampling[layer.resampling]
            nodata = packing[index].nodata
            key = (resampling, str(nodata))  # as text, in which one NaN equals another
            if key not in warps:
                # Of several bands GDAL interpolates into the gaps of each; of a single one it does not.
                into_gaps = resampling is Resampling.cubic and dataset.count > 1
                nearest = self._warped(dataset, nodata, Resampling.nearest) if into_gaps else None
                warps[key] = _Warp(self._warped(dataset, nodata, resampling), source.path, nearest)
            warps[key].bands.append(index + 1)
            warps[key].channels.append(len(self.roles))
            warps[key].scales.append(packing[index].scale)
            warps[key].offsets.append(packing[index].offset)
            self.roles += (role,)
        self._warps += warps.values()
        if source.qc == "recommended":
            self._add_quality(packing, [channel for warp in warps.values() for channel in warp.channels])

    def _add_quality(self, packing: tuple[BandPacking, ...], channels: list[int]) -> None:
        """Mask a raster's channels by the quality layers of all its bands."""
        quality = tuple(dict.fromkeys(part for band in packing for part in band.quality))
        if not quality or not channels:
            return
        if quality not in self._quality:  # the bands of one scene share their quality file
            clear = ClearMask(self.pair.fine, quality)
            self._stack.callback(clear.close)
            self._quality[quality] = clear, []
        self._quality[quality][1].extend(channels)

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
        return self.read_lst(window), self.read_guidance(window)

    def read_lst(self, window: CoarseWindow) -> Floats:
        """Of ``read``, the LST."""
        coarse = self.pair.coarse
        rows = mirrored(window.top, window.bottom, coarse.height)
        return self.lst.read(rows, mirrored(window.left, window.right, coarse.width))

    def read_guidance(self, window: CoarseWindow) -> Floats:
        """Of ``read``, the guidance."""
        fine, s = self.pair.fine, self.pair.scale
        rows = mirrored(window.top * s, window.bottom * s, fine.height)
        columns = mirrored(window.left * s, window.right * s, fine.width)
        guidance = np.empty((len(self.roles), len(rows), len(columns)), np.float32)
        inner = _spanning(rows, columns)
        down, across = _within(rows), _within(columns)
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
                unpacked = values if (scale, offset) == (1, 0) else values * np.float32(scale) + np.float32(offset)
                guidance[channel] = unpacked[down][:, across]
        guidance[~np.isfinite(guidance)] = np.nan
        for clear, channels in [*self._quality.values(), (self._mask, list(range(len(self.roles))))]:
            if clear and channels:
                bad = ~clear.read(inner)[down][:, across]
                for channel in channels:
                    guidance[channel, bad] = np.nan
        return guidance

    def __enter__(self) -> AlignedReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
