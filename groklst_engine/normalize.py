"""Between physical units and what networks like: per-band shift and scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Mode = Literal["none", "z-score", "min-max"]


@dataclass
class BandStatistics:
    """Statistics of a band over all pixels it has, in its unit; the LST in kelvin.

    Attributes:
        n: Pixels.
        mean: Their mean.
        m2: Sum of their squared differences from it.
        minimum: The smallest.
        maximum: The largest.
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    @property
    def std(self) -> float:
        """Of the population."""
        return math.sqrt(self.m2 / self.n)

    def add(self, values: Tensor) -> None:
        """Take in the finite ones of some values, without holding on to them (Chan, Golub and LeVeque 1979)."""
        valid = values[values.isfinite()].double()
        count = valid.numel()
        if count == 0:
            return
        mean = float(valid.mean())
        difference = mean - self.mean
        self.m2 += float((valid - mean).square().sum()) + difference**2 * self.n * count / (self.n + count)
        self.mean += difference * count / (self.n + count)
        self.n += count
        self.minimum = min(self.minimum, float(valid.min()))
        self.maximum = max(self.maximum, float(valid.max()))


@dataclass(frozen=True)
class Normalizer:
    """``normalised = (value − shift) / scale``, per band.

    Attributes:
        shift: One per band, in the band's unit.
        scale: One per band, in the band's unit, > 0.
    """

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(cls, samples: Iterable[tuple[Tensor, Tensor]], mode: Mode = "z-score") -> Normalizer:
        """Find shift and scale from samples, accumulated in float64.

        Args:
            samples: Values ``(B, C, H, W)`` and masks ``(B, 1, H, W)`` bool of what counts.
            mode: ``z-score`` (mean, standard deviation), ``min-max`` (minimum, range) or ``none`` (0, 1).

        Raises:
            ValueError: No sample holds a valid value.
        """
        bands: list[BandStatistics] = []
        for values, mask in samples:
            flat = values.transpose(0, 1).flatten(1)[:, mask.flatten()]
            bands = bands or [BandStatistics() for _ in flat]
            for band, own in zip(bands, flat, strict=True):
                band.add(own)
        if not all(band.n for band in bands) or not bands:
            raise ValueError("no valid value to fit to")
        if mode == "none":
            return cls((0.0,) * len(bands), (1.0,) * len(bands))
        if mode == "z-score":
            pairs = [(band.mean, band.std) for band in bands]
        else:
            pairs = [(band.minimum, band.maximum - band.minimum) for band in bands]
        shift, scale = torch.tensor(pairs, dtype=torch.float64).T
        # a constant band carries no information: any scale serves, 1 keeps it at zero
        scale = torch.where(scale > 1e-6 * (1 + shift.abs()), scale, torch.ones_like(scale))
        return cls(tuple(shift.tolist()), tuple(scale.tolist()))

    def apply(self, values: Tensor) -> Tensor:
        """Normalise ``(B, C, H, W)``."""
        return (values - self._bands(self.shift, values)) / self._bands(self.scale, values)

    def invert(self, values: Tensor) -> Tensor:
        """Undo ``apply``, in float32 or better: half precision can't hold kelvin."""
        values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
        return values * self._bands(self.scale, values) + self._bands(self.shift, values)

    @staticmethod
    def _bands(numbers: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None, None]
