"""Any method, with a share of its detail only: the rest stays as bicubic interpolation leaves it.

The detail that a method adds is right in part. Where it is half right, half of it is the best: more adds more error
than truth. Between the method and the interpolation the result stays consistent with the coarse LST, for the
correction that follows is linear.
"""

from __future__ import annotations

import torch
from torch import Tensor

from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods.base import Batch, Downscaler, Scene
from groklst_engine.resample import REACH, upsample


class DampedDownscaler:
    """A method, less some of its detail.

    Args:
        method: Fitted or not; ``fit`` fits it.
        detail: Share of its detail that is kept, 0 to 1.
        scale: Coarse pixel divided by fine pixel.
    """

    def __init__(self, method: Downscaler, detail: float, scale: int) -> None:
        self._method = method
        self._detail = detail
        self._scale = scale
        self.radius = None if method.radius is None else max(method.radius, REACH["bicubic"])
        self.footprint = getattr(method, "footprint", None)

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit the method.

        Raises:
            InputError: The method cannot learn from the scene.
        """
        if self._detail:
            self._method.fit(scene, on_event, cancel)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        smooth = upsample(batch.lst, self._scale, "bicubic")
        if not self._detail:
            return smooth
        fine = self._method(batch)
        return torch.lerp(smooth.to(fine.device), fine, self._detail)
