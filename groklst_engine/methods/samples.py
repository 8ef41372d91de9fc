"""What sharpeners learn from: the coarse pixels of a scene, each with its mean guidance and its LST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from groklst_engine.degrade import WHOLE, masked_block_mean
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken
from groklst_engine.methods.base import Batch, BuildOptions, Scene
from groklst_engine.resample import upsample

Features = Callable[[Batch], Tensor]
"""The ``(B, F, H, W)`` fine quantities that explain the LST."""


@dataclass(frozen=True)
class Samples:
    """Coarse pixels whose fine pixels are all valid.

    Attributes:
        x: ``(n, F)`` float32, mean of each feature.
        y: ``(n,)`` float32, LST in kelvin.
        spread: ``(n,)`` float32, standard deviation of the features within the pixel divided by that over the
            pixels of its tile, averaged over the features: 0 where the pixel is homogeneous.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    spread: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.y)

    def drawn(self, limit: int, seed: int) -> Samples:
        """At most ``limit`` of them, drawn evenly."""
        if len(self) <= limit:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), limit, replace=False))
        return self.where(chosen)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Samples:
        """Some of them."""
        return Samples(self.x[chosen], self.y[chosen], self.spread[chosen])


def require_guidance(options: BuildOptions, label: str) -> None:
    """Refuse to build a guided method without guidance.

    Raises:
        InputError: There is none.
    """
    if not options.roles:
        raise InputError(f"{label} needs guidance: add a finer layer, or choose bicubic-ibp.")


def rows(planes: Tensor) -> NDArray[np.float32]:
    """``(B, F, H, W)`` as one row of F values per pixel, ``(B·H·W, F)``."""
    return np.ascontiguousarray(planes.permute(0, 2, 3, 1).reshape(-1, planes.shape[1]).numpy(), np.float32)


def planes(values: NDArray[np.float32], like: Tensor) -> Tensor:
    """One value per pixel back as ``(B, 1, H, W)``."""
    return torch.from_numpy(values.reshape(len(like), 1, *like.shape[-2:]))


def batch_samples(features: Tensor, batch: Batch, scale: int) -> Samples:
    """The samples of one batch."""
    mean, share = masked_block_mean(features, batch.mask, scale)
    off = features - upsample(mean, scale, "nearest")
    within, _ = masked_block_mean(off * off, batch.mask, scale)
    whole = (share > WHOLE).flatten().numpy()
    x, y = rows(mean)[whole], rows(batch.lst)[whole, 0]
    if len(x) == 0 or x.shape[1] == 0:
        return Samples(x, y, np.zeros(len(x), np.float32))
    spread = np.sqrt(rows(within)[whole] / np.maximum(x.var(0), 1e-12)).mean(1)
    return Samples(x, y, spread.astype(np.float32))


def coarse_samples(scene: Scene, features: Features, least: int, label: str, cancel: CancelToken) -> Samples:
    """The samples of a scene.

    Args:
        scene: The tiles to learn from.
        features: What explains the LST.
        least: How many samples the method needs.
        label: The method's name, for the message.
        cancel: Looked at after every tile.

    Raises:
        InputError: There are fewer than ``least``.
    """
    found: list[Samples] = []
    for batch in scene.tiles:
        cancel.check()
        found.append(batch_samples(features(batch), batch, scene.scale))
    samples = Samples(
        np.concatenate([part.x for part in found]),
        np.concatenate([part.y for part in found]),
        np.concatenate([part.spread for part in found]),
    )
    if len(samples) < least:
        raise InputError(
            f"{label} found only {len(samples)} coarse pixels that LST and guidance fully cover and needs {least}: "
            "use a larger extent or a method without guidance."
        )
    return samples
