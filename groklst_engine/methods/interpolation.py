"""Interpolation: the baseline of every comparison, and what remains where guidance does not help."""

from __future__ import annotations

from torch import Tensor

from groklst_engine.consistency import RADIUS, back_project
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.resample import REACH, Kernel, upsample


class Interpolation:
    """Interpolates the coarse LST; the guidance is not looked at.

    Args:
        scale: Coarse pixel divided by fine pixel.
        kernel: ``nearest``, ``bilinear`` or ``bicubic``.
        back_projection: Whether the result is corrected until it aggregates to the coarse LST.
    """

    def __init__(self, scale: int, kernel: Kernel, back_projection: bool = False) -> None:
        self._scale = scale
        self._kernel: Kernel = kernel
        self._back_projection = back_projection
        self.radius: int | None = REACH[kernel] + (RADIUS if back_projection else 0)

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Nothing to learn."""

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        fine = upsample(batch.lst, self._scale, self._kernel)
        return back_project(fine, batch.lst, batch.mask, self._scale) if self._back_projection else fine


def _spec(name: str, label: str, description: str, kernel: Kernel, back_projection: bool = False) -> MethodSpec:
    def build(options: BuildOptions) -> Interpolation:
        return Interpolation(options.scale, kernel, back_projection)

    return MethodSpec(name, label, description, "interpolation", False, build, consistent=False)


SPECS = (
    _spec("nearest", "Nearest neighbour", "Repeats each coarse pixel.", "nearest"),
    _spec("bilinear", "Bilinear", "Interpolates linearly; smooths.", "bilinear"),
    _spec("bicubic", "Bicubic", "Interpolates by cubic convolution; the baseline to beat.", "bicubic"),
    _spec(
        "bicubic-ibp",
        "Bicubic with back-projection",
        "Bicubic, corrected until it aggregates to the coarse LST; the safest choice without useful guidance.",
        "bicubic",
        back_projection=True,
    ),
)
