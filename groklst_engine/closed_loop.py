"""The closed loop: how well methods do on the user's own rasters, one scale up, where the truth is known.

The coarse LST is degraded once more, the guidance aggregated to the LST's own pixels, and every candidate brings the
one back to the other: Wald's protocol on the input itself. What wins there is a good guess for what wins one scale
down, and whether guidance helps at all shows reliably.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.transform import Affine

from groklst_engine.data.dataset import FineScene
from groklst_engine.degrade import WHOLE, masked_block_mean
from groklst_engine.errors import InputError, ModelError
from groklst_engine.events import CancelToken, OnEvent, log, progress
from groklst_engine.grid import CoarseWindow, Grid
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.physics.psf import Psf
from groklst_engine.raster import Floats
from groklst_engine.reader import AlignedReader
from groklst_engine.wald import DegradedScene, degrade

SIDE = 384
"""Coarse pixels per side of a part of the scene that is tried; larger scenes are sampled."""

PARTS = 3
"""Parts tried of a scene larger than one."""

STRIP = 32
"""Coarse rows read at a time, which bounds memory."""

MIN_PIXELS = 30
"""Degraded pixels below which little can be told."""

FEWEST = 9
"""Degraded pixels below which nothing can."""

BLOCK = 4
"""Degraded pixels per side of the blocks in which methods are compared."""

CLEAR = 0.2
"""Share of a part's pixels that must be valid for it to be tried, where there are others."""

PASSED_ON = ("device", "seed", "consistency", "psf", "mtf", "derive", "overpass")
"""Fields of the job that hold for the candidates, too. Its mask and the LST's shift are in what they get; the loop
makes its coarse pixels itself, by averaging temperature, so that is also what candidates keep to."""


@dataclass(frozen=True)
class Trial:
    """One method in the closed loop.

    Attributes:
        method: Its name.
        rmse: Against the LST as it was, kelvin.
        ratio: That divided by bicubic's.
        blocks: Share of the scene's blocks in which it was better than bicubic, 0 to 1.
        seconds: Time it took.
        gain: Factor for the detail it adds to interpolation with which its RMSE would have been least.
        added: Root mean square of that detail, kelvin; 0 for interpolations.
        detail: Share of it to be kept in a result, 0 to 1.
    """

    method: str
    rmse: float
    ratio: float
    blocks: float
    seconds: float
    gain: float = 1.0
    added: float = 0.0
    detail: float = 1.0

    @property
    def damped(self) -> float:
        """Its RMSE had just ``detail`` been kept, kelvin."""
        return self.rmse_with(self.detail)

    @property
    def unexplained(self) -> float:
        """Share of what interpolation misses that is still missing with the best factor, 0 to 1."""
        missed = self.rmse_with(0.0)
        return self.rmse_with(max(0.0, self.gain)) / missed if missed else 0.0

    def rmse_with(self, detail: float) -> float:
        """Its RMSE had a share of its detail been kept, kelvin."""
        off, full = detail - self.gain, 1 - self.gain
        return float(np.sqrt(np.maximum(0.0, self.rmse**2 + self.added**2 * (off**2 - full**2))))  # NaN stays NaN


@dataclass(frozen=True)
class Restored:
    """What one method made of one degraded part of the scene.

    Attributes:
        result: ``(H, W)`` kelvin.
        truth: ``(H, W)`` kelvin.
        counted: ``(H, W)`` bool.
    """

    result: Floats
    truth: Floats
    counted: NDArray[np.bool_]


class ClosedLoop:
    """Tries methods on degraded parts of a scene.

    Use as a context manager: it holds the degraded rasters in a temporary folder.

    Args:
        job: Inputs, scale, and what is ``PASSED_ON``; its other fields do not matter.
        cancel: Looked at while reading and after every tile.
        at_least: Degraded pixels that are needed.

    Attributes:
        scale: The scale tried: the job's, or 2 where the scene is too small for that.
        pixels: Valid degraded pixels.
        whole: Pixels of the input that have LST and guidance.
        roles: Of the guidance bands.

    Raises:
        InputError: An input cannot be used, or the scene is too small.
    """

    def __init__(self, job: DownscaleJob, cancel: CancelToken, at_least: int = MIN_PIXELS) -> None:
        self._options = job.model_dump(include=set(PASSED_ON))
        self._cancel = cancel
        self._folder = tempfile.TemporaryDirectory()
        try:
            scenes = list(_coarse_scenes(job, cancel))
            side = min(min(scene.lst.shape[-2:]) for scene in scenes)
            for scale in dict.fromkeys((job.scale if job.scale <= side else 2, 2)):  # 2 leaves the most pixels
                self._parts = [self._degraded(_cut(scene, scale), scale, number) for number, scene in enumerate(scenes)]
                pixels = sum(int(part.counted.sum()) for part in self._parts) // scale**2
                if pixels >= MIN_PIXELS:
                    break
            if pixels < at_least:
                raise InputError(
                    f"The LST has {pixels} valid pixels when degraded by {scale}, and {at_least} are needed to try "
                    "methods on it: use a larger extent, or choose the method yourself."
                )
        except BaseException:
            self._folder.cleanup()
            raise
        self.scale = scale
        self.pixels = pixels
        self.whole = sum(int(scene.mask.sum()) for scene in scenes)
        self.roles = scenes[0].roles
        self._bicubic: list[Restored] = []
        self._smooth: list[Restored] = []

    def _degraded(self, scene: FineScene, scale: int, number: int) -> DegradedScene:
        folder = Path(self._folder.name) / f"{scale}-{number}"
        folder.mkdir()
        return degrade(scene, scale, folder)

    def restore(self, method: str, **options: Any) -> list[Restored]:
        """What a method makes of the degraded parts.

        Raises:
            GroklstError: The method cannot be used on them.
        """
        return [
            Restored(
                part.downscaled(method, self._cancel, **{**self._options, **options}).values, part.truth, part.counted
            )
            for part in self._parts
        ]

    def trial(self, method: str) -> Trial:
        """Try a method.

        Raises:
            GroklstError: The method cannot be used on the scene.
        """
        self._bicubic = self._bicubic or self.restore("bicubic")
        started = time.monotonic()
        restored = self._bicubic if method == "bicubic" else self.restore(method)
        seconds = time.monotonic() - started
        errors, baseline = _squares(restored), _squares(self._bicubic)
        side = BLOCK * self.scale
        won = np.concatenate(
            [
                (_block_sums(a, side) < _block_sums(b, side))[_block_sums(b, side) > 0]
                for a, b in zip(errors, baseline, strict=True)
            ]
        )
        pixels = sum(int(part.counted.sum()) for part in restored)
        rmse, plain = (float(np.sqrt(sum(part.sum() for part in parts) / pixels)) for parts in (errors, baseline))
        gain, added = self._best_gain(method, restored)
        return Trial(
            method=method,
            rmse=rmse,
            ratio=rmse / plain if plain else 1.0,
            blocks=float(won.mean()) if won.size else 0.0,
            seconds=seconds,
            gain=gain,
            added=added,
        )

    def _best_gain(self, method: str, restored: Sequence[Restored]) -> tuple[float, float]:
        """Best factor for the detail of a method, by least squares, and the detail's root mean square in kelvin."""
        if get_method(method).kind == "interpolation":
            return 1.0, 0.0
        self._smooth = self._smooth or self.restore(method, detail=0.0)  # one interpolation for all
        pairs = list(zip(restored, self._smooth, strict=True))
        detail = np.concatenate([(part.result - smooth.result)[part.counted] for part, smooth in pairs])
        missing = np.concatenate([(part.truth - smooth.result)[part.counted] for part, smooth in pairs])
        power = float(np.mean(np.square(detail, dtype=np.float64)))
        return float(np.mean(detail * missing, dtype=np.float64)) / power if power else 1.0, math.sqrt(power)

    def __enter__(self) -> ClosedLoop:
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder.cleanup()


def trials(
    loop: ClosedLoop, methods: Sequence[str], budget: float, on_event: OnEvent, cancel: CancelToken
) -> list[Trial]:
    """Try methods one after the other while there is time.

    Args:
        loop: Where to try them.
        methods: Names; those that cannot be used on the scene are left out with a log line.
        budget: Seconds; the first three are always tried.
        on_event: Told about each.
        cancel: Looked at between methods, and within them.
    """
    started, done = time.monotonic(), []
    for number, method in enumerate(methods):
        cancel.check()
        if number >= 3 and time.monotonic() - started > budget:
            log(on_event, f"No time left to try {', '.join(methods[number:])}.")
            break
        progress(on_event, number / len(methods), f"Trying {method} on your rasters, one scale up")
        try:
            trial = loop.trial(method)
        except (InputError, ModelError) as error:
            log(on_event, f"{method} was not tried: {error}")
            continue
        log(on_event, f"Closed loop x{loop.scale}, {method}: RMSE {trial.rmse:.3f} K, {trial.ratio:.2f} × bicubic")
        done.append(trial)
    return done


def _squares(parts: Sequence[Restored]) -> list[Floats]:
    """Squared errors, 0 where a pixel does not count; NaN, so that it never wins, where a method leaves a hole."""
    return [np.where(part.counted, np.square(part.result - part.truth), 0.0) for part in parts]


def _block_sums(values: Floats, side: int) -> NDArray[np.float64]:
    height, width = (size // side * side for size in values.shape)
    blocks = values[:height, :width].astype(np.float64).reshape(height // side, side, width // side, side)
    return np.asarray(blocks.sum((1, 3)))


def _coarse_scenes(job: DownscaleJob, cancel: CancelToken) -> Iterator[FineScene]:
    """The scene at the LST's own pixels, or parts of it, with the guidance aggregated."""
    with AlignedReader(job.lst, job.guidance, job.scale, job.mask) as reader:
        coarse = reader.pair.coarse
        corners = [(top, left) for top in range(0, coarse.height, SIDE) for left in range(0, coarse.width, SIDE)]
        random.Random(0).shuffle(corners)
        found = 0
        for top, left in corners:
            window = CoarseWindow(top, min(top + SIDE, coarse.height), left, min(left + SIDE, coarse.width))
            scene = _aggregated(reader, window, job, cancel)
            if scene.mask.float().mean() > CLEAR or len(corners) == 1:
                found += 1
                yield scene
            if found == PARTS:
                return
    if not found:
        raise InputError("The LST has too few valid pixels to try methods on it: choose the method yourself.")


def _aggregated(reader: AlignedReader, window: CoarseWindow, job: DownscaleJob, cancel: CancelToken) -> FineScene:
    """A window of the LST as the fine scene that it is for the loop, with the guidance's means over its pixels."""
    lst, guidance = [], []
    for top in range(window.top, window.bottom, STRIP):
        cancel.check()
        strip = CoarseWindow(top, min(top + STRIP, window.bottom), window.left, window.right)
        lst_hw, guidance_chw = reader.read(strip)
        lst.append(torch.from_numpy(lst_hw))
        fine = torch.from_numpy(guidance_chw)[None]
        mask = torch.isfinite(fine).all(1, keepdim=True)
        mean, share = masked_block_mean(fine.nan_to_num(), mask, reader.pair.scale)
        guidance.append(mean.where(share > WHOLE, torch.nan))
    grid = reader.pair.coarse
    placed = grid.transform @ Affine.translation(window.left, window.top)
    part = Grid(grid.crs, placed, window.bottom - window.top, window.right - window.left)
    lst_11hw, psf = torch.cat(lst)[None, None], Psf(job.psf, job.mtf)
    return FineScene("scene", "scene", lst_11hw, torch.cat(guidance, dim=-2), reader.roles, part, psf)


def _cut(scene: FineScene, multiple: int) -> FineScene:
    """The scene without the rows and columns beyond the last whole multiple.

    Raises:
        InputError: Nothing remains.
    """
    height, width = (size // multiple * multiple for size in scene.lst.shape[-2:])
    if not height or not width:
        raise InputError(f"The LST is smaller than {multiple} pixels: choose the method yourself.")
    grid = Grid(scene.grid.crs, scene.grid.transform, height, width)
    window = (..., slice(height), slice(width))
    return replace(scene, lst=scene.lst[window], guidance=scene.guidance[window], grid=grid)
