"""From aligned rasters to batches: padded tiles for the method, and the sample it learns from."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from groklst_engine.bands import Role
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken
from groklst_engine.grid import CoarseWindow
from groklst_engine.inference.gaps import REACH, fill_gaps
from groklst_engine.inference.shared import Shared, digest
from groklst_engine.methods.base import Batch, Scene
from groklst_engine.normalize import Normalizer
from groklst_engine.physics.derive import Derivation
from groklst_engine.reader import AlignedReader

T = TypeVar("T", bound=tuple[Tensor, ...])

SAMPLE_SIDE = 64
"""Coarse pixels per side of a sampled tile."""

LOWEST_EMISSIVITY = 0.5
"""Below this a stored value is a fill or of another scale."""

SAMPLE_VALUES = 64_000_000
"""Values a sample may hold, which bounds its memory (256 MB) however large the scene."""


class SceneReader:
    """Reads batches of a scene.

    Args:
        reader: The aligned rasters.
        derive: Guidance to derive from theirs.
        overpass: When the LST was taken, for what depends on the sun.
        emissivity: The same LST with the emissivity as its only guidance; None: 1 everywhere.
        shared: With the scenes of other dates over the same guidance; None: there are none.

    Attributes:
        reader: The aligned rasters.
        roles: Of the guidance bands of a batch, in order.
        guidance_means: ``(C,)``, with which wide gaps are filled; zeros before ``sample``.

    Raises:
        InputError: What is to be derived can't be.
    """

    def __init__(
        self,
        reader: AlignedReader,
        derive: Sequence[Role] = (),
        overpass: datetime | None = None,
        emissivity: AlignedReader | None = None,
        shared: Shared | None = None,
    ) -> None:
        self.reader = reader
        self._derivation = Derivation.of(reader, derive, overpass)
        self._emissivity = emissivity
        self.roles = reader.roles + self._derivation.roles
        self._lst_mean = torch.tensor([reader.lst.summary.mean])
        self.guidance_means = torch.zeros(len(self.roles))
        self._shared = shared
        fine, lit = reader.pair.fine, overpass if "hillshade" in self._derivation.roles else None
        self._guidance_key = (fine.crs.to_wkt(), tuple(fine.transform), fine.height, fine.width, self.roles, lit)

    def any_lst(self, window: CoarseWindow) -> bool:
        """Whether a window within the raster holds a valid pixel of the coarse LST."""
        lst = self.reader.lst.read(np.arange(window.top, window.bottom), np.arange(window.left, window.right))
        return bool(np.isfinite(lst).any())

    def read(self, window: CoarseWindow) -> Batch:
        """One window as a batch of one, gaps filled by what is in and around it: alike in all windows."""
        wide = CoarseWindow(window.top - REACH, window.bottom + REACH, window.left - REACH, window.right + REACH)
        around = self._read(wide)
        s = self.reader.pair.scale
        margins = {name: REACH if name == "lst" else REACH * s for name in around.tensors}
        inner: dict[str, Any] = {name: _inner(getattr(around, name), width) for name, width in margins.items()}
        return replace(around, **inner)

    def _read(self, window: CoarseWindow) -> Batch:
        """One window as a batch of one, gaps filled by what is in it."""
        lst = torch.from_numpy(self.reader.read_lst(window))[None, None]
        guidance, known_guidance = self._guidance(window)
        s = self.reader.pair.scale
        mask = torch.isfinite(lst).repeat_interleave(s, -2).repeat_interleave(s, -1)
        mask = mask & known_guidance
        emissivity = None
        if self._emissivity is not None:
            known = torch.from_numpy(self._emissivity.read(window)[1][:1])[None]
            emissivity = fill_gaps(known, torch.ones(1)).clamp(LOWEST_EMISSIVITY, 1)
        return Batch(fill_gaps(lst, self._lst_mean), guidance, mask, emissivity)

    def _guidance(self, window: CoarseWindow) -> tuple[Tensor, Tensor]:
        """Guidance ``(1, C, H, W)``, its gaps filled, and where all of it was there ``(1, 1, H, W)``."""

        def read() -> tuple[Tensor, Tensor]:
            guidance = torch.from_numpy(self._derivation.read_guidance(window))[None]
            return guidance, ~guidance.isnan().any(1, keepdim=True)

        guidance, known = self._once((window,), read)
        if bool(known.all()):
            return guidance, known
        means = self.guidance_means
        return self._once((window, *means.tolist()), lambda: (fill_gaps(guidance, means), known))

    def _once(self, key: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        return make() if self._shared is None else self._shared.once((self._guidance_key, *key), make)

    def sample(self, cancel: CancelToken) -> Scene:
        """Tiles to learn from: all of a small scene, an even random draw of a large one.

        Also finds the guidance's means, with which wide gaps are filled from then on.

        Raises:
            InputError: LST and guidance have no valid pixel in common.
        """
        coarse, s = self.reader.pair.coarse, self.reader.pair.scale
        corners = [
            (top, left) for top in range(0, coarse.height, SAMPLE_SIDE) for left in range(0, coarse.width, SAMPLE_SIDE)
        ]
        random.Random(0).shuffle(corners)
        budget = SAMPLE_VALUES
        tiles: list[Batch] = []
        windows: list[CoarseWindow] = []
        for top, left in corners:
            cancel.check()
            window = CoarseWindow(
                top, min(top + SAMPLE_SIDE, coarse.height), left, min(left + SAMPLE_SIDE, coarse.width)
            )
            batch = self._read(window)
            if not bool(batch.mask.any()):
                continue
            tiles.append(batch)
            windows.append(window)
            budget -= (1 + len(self.roles)) * batch.mask.numel()
            if budget <= 0:
                break
        if not tiles:
            raise InputError(
                "LST and guidance have no valid pixel in common: check the guidance's nodata value and extent."
            )
        if self.roles:
            key = ("means", digest(batch.mask for batch in tiles) if self._shared else "", *windows)
            (self.guidance_means,) = self._once(key, lambda: (_means(tiles),))
        return Scene(tuple(tiles), self.roles, s)


def _inner(values: Tensor, margin: int) -> Tensor:
    return values[..., margin:-margin, margin:-margin]


def _means(tiles: Sequence[Batch]) -> Tensor:
    """Of each guidance band, ``(C,)``."""
    return torch.tensor(Normalizer.fit((batch.guidance, batch.mask) for batch in tiles).shift)


def keep_window(values: Tensor, read: CoarseWindow, keep: CoarseWindow, scale: int) -> np.ndarray:
    """The ``keep`` part of a ``(1, 1, H, W)`` result that was computed on the ``read`` window, as ``(H', W')``."""
    top, left = (keep.top - read.top) * scale, (keep.left - read.left) * scale
    height, width = (keep.bottom - keep.top) * scale, (keep.right - keep.left) * scale
    return values[0, 0, top : top + height, left : left + width].cpu().numpy()
