"""A standard error for each pixel of a result, calibrated on the user's own rasters.

In the closed loop (``closed_loop.py``) the method's errors are known. They are larger where the temperature varies
more from pixel to pixel, by a power law that is fitted there. Brought to the result, one scale down, errors differ by
a factor that hardly depends on place or sensor; it was measured on scenes that no network had seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from groklst_engine.closed_loop import BLOCK, ClosedLoop, Restored
from groklst_engine.events import CancelToken
from groklst_engine.grid import Grid
from groklst_engine.inputs import LstSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.lst_reader import LstReader
from groklst_engine.methods import get_method
from groklst_engine.raster import Floats, RasterWriter
from groklst_engine.reader import mirrored

WITHIN = 0.683
"""Share of a normal distribution within one standard deviation: the model is scaled to it."""

LEVELS = (1.0, 2.0)
"""Multiples of the standard error whose coverage is reported."""

ONE_SCALE_DOWN = 0.65
"""Errors of the result divided by those of the closed loop, where that was run at the result's scale. A median over
scenes no network had seen, as are the next two; docs/accuracy.md says how they are measured."""

PER_OCTAVE = 0.75
"""By how much of that the factor is larger for each octave of the result's scale that the closed loop had to leave out
because the scene was too small."""

LEARNED_HERE = 1.4
"""What comes on top where a method learns from the scene itself: its relation holds less one scale down."""

SMOOTHEST = 0.1
"""Share of the typical variability below which a smoother place is no more certain."""

STRIP = 256
"""Fine rows written at a time."""


@dataclass(frozen=True)
class Reliability:
    """How many errors really lay within a multiple of the standard error, in blocks the model was not fitted to.

    Attributes:
        multiple: Of the standard error.
        nominal: Share that a normal distribution has there, 0 to 1.
        actual: Share that was found, 0 to 1.
    """

    multiple: float
    nominal: float
    actual: float


@dataclass(frozen=True)
class ErrorModel:
    """Standard error from local variability: ``level · (variability + floor) ** power``.

    Attributes:
        level: In kelvin to the power ``1 − power``.
        power: At least 0: where temperature varies more, errors are no smaller.
        floor: Variability that is added everywhere, in kelvin.
    """

    level: float
    power: float
    floor: float

    @classmethod
    def fit(cls, variability: NDArray[np.floating], errors: NDArray[np.floating]) -> ErrorModel:
        """Fit to known errors.

        Args:
            variability: ``(N,)`` kelvin, ≥ 0.
            errors: ``(N,)`` kelvin.
        """
        floor = SMOOTHEST * float(np.sqrt(np.mean(np.square(variability)))) + 1e-3
        size = np.abs(errors)
        x = np.log(variability + floor)
        y = np.log(size + 0.05 * float(np.sqrt(np.mean(np.square(errors)))) + 1e-6)
        spread = float(np.var(x))
        power = max(0.0, float(np.mean((x - x.mean()) * (y - y.mean()))) / spread) if spread > 1e-6 else 0.0
        level = float(np.quantile(size / (variability + floor) ** power, WITHIN))
        return cls(level, power, floor)

    def __call__(self, variability: Floats) -> Floats:
        """Standard errors in kelvin; NaN stays NaN."""
        sigma = self.level * np.power(variability + np.float32(self.floor), np.float32(self.power))
        return np.asarray(sigma, np.float32)

    def scaled(self, factor: float) -> ErrorModel:
        """The model of errors ``factor`` times as large."""
        return ErrorModel(self.level * factor, self.power, self.floor)


@dataclass(frozen=True)
class Calibration:
    """What the closed loop tells of a method's errors.

    Attributes:
        model: Of the result's errors.
        reliability: One row per level, found in the closed loop.
    """

    model: ErrorModel
    reliability: tuple[Reliability, ...]


@dataclass(frozen=True)
class ResultError:
    """The standard error of a result.

    Attributes:
        path: Its raster, in kelvin.
        calibration: How it was found.
        map: ``(H, W)`` kelvin, NaN where missing: every n-th pixel, for the report.
    """

    path: Path
    calibration: Calibration
    map: Floats


def calibrate(loop: ClosedLoop, method: str, scale: int, detail: float = 1.0) -> Calibration:
    """Fit a model of a method's errors to the closed loop.

    The reliability is found by fitting to every other block of the scene and counting in the rest.

    Args:
        loop: The user's rasters, degraded.
        method: Its name.
        scale: Of the result.
        detail: Share of the method's detail that is kept.

    Raises:
        GroklstError: The method cannot be used on them.
    """
    samples = [_samples(part, BLOCK * loop.scale) for part in loop.restore(method, detail=detail)]
    variability, errors, odd = (np.concatenate(part) for part in zip(*samples, strict=True))
    reliability = []
    if odd.any() and not odd.all():
        sizes = np.abs(errors[odd]) / ErrorModel.fit(variability[~odd], errors[~odd])(variability[odd])
        nominal = {1.0: WITHIN, 2.0: 0.954}
        reliability = [Reliability(level, nominal[level], float(np.mean(sizes <= level))) for level in LEVELS]
    return Calibration(
        ErrorModel.fit(variability, errors).scaled(result_factor(loop.scale, method, scale)), tuple(reliability)
    )


def result_factor(loop_scale: int, method: str, scale: int) -> float:
    """Errors of a method's result divided by those of the closed loop.

    Args:
        loop_scale: Of the closed loop.
        method: Its name.
        scale: Of the result.
    """
    octaves = math.log2(scale / loop_scale)
    learned = LEARNED_HERE if get_method(method).learns_here else 1.0
    return ONE_SCALE_DOWN * (1 + PER_OCTAVE * octaves) * learned


def _samples(part: Restored, side: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Variability and error of each counted pixel, and whether its block is an odd one."""
    rows, columns = np.indices(part.truth.shape) // side
    odd = (rows + columns) % 2 == 1
    variability = local_deviation(np.where(part.counted, part.result, np.float32(np.nan)))
    return variability[part.counted], (part.result - part.truth)[part.counted], odd[part.counted]


def local_deviation(values: Floats) -> Floats:
    """Standard deviation of each pixel's 3 × 3 neighbourhood over its valid pixels.

    Args:
        values: ``(H, W)``, NaN where missing.

    Returns:
        ``(H, W)`` in the same unit, NaN where missing.
    """
    valid = np.isfinite(values)
    centre = float(values[valid].mean()) if valid.any() else 0.0
    centred = torch.from_numpy(np.where(valid, values - centre, 0.0).astype(np.float64))
    weight = torch.from_numpy(valid.astype(np.float64))
    padded = F.pad(torch.stack([weight, centred, centred**2])[None], (1, 1, 1, 1), mode="replicate")
    share, first, second = F.avg_pool2d(padded, 3, 1)[0]
    mean = first / share.clamp(min=1 / 9)
    deviation = (second / share.clamp(min=1 / 9) - mean**2).clamp(min=0).sqrt().numpy()
    return np.where(valid, deviation, np.nan).astype(np.float32)


def uncertainty_path(output: Path) -> Path:
    """Where the standard error of an output is written."""
    return output.with_name(f"{output.stem}_uncertainty{output.suffix}")


def error_writer(job: DownscaleJob, grid: Grid) -> RasterWriter:
    """What writes the standard error beside the output of a job.

    Args:
        job: Of the result.
        grid: Of the result.

    Raises:
        OutputError: It cannot be written.
    """
    return RasterWriter(
        uncertainty_path(job.output),
        grid,
        unit="K",
        description="Standard error of the land surface temperature",
        tags={"GROKLST_METHOD": job.method, "GROKLST_OF": job.output.name},
        overwrite=job.overwrite,
        cog=job.cog,
    )


def write_uncertainty(
    fine: Path, writer: RasterWriter, calibration: Calibration, shape: tuple[int, int], cancel: CancelToken
) -> ResultError:
    """Write the standard error of each pixel of a result.

    Args:
        fine: The result.
        writer: On the same grid, in kelvin.
        calibration: Of its errors.
        shape: Of the map for the report.
        cancel: Looked at after every strip.

    Raises:
        OutputError: The disk is full or gone.
        Cancelled: ``cancel`` was raised.
    """
    reader = LstReader(LstSource(path=str(fine)), "output")
    try:
        height, columns = reader.grid.height, np.arange(reader.grid.width)
        for top in range(0, height, STRIP):
            cancel.check()
            bottom = min(top + STRIP, height)
            rows = reader.read(mirrored(top - 1, bottom + 1, height), columns)
            writer.write(calibration.model(local_deviation(rows)[1:-1]), top)
    finally:
        reader.close()
    writer.finish()
    with rasterio.open(writer.part) as dataset:
        overview = dataset.read(1, out_shape=shape, masked=True).filled(np.nan)
    return ResultError(writer.path, calibration, overview)
