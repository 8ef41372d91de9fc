"""Between physical units and what networks like: per-band shift and scale.

Samples and tiles are z-scored, by the scene's own statistics or by those of the training data; 0, the mean, stands for
a band that is absent. A network trained on other units (min-max, none) is wrapped in ``InUnits``, which goes there and
back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from groklst_engine.layers.kept import of_guidance

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


class BandRange(BaseModel):
    """Statistics of a band of the training data, as a model card keeps them.

    Attributes:
        mean: In the band's unit; the LST in kelvin.
        std: Of the population.
        minimum: The smallest value.
        maximum: The largest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    std: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, band: BandStatistics) -> BandRange:
        """What was accumulated."""
        return cls(mean=band.mean, std=band.std, minimum=band.minimum, maximum=band.maximum)


UNKNOWN = BandRange(mean=0.0, std=1.0, minimum=0.0, maximum=1.0)
"""Of a band that no training scene had: it is absent for the network."""


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
        return cls.of([BandRange.of(band) for band in bands], mode)

    @classmethod
    def of(cls, bands: Sequence[BandRange], mode: Mode = "z-score") -> Normalizer:
        """From the statistics of each band."""
        if mode == "none":
            pairs = [(0.0, 1.0) for _ in bands]
        elif mode == "z-score":
            pairs = [(band.mean, band.std) for band in bands]
        else:
            pairs = [(band.minimum, band.maximum - band.minimum) for band in bands]
        # a constant band carries no information: any scale serves, 1 keeps it at zero
        scales = tuple(scale if scale > 1e-6 * (1 + abs(shift)) else 1.0 for shift, scale in pairs)
        return cls(tuple(shift for shift, _ in pairs), scales)

    def part(self, start: int, stop: int) -> Normalizer:
        """Of some of the bands."""
        return Normalizer(self.shift[start:stop], self.scale[start:stop])

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


class BandNormalization(BaseModel):
    """How some bands become network units.

    Attributes:
        mode: ``scene`` z-scores with each scene's own statistics; the others use those of the training data.
        bands: These, by role (``lst`` for the LST); empty for ``scene``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["scene", "none", "z-score", "min-max"] = "scene"
    bands: Mapping[str, BandRange] = Field(default_factory=dict)

    def z_scores(self, roles: Sequence[str]) -> Normalizer | None:
        """From physical units to z-scores; None when each scene has its own."""
        return None if self.mode == "scene" else Normalizer.of(self._of(roles))

    def units(self, roles: Sequence[str]) -> Normalizer:
        """From z-scores to the network's units, by ``apply``."""
        if self.mode == "scene" or self.mode == "z-score":
            return Normalizer((0.0,) * len(roles), (1.0,) * len(roles))
        z_scores, wanted = Normalizer.of(self._of(roles)), Normalizer.of(self._of(roles), self.mode)
        pairs = zip(z_scores.shift, z_scores.scale, wanted.shift, wanted.scale, strict=True)
        shift_scale = [((shift - mean) / std, scale / std) for mean, std, shift, scale in pairs]
        return Normalizer(tuple(shift for shift, _ in shift_scale), tuple(scale for _, scale in shift_scale))

    def _of(self, roles: Sequence[str]) -> list[BandRange]:
        return [self.bands.get(role, UNKNOWN) for role in roles]


class Normalization(BaseModel):
    """How LST and guidance become network units, independently.

    Attributes:
        lst: Of the LST.
        guidance: Of each guidance band.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lst: BandNormalization = BandNormalization()
    guidance: BandNormalization = BandNormalization()

    @property
    def in_kelvin(self) -> bool:
        """Whether the network computes in kelvin, which half precision cannot hold."""
        return self.lst.mode == "none"


BY_SCENE = Normalization()


class InUnits(nn.Module):
    """A network with units of its own, for those who have z-scores.

    Args:
        network: ``forward(lst, guidance | None)`` in its own units.
        normalization: Its units.
        roles: Of its guidance channels.
    """

    def __init__(self, network: nn.Module, normalization: Normalization, roles: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self._lst = normalization.lst.units(("lst",))
        self._guidance = normalization.guidance.units(roles)

    def forward(self, lst: Tensor, guidance: Tensor | None = None, *more: Any) -> Tensor:
        """Z-scores in, z-scores out; the way back is in float32 or better."""
        guidance = None if guidance is None else self._converted(guidance)
        return self._lst.invert(self.network(self._lst.apply(lst), guidance, *more))

    @of_guidance
    def _converted(self, guidance: Tensor) -> Tensor:
        return self._guidance.apply(guidance)


def in_units(network: nn.Module, normalization: Normalization, roles: Sequence[str]) -> nn.Module:
    """The network as it is where its units are z-scores, else wrapped."""
    z_scored = all(part.mode in ("scene", "z-score") for part in (normalization.lst, normalization.guidance))
    return network if z_scored else InUnits(network, normalization, roles)


def own_network(network: nn.Module) -> nn.Module:
    """What ``in_units`` was given."""
    return network.network if isinstance(network, InUnits) else network
