"""Guidance derived from guidance: terrain from elevation, indices from reflectances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

import numpy as np
import torch

from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.grid import CoarseWindow
from groklst_engine.physics.indices import INDICES, ndmvi, select
from groklst_engine.physics.terrain import Frame, eastness, gradient, hillshade, northness, slope
from groklst_engine.physics_jobs import Derived
from groklst_engine.raster import Floats
from groklst_engine.reader import AlignedReader, mirrored

TERRAIN: tuple[Role, ...] = ("slope", "northness", "eastness", "hillshade")

DARKEST = 0.1
"""Percentile that stands for the darkest pixel of a band, so that a single bad one does not."""

SAMPLED_ROWS = 64
"""Coarse rows, evenly spread, in which the darkest pixels are looked for."""


def ingredients(role: Role) -> tuple[Role, ...]:
    """The bands that a derived one is made of."""
    if role in TERRAIN:
        return ("dem",)
    return ("nir", "red") if role == "ndmvi" else INDICES[role].bands


def derivable(roles: Sequence[Role], overpass: datetime | None, on_earth: bool) -> set[Role]:
    """What can be derived from bands with these roles, and is not among them.

    Light needs the time of the overpass, and all terrain a grid that lies somewhere on earth.
    """
    found = set[Role](get_args(Derived)) - (set() if on_earth else set(TERRAIN))
    return {
        role
        for role in found
        if set(ingredients(role)) <= set(roles) and role not in roles and (role != "hillshade" or overpass is not None)
    }


@dataclass(frozen=True)
class Derivation:
    """What is to be derived of a scene.

    Attributes:
        reader: The aligned rasters.
        roles: Derived bands, in order.
        overpass: When the LST was taken.
        darkest: Reflectance in nir and red of the scene's darkest pixels, for NDMVI.
    """

    reader: AlignedReader
    roles: tuple[Role, ...]
    overpass: datetime | None
    darkest: tuple[float, float]

    @classmethod
    def of(cls, reader: AlignedReader, wanted: Sequence[Role], overpass: datetime | None) -> Derivation:
        """Check that the wanted bands can be derived; those that are there already are left out.

        Raises:
            InputError: One cannot; names what is missing.
        """
        roles = tuple(role for role in dict.fromkeys(wanted) if role not in reader.roles)
        if set(roles) & set(TERRAIN) and not reader.pair.fine.on_earth:
            raise InputError(
                f"Terrain can't be derived in {reader.pair.fine.crs_name}, which is nowhere on earth: "
                "give the LST a CRS, or leave out slope, northness, eastness and hillshade."
            )
        for role in roles:
            missing = [band for band in ingredients(role) if band not in reader.roles]
            if missing:
                raise InputError(
                    f"'{role}' is derived from {' and '.join(missing)}, which no guidance band is: add such a band or "
                    "give the bands' roles."
                )
            if role == "hillshade" and overpass is None:
                raise InputError("'hillshade' needs the time of the overpass: give it, such as 2020-07-14T10:45Z.")
        return cls(reader, roles, overpass, _darkest(reader) if "ndmvi" in roles else (0.0, 0.0))

    def read(self, window: CoarseWindow) -> tuple[Floats, Floats]:
        """Read a window as ``AlignedReader.read`` does, with the derived bands after the given ones."""
        return self.reader.read_lst(window), self.read_guidance(window)

    def read_guidance(self, window: CoarseWindow) -> Floats:
        """Of ``read``, the guidance."""
        if not self.roles:
            return self.reader.read_guidance(window)
        # a gradient looks one pixel beyond its own
        wider = CoarseWindow(window.top - 1, window.bottom + 1, window.left - 1, window.right + 1)
        s = self.reader.pair.scale
        guidance = self.reader.read_guidance(wider)
        derived = np.stack([*self._terrain(wider, guidance), *self._indices(guidance)])
        order = [role for role in self.roles if role in TERRAIN] + [role for role in self.roles if role not in TERRAIN]
        derived = derived[[order.index(role) for role in self.roles]]
        return np.concatenate([guidance, derived])[:, s:-s, s:-s]

    def _terrain(self, window: CoarseWindow, guidance: Floats) -> list[Floats]:
        wanted = [role for role in self.roles if role in TERRAIN]
        if not wanted:
            return []
        grid, s = self.reader.pair.fine, self.reader.pair.scale
        rows = mirrored(window.top * s, window.bottom * s, grid.height)
        columns = mirrored(window.left * s, window.right * s, grid.width)
        frame = Frame.of(grid, rows, columns)
        east, north = gradient(guidance[self.reader.roles.index("dem")], frame)
        made = {"slope": slope, "northness": northness, "eastness": eastness}
        return [
            hillshade(east, north, frame, self.overpass)
            if role == "hillshade" and self.overpass is not None
            else made[role](east, north)
            for role in wanted
        ]

    def _indices(self, guidance: Floats) -> list[Floats]:
        made: list[Floats] = []
        bands = torch.from_numpy(guidance)[None]
        for role in self.roles:
            if role == "ndmvi":
                nir, red = select(bands, self.reader.roles, ("nir", "red"))
                assert nir is not None
                assert red is not None
                index = ndmvi(nir, red, *self.darkest)
                made.append(index.where(torch.isfinite(nir + red), torch.nan)[0, 0].numpy())
            elif role not in TERRAIN:
                there = select(bands, self.reader.roles, INDICES[role].bands)
                known = sum(band for band in there if band is not None)
                (found,) = select(bands, self.reader.roles, (role,))
                assert found is not None
                made.append(found.where(torch.isfinite(torch.as_tensor(known)), torch.nan)[0, 0].numpy())
        return made


def _darkest(reader: AlignedReader) -> tuple[float, float]:
    """Of nir and red, from rows spread over the scene."""
    coarse = reader.pair.coarse
    tops = np.unique(np.linspace(0, coarse.height - 1, SAMPLED_ROWS).astype(int))
    at = [reader.roles.index(role) for role in ("nir", "red")]
    rows = [reader.read(CoarseWindow(int(top), int(top) + 1, 0, coarse.width))[1][at] for top in tops]
    values = np.concatenate([row.reshape(2, -1) for row in rows], axis=1)
    values = values[:, np.isfinite(values).all(0)]
    if values.shape[1] == 0:
        return 0.0, 0.0
    nir, red = np.percentile(values, DARKEST, axis=1)
    return float(nir), float(red)
