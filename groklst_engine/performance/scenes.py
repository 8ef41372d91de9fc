"""Scenes of any size to measure on: a generated landscape, and its mirror images beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import rasterio
import torch
from rasterio.crs import CRS
from rasterio.windows import Window

from groklst_engine.bands import Role
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.synthetic import SyntheticScene, synthetic_scene, write_scene
from groklst_engine.errors import OutputError
from groklst_engine.events import CancelToken
from groklst_engine.grid import Grid
from groklst_engine.raster import THREADS

BASE = 512
"""Fine pixels per side, about, of the landscape."""

NOISE = 0.3
"""Kelvin by which dates differ."""


@dataclass(frozen=True)
class Inputs:
    """Files of a scene.

    Attributes:
        lsts: The coarse LST of each date.
        guidance: Of all of them; empty where none was asked for.
    """

    lsts: tuple[Path, ...]
    guidance: tuple[Path, ...]


def generated_scene(side: int) -> FineScene:
    """A scene of ``side`` fine pixels, with all guidance, in memory."""
    land = synthetic_scene(size=side, seed=0)
    lst, *bands = (torch.from_numpy(values)[None, None] for values in (land.lst, *land.guidance.values()))
    roles = cast(tuple[Role, ...], tuple(land.guidance))
    grid = Grid(CRS.from_user_input(land.crs), land.transform, side, side)
    return FineScene("generated", "generated", lst, torch.cat(bands, dim=1), roles, grid)


def landscape(side: int, scale: int) -> SyntheticScene:
    """The generated scene that scenes of ``side`` fine pixels are made of."""
    step = 8 * scale
    return synthetic_scene(size=min(side, max(1, BASE // step) * step), seed=0)


def write_inputs(folder: Path, side: int, scale: int, *, guided: bool, dates: int, cancel: CancelToken) -> Inputs:
    """Write a scene of ``side`` fine pixels.

    Args:
        folder: Made if it is not there.
        side: A multiple of 8 times the scale.
        scale: Coarse pixel divided by fine pixel.
        guided: Whether guidance is wanted, too.
        dates: LSTs, which differ in their noise.
        cancel: Looked at now and then.

    Raises:
        OutputError: The disk is full or gone.
        Cancelled: ``cancel`` was raised.
    """
    scene = landscape(side, scale)
    lsts: list[Path] = []
    guidance: tuple[Path, ...] = ()
    for date in range(dates):
        small = write_scene(scene, folder / "landscape", scale, noise=NOISE, seed=date)
        lsts.append(_mirrored(small.lst, folder / f"lst_{side}_{date}.tif", side // scale, cancel))
        if guided and not guidance:
            guidance = tuple(
                _mirrored(path, folder / f"{path.stem}_{side}.tif", side, cancel)
                for path in (small.guidance, small.dem)
            )
    return Inputs(tuple(lsts), guidance)


def _mirrored(source: Path, target: Path, side: int, cancel: CancelToken) -> Path:
    """Write a raster of ``side`` pixels: ``source``, and its mirror images to the right and below."""
    with rasterio.open(source) as small:
        values = small.read()
        profile = small.profile | {"height": side, "width": side, "zlevel": 1, "bigtiff": "if_safer"}
        descriptions, scales, units = small.descriptions, small.scales, small.units
    height, width = values.shape[1:]
    pair = np.concatenate([values, values[..., ::-1]], axis=2)
    row = np.tile(pair, (1, 1, -(-side // (2 * width))))[..., :side]
    try:
        with rasterio.open(target, "w", **profile, num_threads=THREADS) as large:
            large.descriptions, large.scales, large.units = descriptions, scales, units
            for number, top in enumerate(range(0, side, height)):
                cancel.check()
                rows = min(height, side - top)
                large.write((row[:, ::-1] if number % 2 else row)[:, :rows], window=Window(0, top, side, rows))
    except rasterio.RasterioIOError as error:
        raise OutputError(f"Writing '{target}' failed: check that the disk has room.") from error
    return target
