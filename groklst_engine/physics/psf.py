"""Point spread functions: how a coarse pixel weighs the fine ones it came from.

A pixel of a thermal sensor is no box: optics and detector spread it over its neighbours, and a scanning radiometer
also moves while it integrates. Each function here is separable, centred on the coarse pixel, and known by its width
in coarse pixels, so that it serves at any scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

PsfShape = Literal["box", "gaussian", "triangular"]

CUT = 3.0
"""Standard deviations beyond which a Gaussian counts as 0."""


@dataclass(frozen=True)
class Psf:
    """A point spread function.

    Attributes:
        shape: ``box``, the plain mean over the pixel; ``gaussian``, optics and detector together; ``triangular``,
            a triangle of twice the pixel's width along the rows (the scan direction) and a box across, as the MODIS
            radiometer sees (Wolfe et al. 2002).
        mtf: Of a Gaussian: contrast left at the Nyquist frequency of the coarse grid, 0.05 to 0.95. Sensors are built
            for 0.2 to 0.4.
    """

    shape: PsfShape = "box"
    mtf: float = 0.3

    def __post_init__(self) -> None:
        if not 0.05 <= self.mtf <= 0.95:
            raise ValueError(f"an MTF of {self.mtf} is outside 0.05 to 0.95")

    @classmethod
    def of_width(cls, sigma: float) -> Psf:
        """A Gaussian with a standard deviation of ``sigma`` coarse pixels, the nearest that ``mtf`` allows."""
        return cls("gaussian", min(0.95, max(0.05, math.exp(-0.5 * (math.pi * sigma) ** 2))))

    @property
    def sigma(self) -> float:
        """Standard deviation of a Gaussian, in coarse pixels: exp(−2 π² σ² f²) = MTF at f = ½ per coarse pixel."""
        return math.sqrt(-2 * math.log(self.mtf)) / math.pi

    @property
    def reach(self) -> int:
        """Coarse pixels to either side of its own that the function looks at."""
        half_width = {"box": 0.5, "gaussian": CUT * self.sigma, "triangular": 1.0}[self.shape]
        return math.ceil(half_width - 0.5)

    def weights(self, scale: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Weights down the rows and along a row of the ``(2 · reach + 1) · scale`` fine pixels around a coarse pixel.

        Each sums to 1.
        """
        return _weights(self, scale)


BOX = Psf()
"""The plain mean over the coarse pixel: right where the coarse LST was made by averaging."""


@lru_cache(maxsize=64)
def _weights(psf: Psf, scale: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    across: dict[PsfShape, Callable[[float], float]] = {
        "box": lambda x: float(abs(x) < 0.5),
        "gaussian": lambda x: math.exp(-0.5 * (x / psf.sigma) ** 2),
        "triangular": lambda x: float(abs(x) < 0.5),
    }
    along = across | {"triangular": lambda x: max(0.0, 1.0 - abs(x))}
    count = (2 * psf.reach + 1) * scale
    centres = [(index + 0.5) / scale - 0.5 * count / scale for index in range(count)]

    def normalised(curve: Callable[[float], float]) -> tuple[float, ...]:
        values = [curve(x) for x in centres]
        return tuple(value / sum(values) for value in values)

    return normalised(across[psf.shape]), normalised(along[psf.shape])
