"""TsHARP: the LST that the vegetation index explains, and the rest interpolated.

Agam, Kustas, Anderson, Li and Neale (2007), after Kustas, Norman, Anderson and French (2003, DisTrad): a polynomial of
the LST on the NDVI is fitted at the coarse scale and applied at the fine one; what it does not explain at the coarse
scale is interpolated and added.
"""

from __future__ import annotations

import torch
from torch import Tensor

from groklst_engine.degrade import WHOLE, block_mean, masked_block_mean
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.indices import available, select
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.resample import REACH, upsample

ORDER = 2
MIN_PIXELS = 12


class TsHarp:
    """Quadratic NDVI regression with a bicubically interpolated residual.

    Args:
        options: Scale and roles of the guidance.

    Raises:
        InputError: The guidance has neither NDVI nor red and near infrared.
    """

    radius: int | None = REACH["bicubic"]

    def __init__(self, options: BuildOptions) -> None:
        if "ndvi" not in available(options.roles):
            raise InputError(
                "TsHARP needs a guidance band with the role ndvi, or red and nir: add one or set the bands' roles."
            )
        self._scale = options.scale
        self._roles = options.roles
        self._coefficients = torch.zeros(ORDER + 1)

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Fit the polynomial to the coarse pixels whose fine pixels are all valid, by least squares in float64.

        Raises:
            InputError: Too few coarse pixels are valid.
        """
        normal = torch.zeros(ORDER + 1, ORDER + 1, dtype=torch.float64)
        right = torch.zeros(ORDER + 1, dtype=torch.float64)
        for batch in scene.tiles:
            cancel.check()
            coarse, share = masked_block_mean(self._ndvi(batch), batch.mask, self._scale)
            whole = share > WHOLE
            powers = self._powers(coarse[whole].double())
            normal += powers.T @ powers
            right += powers.T @ batch.lst[whole].double()
        if normal[0, 0] < MIN_PIXELS:
            raise InputError(
                f"TsHARP found only {int(normal[0, 0])} coarse pixels that LST and NDVI fully cover and needs "
                f"{MIN_PIXELS}: use a larger extent or a method without guidance."
            )
        ridge = 1e-9 * torch.diag(normal).mean() * torch.eye(ORDER + 1, dtype=torch.float64)
        self._coefficients = torch.linalg.solve(normal + ridge, right)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        ndvi = self._ndvi(batch)
        explained = self._predict(ndvi)
        residual = batch.lst - self._predict(block_mean(ndvi, self._scale))
        return explained + upsample(residual, self._scale, "bicubic")

    def _ndvi(self, batch: Batch) -> Tensor:
        (ndvi,) = select(batch.guidance, self._roles, ["ndvi"])
        assert ndvi is not None  # the constructor made sure
        return ndvi

    def _predict(self, ndvi: Tensor) -> Tensor:
        a, b, c = self._coefficients.float().tolist()
        explained: Tensor = a + ndvi * (b + ndvi * c)
        return explained

    @staticmethod
    def _powers(ndvi: Tensor) -> Tensor:
        return torch.stack([ndvi**order for order in range(ORDER + 1)], dim=1)


SPECS = (
    MethodSpec(
        "tsharp",
        "TsHARP",
        "Quadratic regression of LST on NDVI at the coarse scale, residual interpolated; for vegetated land.",
        "sharpener",
        True,
        TsHarp,
        reference="Agam et al. 2007, Remote Sensing of Environment 107: 545–558",
        roles=("ndvi", "red", "nir"),
        fit_share=0.3,
    ),
)
