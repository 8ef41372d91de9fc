"""Between physical units and what networks like: per-band shift and scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Mode = Literal["none", "z-score", "min-max"]


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
        n = 0
        mean = m2 = low = high = torch.zeros(0, dtype=torch.float64)
        for values, mask in samples:
            flat = values.transpose(0, 1).flatten(1)[:, mask.flatten()].double()
            count = flat.shape[1]
            if count == 0:
                continue
            batch_mean = flat.mean(1)
            batch_m2 = (flat - batch_mean[:, None]).square().sum(1)
            if n == 0:
                mean, m2 = batch_mean, batch_m2
                low, high = flat.amin(1), flat.amax(1)
            else:
                difference = batch_mean - mean
                mean = mean + difference * (count / (n + count))
                m2 = m2 + batch_m2 + difference.square() * (n * count / (n + count))
                low, high = torch.minimum(low, flat.amin(1)), torch.maximum(high, flat.amax(1))
            n += count
        if n == 0:
            raise ValueError("no valid value to fit to")
        if mode == "none":
            return cls((0.0,) * len(mean), (1.0,) * len(mean))
        shift, scale = (mean, (m2 / n).sqrt()) if mode == "z-score" else (low, high - low)
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
