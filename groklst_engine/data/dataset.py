"""Training scenes in memory, and the samples drawn from them by Wald's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groklst_engine.bands import Role
from groklst_engine.data.augment import BLURRED, SHIFTED, WIDEST, augment, blurred
from groklst_engine.degrade import WHOLE, aggregate, block_mean, masked_block_mean
from groklst_engine.errors import InputError
from groklst_engine.gaps import fill_gaps
from groklst_engine.grid import CoarseWindow, Grid
from groklst_engine.indices import select
from groklst_engine.inputs import GuidanceSource, SceneSource
from groklst_engine.normalize import Normalizer
from groklst_engine.psf import BOX, Psf
from groklst_engine.reader import AlignedReader
from groklst_engine.training_jobs import Augmentation

STATISTICS_SCALE = 4
"""The scale at which a training scene's statistics are taken; they hardly depend on it."""

MIN_VALID = 0.5
"""Share of coarse pixels of a crop that must be valid."""


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
    guidance = source.guidance
    if source.mask is not None:
        guidance = (*guidance, GuidanceSource(path=source.mask, roles=("other",)))
    with AlignedReader(source.lst, guidance, 1) as reader:
        grid, roles = reader.pair.coarse, reader.roles
        lst_hw, guidance_chw = reader.read(CoarseWindow(0, grid.height, 0, grid.width))
    if source.mask is not None:
        clear = guidance_chw[-1] > 0.99
        lst_hw[~clear] = np.nan
        guidance_chw, roles = guidance_chw[:-1], roles[:-1]
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
    """A scene ready to be cropped, z-scored with its own coarse statistics.

    Attributes:
        region: Regions are drawn first, so that many scenes of one place do not outweigh the others.
        lst: ``(1, H, W)`` z-scored, 0 where missing.
        guidance: ``(C, H, W)`` z-scored bands in the network's order, 0 where missing or absent.
        mask: ``(1, H, W)`` bool.
        present: ``(C,)`` bool: bands the scene has.
    """

    region: str
    lst: Tensor
    guidance: Tensor
    mask: Tensor
    present: Tensor


def training_scene(scene: FineScene, wanted: tuple[Role, ...]) -> TrainingScene:
    """Select and z-score a scene's bands.

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
    present = torch.tensor([band is not None for band in found], dtype=torch.bool)
    bands = statistics.apply(bands).where(mask, 0.0)[0]
    return TrainingScene(scene.region, bands[:1], bands[1:] * present[:, None, None], mask[0], present)


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


@dataclass(frozen=True)
class TrainingBatch:
    """What a training step sees, z-scored.

    Attributes:
        lst: ``(B, 1, h, w)`` coarse LST, gaps filled.
        guidance: ``(B, C, H, W)``, gaps filled.
        target: ``(B, 1, H, W)`` fine LST.
        mask: ``(B, 1, H, W)`` bool: pixels that count.
        box: Whether each coarse pixel is the mean of its fine ones; unsharp optics make it more than that.
    """

    lst: Tensor
    guidance: Tensor
    target: Tensor
    mask: Tensor
    box: bool


def _shares(scenes: Sequence[TrainingScene]) -> NDArray[np.float64]:
    """How often each scene is drawn: its share of its region's valid area times the square root of that area."""
    areas = np.array([float(scene.mask.sum()) for scene in scenes])
    regions = np.array([scene.region for scene in scenes])
    weights = areas / np.sqrt([areas[regions == region].sum() for region in regions])
    return np.asarray(weights / weights.sum())


class SceneSampler:
    """Draws random crops, regions weighted by the square root of their valid area.

    Args:
        scenes: Training scenes.
        crop: Side of a crop in fine pixels; it grows where a scale needs more coarse pixels than it holds.
        batch: Samples of ``crop`` side per batch; larger crops come in fewer.
        band_dropping: Probability that a band is hidden.
        augment: What a new scene may look like.
        seed: Random seed.

    Raises:
        InputError: No scene is large enough.
    """

    def __init__(
        self,
        scenes: Sequence[TrainingScene],
        *,
        crop: int,
        batch: int,
        band_dropping: float,
        augment: Sequence[Augmentation] = (),
        seed: int,
    ) -> None:
        self._scenes = scenes
        self._crop = crop
        self._batch = batch
        self._band_dropping = band_dropping
        self._augment = tuple(augment)
        self._random = np.random.default_rng(seed)

    def state_dict(self) -> dict[str, Any]:
        """What a training that goes on needs: where the random numbers are."""
        return dict(self._random.bit_generator.state)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Go on with the samples that would have come next."""
        self._random.bit_generator.state = state_dict

    def batch(self, scale: int) -> TrainingBatch:
        """Draw a batch for one scale.

        Raises:
            InputError: No scene holds a crop with enough valid pixels.
        """
        side = max(self._crop, 12 * scale) // scale * scale
        side = min(side, max(min(scene.mask.shape[-2:]) for scene in self._scenes) // scale * scale)
        scenes = [scene for scene in self._scenes if min(scene.mask.shape[-2:]) >= side]
        count = max(2, round(self._batch * (self._crop / side) ** 2)) if side else 0
        shares = _shares(scenes)
        samples: list[tuple[Tensor, ...]] = []
        sigma = scale * WIDEST * self._random.random() if self._happens("blur", BLURRED) else 0.0
        for _ in range(100 * count):
            scene = scenes[self._random.choice(len(scenes), p=shares)]
            sample = self._draw(scene, side, scale, sigma)
            if sample is not None:
                samples.append(sample)
            if len(samples) == count:
                lst, guidance, target, mask = (torch.stack(part).contiguous() for part in zip(*samples, strict=True))
                return TrainingBatch(lst, guidance, target, mask, box=sigma == 0.0)
        raise InputError(
            f"The training scenes hold too few crops of {side} × {side} valid pixels: give larger or clearer scenes."
        )

    def _happens(self, name: Augmentation, probability: float) -> bool:
        return name in self._augment and self._random.random() < probability

    def _draw(self, scene: TrainingScene, side: int, scale: int, sigma: float) -> tuple[Tensor, ...] | None:
        corner = [int(self._random.integers(0, size - side + 1)) for size in scene.mask.shape[-2:]]
        window, beside = _window(corner, side), _window(corner, side)
        if self._happens("shift", SHIFTED):
            moved = [at + int(self._random.integers(-1, 2)) for at in corner]
            limits = [size - side for size in scene.mask.shape[-2:]]
            beside = _window([min(max(at, 0), limit) for at, limit in zip(moved, limits, strict=True)], side)
        target, guidance = scene.lst[window], scene.guidance[beside]
        present = scene.mask[beside]
        mask = scene.mask[window] & present
        seen = blurred(target, scene.mask[window], sigma) if sigma else target
        coarse, share = masked_block_mean(seen[None], mask[None], scale)
        whole = share > WHOLE
        if whole.float().mean() < MIN_VALID:
            return None
        mask = mask & whole[0].repeat_interleave(scale, -2).repeat_interleave(scale, -1)
        coarse = fill_gaps(coarse.where(whole, torch.nan), torch.zeros(1))[0]
        missing = ~present
        if bool(missing.any()):
            zeros = torch.zeros(len(guidance))
            guidance = fill_gaps(guidance.masked_fill(missing, torch.nan)[None], zeros)[0]
            guidance = guidance * scene.present[:, None, None]
        sample = (coarse, guidance, target, mask)
        return augment(sample, scene.present, self._augment, self._band_dropping, self._random)


def _window(corner: Sequence[int], side: int) -> tuple[Any, ...]:
    return (..., *(slice(at, at + side) for at in corner))
