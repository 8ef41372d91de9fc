"""Grids and how they fit together: the only place where alignment is decided."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from groklst_engine.errors import InputError

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie.

    Attributes:
        crs: Coordinate reference system; projected or geographic.
        transform: From (column, row) to coordinates, pixel corner convention.
        height: Rows.
        width: Columns.
    """

    crs: CRS
    transform: Affine
    height: int
    width: int

    @property
    def pixel(self) -> tuple[float, float]:
        """Pixel width and height in CRS units, both positive, also for rotated grids."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def bounds(self) -> Bounds:
        """Outer bounds in CRS units."""
        corners = [self.transform @ (c, r) for c in (0, self.width) for r in (0, self.height)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def crs_name(self) -> str:
        """``EPSG:32611`` where the CRS has a code, else its own name."""
        code = self.crs.to_epsg()
        if code is not None:
            return f"EPSG:{code}"
        name: str = self.crs.to_wkt().split('"')[1]
        return name

    @property
    def on_earth(self) -> bool:
        """Whether the coordinates are places; those of an engineering CRS are not."""
        return bool(self.crs.is_geographic or self.crs.is_projected)

    @property
    def unit_name(self) -> str:
        """Unit of the coordinates: ``m``, ``°`` or the CRS's own word."""
        if self.crs.is_geographic:
            return "°"
        unit: str = self.crs.linear_units
        return "m" if unit in ("metre", "meter") else unit

    def refined(self, scale: int) -> Grid:
        """The grid whose pixels are ``scale`` times smaller, same origin and extent."""
        return Grid(self.crs, self.transform @ Affine.scale(1 / scale), self.height * scale, self.width * scale)

    def moved(self, rows: float, columns: float) -> Grid:
        """The grid moved down and to the right by so many of its pixels."""
        return Grid(self.crs, self.transform @ Affine.translation(columns, rows), self.height, self.width)

    def coarsened(self, scale: int) -> Grid:
        """The grid whose pixels are ``scale`` times larger, same origin; incomplete blocks are cut off."""
        return Grid(self.crs, self.transform @ Affine.scale(scale), self.height // scale, self.width // scale)

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether both grids are the same, corners equal within ``tolerance`` pixels."""
        if (self.height, self.width) != (other.height, other.width) or self.crs != other.crs:
            return False
        slack = tolerance * min(self.pixel)
        return all(
            math.dist(self.transform @ corner, other.transform @ corner) <= slack
            for corner in ((0, 0), (self.width, 0), (0, self.height))
        )

    def shares_pixels(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether pixels of both are the same places wherever both have some, within ``tolerance`` pixels."""
        if self.crs != other.crs:
            return False
        from_other = ~self.transform @ other.transform
        left, top = (round(offset) for offset in from_other @ (0, 0))
        return all(
            math.dist(from_other @ corner, (left + corner[0], top + corner[1])) <= tolerance
            for corner in ((0, 0), (other.width, 0), (0, other.height))
        )

    def bounds_in(self, crs: CRS) -> Bounds:
        """Outer bounds in another CRS.

        Raises:
            InputError: The coordinates have no place in that CRS.
        """
        try:
            bounds: Bounds = transform_bounds(self.crs, crs, *self.bounds, densify_pts=21)
        except Exception as error:  # PROJ's errors have no common type across rasterio versions
            raise InputError(
                f"The extent in {self.crs_name} cannot be expressed in {crs.to_string()}: check both layers' CRS."
            ) from error
        if not all(map(math.isfinite, bounds)):
            raise InputError(
                f"The extent in {self.crs_name} cannot be expressed in {crs.to_string()}: check both layers' CRS."
            )
        return bounds

    def coverage_by(self, other: Grid) -> float:
        """Share (0 to 1) of this grid's extent that ``other``'s extent covers."""
        left, bottom, right, top = self.bounds
        o_left, o_bottom, o_right, o_top = other.bounds_in(self.crs)
        width = min(right, o_right) - max(left, o_left)
        height = min(top, o_top) - max(bottom, o_bottom)
        if width <= 0 or height <= 0:
            return 0.0
        return min(1.0, width * height / ((right - left) * (top - bottom)))


@dataclass(frozen=True)
class GridPair:
    """A coarse grid and the fine grid that nests in it.

    Attributes:
        coarse: Grid of the coarse LST.
        fine: Grid of the result.
        scale: Fine pixels per coarse pixel and side.

    Raises:
        InputError: The fine grid does not nest in the coarse one.
    """

    coarse: Grid
    fine: Grid
    scale: int

    def __post_init__(self) -> None:
        if self.scale < 1 or not self.coarse.refined(self.scale).matches(self.fine):
            raise InputError(
                f"The fine grid ({self.fine.width} × {self.fine.height} pixels of {self.fine.pixel[0]:g}) does not "
                f"nest {self.scale} × {self.scale} in the coarse one ({self.coarse.width} × {self.coarse.height} of "
                f"{self.coarse.pixel[0]:g}): choose a scale that divides the coarse pixel."
            )

    @classmethod
    def from_coarse(cls, coarse: Grid, scale: int) -> GridPair:
        """The default pair: the LST's own grid and the same grid with pixels ``scale`` times smaller."""
        return cls(coarse, coarse.refined(scale), scale)


@dataclass(frozen=True)
class CoarseWindow:
    """Rows and columns of the coarse grid, half-open; may reach beyond it, where the raster is mirrored."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Margins:
    """Coarse pixels along the edges of a window."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def less(self, pixels: int) -> Margins:
        """As much narrower at each edge, where there is as much."""
        return Margins(*(max(0, width - pixels) for width in (self.top, self.bottom, self.left, self.right)))


NO_MARGINS = Margins()
