"""How another sensor's LST lies on the guidance: its sub-pixel shift and the width of its point spread function.

An LST of one satellite and guidance of another neither share a grid nor agree to a fraction of a coarse pixel on
where things are, and the coarse pixel is wider than it is spaced. Both show in the data: the guidance, aggregated by a
Gaussian of the right width at the right place, explains most of the LST. Three numbers are found from thousands of
pixels, by least squares on what remains of both once their large patterns are taken off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from groklst_engine.degrade import WHOLE, masked_block_mean
from groklst_engine.events import CancelToken
from groklst_engine.methods.base import Batch, Scene
from groklst_engine.physics.psf import BOX, Psf

MIN_PIXELS = 400
"""Coarse pixels below which nothing is estimated."""

MAX_PIXELS = 20_000
"""Coarse pixels that suffice."""

MIN_EXPLAINED = 0.1
"""Share of the LST's local variance that guidance must explain for its place to be known."""

MAX_SHIFT = 0.5
"""Coarse pixels, down and right; what seems to lie farther away is another place, another time or cloud."""

SHRINKAGE = 0.01
"""Explained variance that a shift of one coarse pixel must be worth: without evidence there is none."""

LOCAL = 9
"""Coarse pixels per side of the mean that is taken off."""

REACH = 3
"""Coarse pixels to either side that the Gaussian and its shift look at."""

WIDTHS = 0.2, 1.2
"""Standard deviations looked at, in coarse pixels."""

BOX_WIDTH = 0.4
"""Standard deviation below which a pixel is a box, whose own is √(1 / 12) = 0.29."""

BOX_SHIFT = 0.1
"""Shift in coarse pixels below which the LST lies on the guidance."""


@dataclass(frozen=True)
class Registration:
    """Where the coarse sensor looked.

    Attributes:
        rows: Coarse pixels by which what it saw lies below where its grid says.
        columns: The same to the right.
        sigma: Standard deviation of its point spread function, in coarse pixels.
        explained: Share of the LST's local variance that the guidance explains so, 0 to 1.
        unregistered: The same with a box and no shift.
        pixels: Coarse pixels used.
    """

    rows: float
    columns: float
    sigma: float
    explained: float
    unregistered: float
    pixels: int

    @property
    def nested(self) -> bool:
        """Whether the LST is the block mean on the guidance's own place, so that nothing needs to be done."""
        return self.sigma < BOX_WIDTH and math.hypot(self.rows, self.columns) < BOX_SHIFT

    @property
    def psf(self) -> Psf:
        """The function to correct with."""
        return BOX if self.nested else Psf.of_width(self.sigma)

    @property
    def sentence(self) -> str:
        """For people."""
        return (
            f"Registration to the guidance: shift of {self.rows:+.2f} rows and {self.columns:+.2f} columns of the LST,"
            f" point spread function of {self.sigma:.2f} pixels (1 σ, MTF {Psf.of_width(self.sigma).mtf:.2f}); the"
            f" guidance explains {self.explained:.0%} of the LST's local variance, {self.unregistered:.0%} before."
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self) | {"nested": self.nested, "sentence": self.sentence}


def register(scene: Scene, cancel: CancelToken) -> Registration | str:
    """Find shift and point spread function of the coarse LST relative to the guidance.

    Args:
        scene: LST and guidance.
        cancel: Looked at now and then.

    Returns:
        The registration, or one sentence why there is none.
    """
    if not scene.roles:
        return "There is no guidance to register the LST to."
    samples = list(_samples(scene))
    pixels = sum(int(sample.kept.sum()) for sample in samples)
    if pixels < MIN_PIXELS:
        return f"{pixels} coarse pixels are too few to register the LST to the guidance; {MIN_PIXELS} are needed."

    def loss(place: NDArray[np.float64]) -> float:
        cancel.check()
        rows, columns, sigma = place
        outside = max(abs(rows), abs(columns)) - MAX_SHIFT, WIDTHS[0] - sigma, sigma - WIDTHS[1]
        inside = np.clip(rows, -MAX_SHIFT, MAX_SHIFT), np.clip(columns, -MAX_SHIFT, MAX_SHIFT), np.clip(sigma, *WIDTHS)
        explained = _explained(samples, *map(float, inside))
        return SHRINKAGE * float(rows**2 + columns**2) - explained + sum(max(0.0, float(by)) for by in outside)

    steps = (-0.4, -0.2, 0.0, 0.2, 0.4)
    start = min(
        (np.array((rows, columns, sigma)) for sigma in (0.3, 0.6) for rows in steps for columns in steps), key=loss
    )
    simplex = start + np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]])
    options = {"initial_simplex": simplex, "xatol": 0.005, "fatol": 1e-6, "maxiter": 150}
    rows, columns, sigma = map(float, minimize(loss, start, method="Nelder-Mead", options=options).x)
    explained = _explained(samples, rows, columns, sigma)
    if explained < MIN_EXPLAINED:
        return f"The guidance explains {explained:.0%} of the LST's local variance, too little to register it."
    if max(abs(rows), abs(columns)) > 0.95 * MAX_SHIFT:
        return f"LST and guidance seem to lie more than {MAX_SHIFT:g} coarse pixels apart, which is not believed."
    return Registration(rows, columns, sigma, explained, _explained(samples, 0, 0, math.sqrt(1 / 12)), pixels)


class GuidanceFeatures:
    """What of the guidance may show in the LST: each band and its square, z-scored.

    Args:
        tiles: Of the scene; the fullest gives mean and spread.
    """

    def __init__(self, tiles: Sequence[Batch]) -> None:
        fullest = max(tiles, key=lambda batch: int(batch.mask.sum()))
        values = fullest.guidance.double().flatten(2)[0][:, fullest.mask.flatten()]
        self._mean = values.mean(-1)[:, None, None]
        self._spread = values.std(-1).clamp(min=1e-9)[:, None, None]

    def __call__(self, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, 2 C, H, W)``, in double precision; beyond 4 standard deviations they count as 4."""
        bands = ((guidance.double() - self._mean) / self._spread).clamp(-4, 4)
        return torch.cat([bands, bands.square()], dim=1)


def local_part(coarse: Tensor) -> Tensor:
    """A field less its mean over the surroundings."""
    return coarse - F.avg_pool2d(coarse, LOCAL, 1, LOCAL // 2, count_include_pad=False)


@dataclass(frozen=True)
class _Sample:
    """A tile: local LST ``(h, w)``, features ``(F, 1, s·(h + 2 reach), …)`` of the guidance, and which pixels count."""

    lst: Tensor
    features: Tensor
    kept: Tensor
    scale: int


def _samples(scene: Scene) -> Iterator[_Sample]:
    budget = MAX_PIXELS
    features = GuidanceFeatures(scene.tiles)
    for batch in scene.tiles:
        _, share = masked_block_mean(batch.lst.new_zeros(batch.mask.shape), batch.mask, scene.scale)
        whole = (share > WHOLE).double()
        if min(whole.shape[-2:]) <= 2 * REACH:
            continue
        kept = F.avg_pool2d(whole, 2 * REACH + 1, 1) > WHOLE  # where all that the Gaussian sees is there
        if not bool(kept.any()):
            continue
        lst = batch.lst.double()[..., REACH:-REACH, REACH:-REACH]
        yield _Sample(local_part(lst)[0, 0], features(batch.guidance).transpose(0, 1), kept[0, 0], scene.scale)
        budget -= int(kept.sum())
        if budget <= 0:
            return


def _explained(samples: Sequence[_Sample], rows: float, columns: float, sigma: float) -> float:
    """Share of the LST's local variance that the guidance explains, seen with this shift and width."""
    features, lst = [], []
    for sample in samples:
        seen = F.conv2d(sample.features, _kernel(sample.scale, rows, sigma)[..., None], stride=(sample.scale, 1))
        seen = F.conv2d(seen, _kernel(sample.scale, columns, sigma)[..., None, :], stride=(1, sample.scale))
        features.append(local_part(seen)[:, 0][:, sample.kept].T)
        lst.append(sample.lst[sample.kept])
    x, y = torch.cat(features), torch.cat(lst)
    x, y = x - x.mean(0), y - y.mean()
    ridge = 1e-6 * len(y) * torch.eye(x.shape[1], dtype=x.dtype)
    return float((x.T @ y) @ torch.linalg.solve(x.T @ x + ridge, x.T @ y) / y.square().sum().clamp(min=1e-12))


def _kernel(scale: int, shift: float, sigma: float) -> Tensor:
    count = (2 * REACH + 1) * scale
    place = (torch.arange(count, dtype=torch.float64) + 0.5) / scale - 0.5 * count / scale
    weights = torch.exp(-0.5 * ((place - shift) / sigma) ** 2)
    return (weights / weights.sum())[None, None]
