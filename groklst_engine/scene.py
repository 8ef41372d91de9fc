"""From aligned rasters to batches: padded tiles for the method, and the sample it learns from."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken
from groklst_engine.gaps import fill_gaps
from groklst_engine.grid import CoarseWindow
from groklst_engine.methods.base import Batch, Scene
from groklst_engine.normalize import Normalizer
from groklst_engine.reader import AlignedReader

SAMPLE_SIDE = 64
"""Coarse pixels per side of a sampled tile."""

SAMPLE_VALUES = 64_000_000
"""Values a sample may hold, which bounds its memory (256 MB) however large the scene."""


class SceneReader:
    """Reads batches of a scene.

    Args:
        reader: The aligned rasters.
    """

    def __init__(self, reader: AlignedReader) -> None:
        self._reader = reader
        self._lst_mean = torch.tensor([reader.lst.summary.mean])
        self._guidance_means = torch.zeros(len(reader.roles))

    def any_lst(self, window: CoarseWindow) -> bool:
        """Whether a window within the raster holds a valid pixel of the coarse LST."""
        lst = self._reader.lst.read(np.arange(window.top, window.bottom), np.arange(window.left, window.right))
        return bool(np.isfinite(lst).any())

    def read(self, window: CoarseWindow) -> Batch:
        """One window as a batch of one, gaps filled."""
        lst_hw, guidance_chw = self._reader.read(window)
        lst = torch.from_numpy(lst_hw)[None, None]
        guidance = torch.from_numpy(guidance_chw)[None]
        s = self._reader.pair.scale
        mask = torch.isfinite(lst).repeat_interleave(s, -2).repeat_interleave(s, -1)
        mask = mask & torch.isfinite(guidance).all(1, keepdim=True)
        return Batch(fill_gaps(lst, self._lst_mean), fill_gaps(guidance, self._guidance_means), mask)

    def sample(self, cancel: CancelToken) -> Scene:
        """Tiles to learn from: all of a small scene, an even random draw of a large one.

        Also finds the guidance's means, with which wide gaps are filled from then on.

        Raises:
            InputError: LST and guidance have no valid pixel in common.
        """
        coarse, s = self._reader.pair.coarse, self._reader.pair.scale
        corners = [
            (top, left) for top in range(0, coarse.height, SAMPLE_SIDE) for left in range(0, coarse.width, SAMPLE_SIDE)
        ]
        random.Random(0).shuffle(corners)
        budget = SAMPLE_VALUES
        tiles: list[Batch] = []
        for top, left in corners:
            cancel.check()
            window = CoarseWindow(
                top, min(top + SAMPLE_SIDE, coarse.height), left, min(left + SAMPLE_SIDE, coarse.width)
            )
            batch = self.read(window)
            if not bool(batch.mask.any()):
                continue
            tiles.append(batch)
            budget -= (1 + len(self._reader.roles)) * batch.mask.numel()
            if budget <= 0:
                break
        if not tiles:
            raise InputError(
                "LST and guidance have no valid pixel in common: check the guidance's nodata value and extent."
            )
        if self._reader.roles:
            statistics = Normalizer.fit((batch.guidance, batch.mask) for batch in tiles)
            self._guidance_means = torch.tensor(statistics.shift)
        return Scene(tuple(tiles), self._reader.roles, s)


def keep_window(values: Tensor, read: CoarseWindow, keep: CoarseWindow, scale: int) -> np.ndarray:
    """The ``keep`` part of a ``(1, 1, H, W)`` result that was computed on the ``read`` window, as ``(H', W')``."""
    top, left = (keep.top - read.top) * scale, (keep.left - read.left) * scale
    height, width = (keep.bottom - keep.top) * scale, (keep.right - keep.left) * scale
    return values[0, 0, top : top + height, left : left + width].cpu().numpy()
