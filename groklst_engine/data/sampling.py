"""The samples a network learns from: random crops of scenes, degraded by Wald's protocol.

A sample is a function of seed, step and its number in the step. So a training may draw ahead, go on after a break, or
share a step's samples among processes, and always sees the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groklst_engine.data.augment import BLURRED, SHIFTED, WIDEST, augment, blurred
from groklst_engine.data.dataset import TrainingScene
from groklst_engine.degrade import WHOLE, aggregate
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken
from groklst_engine.inference.gaps import fill_gaps
from groklst_engine.physics.psf import BOX
from groklst_engine.training_jobs import Augmentation

MIN_VALID = 0.5
"""Share of coarse pixels of a crop that must be valid."""

TRIES = 100
"""Crops looked at for each sample before the scenes count as too cloudy."""

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class TrainingBatch:
    """What a network sees at once, z-scored.

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


class SceneSampler:
    """Draws random crops, regions weighted by the square root of their valid area.

    Args:
        scenes: Training scenes, in memory or read when they are wanted; all are looked at once, because how often one
            is drawn depends on its valid area.
        crop: Side of a crop in fine pixels; it grows where a scale needs more coarse pixels than it holds.
        batch: Samples of ``crop`` side per step; larger crops come in fewer.
        band_dropping: Probability that a band is hidden.
        augment: What a new scene may look like.
        seed: Random seed.
        cancel: Looked at after each scene.
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
        cancel: CancelToken | None = None,
    ) -> None:
        facts = []
        for scene in scenes:
            facts.append((scene.region, min(scene.mask.shape[-2:]), float(scene.mask.sum())))
            if cancel:
                cancel.check()
        self._scenes = scenes
        self._regions = np.array([region for region, _, _ in facts])
        self._sides = np.array([side for _, side, _ in facts])
        self._areas = np.array([area for _, _, area in facts])
        self._crop = crop
        self._batch = batch
        self._band_dropping = band_dropping
        self._augment = tuple(augment)
        self._seed = seed

    def count(self, scale: int) -> int:
        """Samples of a step at a scale."""
        side = self._side(scale)
        return max(2, round(self._batch * (self._crop / side) ** 2)) if side else 0

    def batch(self, scale: int, step: int = 0, samples: range | None = None) -> TrainingBatch:
        """Draw samples of a step.

        Args:
            scale: Coarse pixel divided by fine pixel.
            step: Another step, other samples.
            samples: Which of the step's, at least one; None takes all.

        Raises:
            InputError: No scene holds a crop with enough valid pixels.
        """
        side = self._side(scale)
        usable = np.flatnonzero(self._sides >= side)
        shares = _shares(self._areas[usable], self._regions[usable])
        common = np.random.default_rng([self._seed, step])  # optics are one sensor's, so one step's
        sigma = scale * WIDEST * common.random() if self._happens("blur", BLURRED, common) else 0.0
        drawn = []
        for number in range(self.count(scale)) if samples is None else samples:
            random = np.random.default_rng([self._seed, step, 1 + number])
            drawn.append(self._sample(usable, shares, side, scale, sigma, random))
        if not drawn:
            raise InputError(_too_few(side))
        parts, boxes = zip(*drawn, strict=True)
        lst, guidance, target, mask = (torch.stack(part).contiguous() for part in zip(*parts, strict=True))
        return TrainingBatch(lst, guidance, target, mask, box=sigma == 0.0 and all(boxes))

    def _side(self, scale: int) -> int:
        side = max(self._crop, 12 * scale) // scale * scale
        return min(side, int(self._sides.max()) // scale * scale)

    def _sample(
        self,
        usable: NDArray[np.int64],
        shares: NDArray[np.float64],
        side: int,
        scale: int,
        sigma: float,
        random: np.random.Generator,
    ) -> tuple[tuple[Tensor, ...], bool]:
        for _ in range(TRIES):
            scene = self._scenes[int(random.choice(usable, p=shares))]
            sample = self._draw(scene, side, scale, sigma, random)
            if sample is not None:
                return sample, scene.psf == BOX
        raise InputError(_too_few(side))

    def _happens(self, name: Augmentation, probability: float, random: np.random.Generator) -> bool:
        return name in self._augment and random.random() < probability

    def _draw(
        self, scene: TrainingScene, side: int, scale: int, sigma: float, random: np.random.Generator
    ) -> tuple[Tensor, ...] | None:
        corner = [int(random.integers(0, size - side + 1)) for size in scene.mask.shape[-2:]]
        window, beside = _window(corner, side), _window(corner, side)
        if self._happens("shift", SHIFTED, random):
            moved = [at + int(random.integers(-1, 2)) for at in corner]
            limits = [size - side for size in scene.mask.shape[-2:]]
            beside = _window([min(max(at, 0), limit) for at, limit in zip(moved, limits, strict=True)], side)
        target, guidance = scene.lst[window], scene.guidance[beside]
        present = scene.mask[beside]
        mask = scene.mask[window] & present
        seen = blurred(target, scene.mask[window], sigma) if sigma else target
        coarse, share = aggregate(seen[None], mask[None], scale, scene.psf)
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
        return augment(sample, scene.present, self._augment, self._band_dropping, random)


def _shares(areas: NDArray[np.float64], regions: NDArray[np.str_]) -> NDArray[np.float64]:
    """How often each scene is drawn: its share of its region's valid area times the square root of that area."""
    weights = areas / np.sqrt([areas[regions == region].sum() for region in regions])
    return np.asarray(weights / weights.sum())


def _window(corner: Sequence[int], side: int) -> tuple[Any, ...]:
    return (..., *(slice(at, at + side) for at in corner))


def _too_few(side: int) -> str:
    return f"The training scenes hold too few crops of {side} × {side} valid pixels: give larger or clearer scenes."


def ahead(draw: Callable[[int], Drawn], steps: range) -> Generator[tuple[int, Drawn], None, None]:
    """Each step and what is drawn for it, the next one in a thread while the caller computes with the present one."""
    with ThreadPoolExecutor(1, "samples") as thread:
        coming: Future[Drawn] | None = None
        for step in steps:
            present = coming or thread.submit(draw, step)
            coming = thread.submit(draw, step + 1) if step + 1 in steps else None
            try:
                yield step, present.result()
            except BaseException:
                if coming is not None:
                    coming.cancel()
                raise
