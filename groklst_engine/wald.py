"""Wald's protocol on one scene: degrade it, downscale it back, and have the truth beside the result.

What is degraded is written as rasters and goes through the public ``downscale()``, so that a fault in alignment,
tiling or masking shows in the scores.

References:
    Wald, Ranchin and Mangolini (1997), Photogrammetric Engineering & Remote Sensing 63(6).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

from groklst_engine.bands import Role
from groklst_engine.data.dataset import FineScene, coarse_lst
from groklst_engine.events import CancelToken, ignore
from groklst_engine.grid import Grid
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.raster import Floats, profile_of, with_nodata


@dataclass(frozen=True)
class Downscaled:
    """What a method made of a scene whose fine LST is known.

    Attributes:
        values: ``(H, W)`` kelvin on the grid of the truth, NaN where it gives nothing.
        sigma: Standard error, likewise; None if it was not asked for or cannot be told.
        method: Its name, for ``auto`` that of the chosen one.
    """

    values: Floats
    sigma: Floats | None
    method: str


@dataclass(frozen=True)
class DegradedScene:
    """A scene whose fine LST is known, as the rasters a method gets.

    Attributes:
        scale: Coarse pixel divided by fine pixel.
        lst: File of the coarse LST in kelvin.
        guidance: File of the guidance; None if the scene has none.
        roles: Of the guidance's bands.
        truth: ``(H, W)`` kelvin, NaN where missing.
        counted: ``(H, W)`` bool: the pixels every method is scored on, those whose whole coarse pixel is valid.
    """

    scale: int
    lst: Path
    guidance: Path | None
    roles: tuple[Role, ...]
    truth: Floats
    counted: NDArray[np.bool_]

    def downscaled(self, method: str, cancel: CancelToken, **options: Any) -> Downscaled:
        """What a method makes of it.

        Args:
            method: Name of a method, or path of a weights file.
            cancel: Looked at after every tile.
            options: Further fields of the ``DownscaleJob``.

        Raises:
            GroklstError: The method or the scene cannot be used.
        """
        from groklst_engine.predict import downscale  # which itself tries methods in this way

        output = self.lst.with_name("fine.tif")
        guidance = () if self.guidance is None else (GuidanceSource(path=str(self.guidance), roles=self.roles),)
        lst = LstSource(path=str(self.lst), unit="K")
        options |= {"lst": lst, "guidance": guidance, "scale": self.scale, "method": method}
        result = downscale(DownscaleJob(**options, output=output, overwrite=True), ignore, cancel)
        sigma = None if result.uncertainty is None else _read(result.uncertainty)
        return Downscaled(_read(result.output), sigma, result.method)


def degrade(scene: FineScene, scale: int, folder: Path) -> DegradedScene:
    """Make the LST that the scene's coarse sensor sees; a pixel with any missing fine pixel is missing.

    Args:
        scene: Its size must be a multiple of ``scale``.
        scale: Coarse pixel divided by fine pixel.
        folder: Where the rasters are written.
    """
    valid = scene.mask
    coarse = coarse_lst(scene, scale, scene.psf)
    whole = torch.isfinite(coarse)
    counted = whole.repeat_interleave(scale, -2).repeat_interleave(scale, -1) & valid
    lst, guidance = folder / f"lst_x{scale}.tif", folder / "guidance.tif"
    _write(lst, coarse[0].numpy(), scene.grid.coarsened(scale), ("lst",))
    if scene.roles and not guidance.exists():  # the same at every scale
        _write(guidance, scene.guidance[0].numpy(), scene.grid, scene.roles)
    truth = scene.lst.where(valid, torch.nan)[0, 0].numpy()
    return DegradedScene(scale, lst, guidance if scene.roles else None, scene.roles, truth, counted[0, 0].numpy())


def _read(path: Path) -> Floats:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(1, masked=True).filled(np.nan), np.float32)


def _write(path: Path, values: Floats, grid: Grid, descriptions: tuple[str, ...]) -> None:
    with rasterio.open(path, "w", **profile_of(grid, len(values))) as dataset:
        dataset.write(with_nodata(values))
        dataset.descriptions = descriptions
