"""Any method, matched to the sensor: what it makes must look, through the sensor's optics, like the measured LST.

A method that takes a coarse pixel for a box mean gives too little detail where the pixel is wider than that: the LST it
starts from was blurred already. Putting back all that is missing would put back the sensor's noise and every error of
registration, too. Here only that part is put back that the guidance explains: the misfit between the measured LST and
the result, seen through the point spread function, is regressed on the guidance seen likewise, and the guidance's own
detail below the coarse pixel is added with these coefficients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from groklst_engine.degrade import WHOLE, aggregate
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.methods.base import Batch, Downscaler, Scene
from groklst_engine.physics.psf import Psf
from groklst_engine.physics.registration import MAX_PIXELS, GuidanceFeatures, local_part
from groklst_engine.resample import REACH, upsample

RIDGE = 1e-3
"""Weight of the coefficients' squares beside the features' variance."""


class MatchedDownscaler:
    """A method and the detail it lacks.

    Args:
        method: Fitted or not; ``fit`` fits it first.
        psf: Of the coarse sensor.
        scale: Coarse pixel divided by fine pixel.
    """

    def __init__(self, method: Downscaler, psf: Psf, scale: int) -> None:
        self._method = method
        self._psf = psf
        self._scale = scale
        self._features: GuidanceFeatures | None = None
        self._coefficients = torch.zeros(0)
        inner = method.radius
        self.radius: int | None = None if inner is None else max(inner, REACH["bicubic"] + psf.reach)

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit the method, and regress what its result lacks on the guidance.

        Raises:
            InputError: The method cannot learn from the scene.
        """
        self._method.fit(scene, on_event, cancel)
        self._features = GuidanceFeatures(scene.tiles)
        count = self._features(scene.tiles[0].guidance).shape[1]
        squares, products = torch.zeros(count, count).double(), torch.zeros(count).double()
        pixels = 0
        for batch in scene.tiles:
            cancel.check()
            result, share = aggregate(self._method(batch).cpu().double(), batch.mask, self._scale, self._psf)
            seen, _ = aggregate(self._features(batch.guidance), batch.mask, self._scale, self._psf)
            kept = (share > WHOLE)[0, 0]
            x = local_part(seen)[0][:, kept]
            y = local_part((batch.lst - result).where(share > WHOLE, 0.0))[0, 0][kept]
            squares += x @ x.T
            products += x @ y
            pixels += int(kept.sum())
            if pixels > MAX_PIXELS:
                break
        penalty = RIDGE * squares.diagonal().mean().clamp(min=1e-9) * torch.eye(count).double()
        self._coefficients = torch.linalg.solve(squares + penalty, products)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        fine = self._method(batch)
        if self._features is None:
            return fine
        everywhere = torch.ones_like(batch.mask)  # gaps are filled
        # one combined field instead of its many parts: aggregation is linear
        known = (self._features(batch.guidance) * self._coefficients[:, None, None]).sum(1, keepdim=True)
        seen, _ = aggregate(known, everywhere, self._scale, self._psf)
        return fine + (known - upsample(seen, self._scale, "bicubic")).to(fine.dtype).to(fine.device)
