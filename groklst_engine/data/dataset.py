"""Fine scenes, and what becomes of them before a network learns from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groklst_engine.bands import Role
from groklst_engine.degrade import WHOLE, aggregate, block_mean, masked_block_mean
from groklst_engine.errors import InputError
from groklst_engine.grid import CoarseWindow, Grid
from groklst_engine.inputs import SceneSource
from groklst_engine.normalize import BY_SCENE, Normalization, Normalizer
from groklst_engine.physics.indices import select
from groklst_engine.physics.psf import BOX, Psf
from groklst_engine.reader import AlignedReader

STATISTICS_SCALE = 4
"""The scale at which a training scene's statistics are taken; they hardly depend on it."""


@dataclass(frozen=True)
class FineScene:
    """A scene at the resolution at which it is true: the sensor's own pixel.

    Attributes:
        name: For tables and logs.
        region: Scenes of one region are held out together.
        lst: ``(1, 1, H, W)`` kelvin, NaN where missing.
        guidance: ``(1, C, H, W)`` physical units, NaN where missing.
        roles: Of the C bands.
        grid: Where it lies.
        psf: Of the coarse sensor whose LST is made from it.
    """

    name: str
    region: str
    lst: Tensor
    guidance: Tensor
    roles: tuple[Role, ...]
    grid: Grid
    psf: Psf = BOX

    @property
    def mask(self) -> Tensor:
        """``(1, 1, H, W)`` bool: LST and all bands are there."""
        return torch.isfinite(self.lst) & torch.isfinite(self.guidance).all(1, keepdim=True)


def coarse_lst(scene: FineScene, scale: int, psf: Psf) -> Tensor:
    """What a coarse sensor sees of a scene: ``(1, 1, h, w)`` kelvin, NaN where any pixel it looks at is missing."""
    mask = scene.mask
    mean, share = aggregate(scene.lst.where(mask, 0.0), mask, scale, psf)
    return mean.where(share > WHOLE, torch.nan)


def load_scene(source: SceneSource, multiple: int = 8) -> FineScene:
    """Read a scene, mask it, and block-average it to the sensor's own pixel.

    A pixel of the result is valid when all pixels of its block are. The size is cut to a multiple of ``multiple``.

    Raises:
        InputError: A raster cannot be used, or nothing remains.
    """
    with AlignedReader(source.lst, source.guidance, 1, source.mask) as reader:
        grid, roles = reader.pair.coarse, reader.roles
        lst_hw, guidance_chw = reader.read(CoarseWindow(0, grid.height, 0, grid.width))
    grid = grid.coarsened(source.native)
    height, width = grid.height // multiple * multiple, grid.width // multiple * multiple
    if height == 0 or width == 0:
        raise InputError(f"The scene '{source.name}' is smaller than {multiple} pixels of its sensor: leave it out.")
    values = torch.from_numpy(np.concatenate([lst_hw[None], guidance_chw]))[None]
    values = values[..., : height * source.native, : width * source.native]
    # a block mean over a NaN is NaN: exactly the rule "a pixel with any missing part is missing"
    values = block_mean(values, source.native)
    return FineScene(
        source.name,
        source.region or source.name,
        values[:, :1],
        values[:, 1:],
        roles,
        Grid(grid.crs, grid.transform, height, width),
    )


@dataclass(frozen=True)
class TrainingScene:
    """A scene ready to be cropped, z-scored.

    Attributes:
        region: Regions are drawn first, so that many scenes of one place do not outweigh the others.
        lst: ``(1, H, W)`` z-scored, 0 where missing.
        guidance: ``(C, H, W)`` z-scored bands in the network's order, 0 where missing or absent.
        mask: ``(1, H, W)`` bool.
        present: ``(C,)`` bool: bands the scene has.
        psf: Of the coarse sensor whose LST is made from it.
    """

    region: str
    lst: Tensor
    guidance: Tensor
    mask: Tensor
    present: Tensor
    psf: Psf = BOX


def training_scene(
    scene: FineScene, wanted: tuple[Role, ...], normalization: Normalization = BY_SCENE
) -> TrainingScene:
    """Select and z-score a scene's bands, by its own coarse statistics unless the normalisation brings others.

    Raises:
        InputError: Hardly anything of the scene is valid.
    """
    found = select(scene.guidance, scene.roles, wanted)
    blank = torch.zeros_like(scene.lst)
    bands = torch.cat([scene.lst, *[blank if band is None else band for band in found]], dim=1)
    mask = torch.isfinite(bands).all(1, keepdim=True)
    bands = bands.where(mask, 0.0)
    scale = min(STATISTICS_SCALE, *scene.lst.shape[-2:])
    coarse, share = masked_block_mean(bands, mask, scale)
    try:
        statistics = Normalizer.fit([(coarse, share > 0.5)])
    except ValueError as error:
        raise InputError(f"The scene '{scene.name}' has no valid pixel to train on: leave it out.") from error
    lst, guidance = (normalization.lst.z_scores(("lst",)), normalization.guidance.z_scores(wanted))
    lst, guidance = lst or statistics.part(0, 1), guidance or statistics.part(1, 1 + len(wanted))
    present = torch.tensor([band is not None for band in found], dtype=torch.bool)
    lst_chw = lst.apply(bands[:, :1]).where(mask, 0.0)[0]
    guidance_chw = guidance.apply(bands[:, 1:]).where(mask, 0.0)[0] * present[:, None, None]
    return TrainingScene(scene.region, lst_chw, guidance_chw, mask[0], present, scene.psf)


def half_resolution(scene: FineScene) -> FineScene:
    """The scene block-averaged by 2: more scale for little data."""
    return FineScene(
        scene.name,
        scene.region,
        block_mean(scene.lst, 2),
        block_mean(scene.guidance, 2),
        scene.roles,
        scene.grid.coarsened(2),
        scene.psf,
    )
