"""Scoring on real pairs: the coarse LST of one sensor downscaled, the fine LST of another as the truth.

The grids need not nest, and the two sensors differ by calibration: the result is compared on the truth's own grid, less
the mean difference, and without a rim in which interpolation and masks differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from groklst_engine.bands import Role
from groklst_engine.events import CancelToken, ignore
from groklst_engine.grid import CoarseWindow
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.predict import downscale
from groklst_engine.raster import Floats, open_raster
from groklst_engine.reader import AlignedReader
from groklst_engine.units import offset_to_kelvin
from groklst_engine.wald import Downscaled

RIM = 8
"""Pixels of the truth that are left out along its edges."""

GAP_RIM = 2
"""Pixels left out around gaps of guidance and coarse LST, which methods treat differently."""


@dataclass(frozen=True)
class RealPair:
    """A pair of scenes, with what ``DegradedScene`` has.

    Attributes:
        source: With the coarse LST.
        scale: Coarse pixel divided by fine pixel.
        folder: For results.
        truth: ``(H, W)`` kelvin, NaN where missing.
        counted: ``(H, W)`` bool: the pixels every method is scored on.
    """

    source: SceneSource
    scale: int
    folder: Path
    truth: Floats
    counted: NDArray[np.bool_]

    def downscaled(self, method: str, cancel: CancelToken, **options: Any) -> Downscaled:
        """What a method makes of the coarse LST, on the truth's grid, less the mean difference.

        Args:
            method: Name of a method, or path of a weights file.
            cancel: Looked at after every tile.
            options: Further fields of the ``DownscaleJob``.

        Raises:
            GroklstError: The method or the scene cannot be used.
        """
        output = self.folder / "fine.tif"
        options |= {"lst": self.source.coarse, "guidance": self.source.guidance, "mask": self.source.mask}
        options |= {"scale": self.scale, "method": method, "output": output, "overwrite": True}
        result = downscale(DownscaleJob(**options), ignore, cancel)
        outputs = [output] if result.uncertainty is None else [output, result.uncertainty]
        layers = tuple(GuidanceSource(path=str(path), roles=("other",)) for path in outputs)
        fine, *sigma = _on_truth(self.source, layers)[1]
        fine = fine + np.float32(offset_to_kelvin(result.unit))
        both = self.counted & np.isfinite(fine)
        fine = np.asarray(fine - (fine - self.truth)[both].mean(), np.float32) if both.any() else fine
        return Downscaled(fine, sigma[0] if sigma else None, result.method)


def real_pair(source: SceneSource, scale: int, folder: Path) -> RealPair:
    """Read a pair.

    Args:
        source: With the coarse LST.
        scale: Coarse pixel divided by the fine pixel of results; need not be the ratio to the truth's.
        folder: For results.

    Raises:
        InputError: A raster cannot be used.
    """
    assert source.coarse is not None
    bands: tuple[GuidanceSource, ...] = source.guidance
    coarse = GuidanceSource(path=source.coarse.path, roles=_only(source.coarse))
    truth, others = _on_truth(source, (*bands, coarse))
    there = torch.from_numpy(np.isfinite(others).all(0).astype(np.float32))[None, None]
    there = 1 - F.max_pool2d(1 - there, 2 * GAP_RIM + 1, 1, GAP_RIM)
    inner = np.zeros(truth.shape, bool)
    inner[RIM:-RIM, RIM:-RIM] = True
    return RealPair(source, scale, folder, truth, inner & np.isfinite(truth) & (there[0, 0].numpy() > 0))


def _only(source: LstSource) -> tuple[Role | None, ...]:
    """The roles by which just the LST's band is read."""
    with open_raster(source.path, "coarse LST") as dataset:
        return tuple("other" if band == source.band else None for band in range(1, dataset.count + 1))


def _on_truth(source: SceneSource, layers: tuple[GuidanceSource, ...]) -> tuple[Floats, Floats]:
    """The fine LST in kelvin and other layers on its grid."""
    with AlignedReader(source.lst, layers, 1, source.mask) as reader:
        grid = reader.pair.fine
        return reader.read(CoarseWindow(0, grid.height, 0, grid.width))
