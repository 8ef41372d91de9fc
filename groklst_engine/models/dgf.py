"""DGF: a guided filter whose linear coefficients are learned."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.resample import radius_behind_bicubic, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper


class DGF(nn.Module):
    """Guided filter on the fine grid: in each window the LST is a linear function of the guidance's mean band.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        num_feats: Width of the net that makes a slope of covariance and variance.
        radius: Of the window.
        reference_compat: As published: window weights of any sign, so that a mean may divide by 0. Ours count by
            their magnitude.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 64,
        radius: int = 1,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.signed = reference_compat
        self.window = nn.Parameter(torch.ones(1, 1, 2 * radius + 1, 2 * radius + 1))
        self.slope = nn.Sequential(
            nn.Conv2d(2, num_feats, 1, bias=False),
            nn.BatchNorm2d(num_feats),
            nn.ReLU(),
            nn.Conv2d(num_feats, num_feats, 1, bias=False),
            nn.BatchNorm2d(num_feats),
            nn.ReLU(),
            nn.Conv2d(num_feats, 1, 1, bias=False),
        )

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        _, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        y = up_bicubic(lst, self.scale).to(guidance.dtype)
        g = guidance.mean(dim=1, keepdim=True)
        g_mean, y_mean = self._local_mean(g), self._local_mean(y)
        covariance = self._local_mean(g * y) - g_mean * y_mean
        variance = self._local_mean(g * g) - g_mean.square()
        slope = self.slope(torch.cat([covariance, variance], dim=1))
        offset = y_mean - slope * g_mean
        result = self._local_mean(slope) * g + self._local_mean(offset)
        return result.to(lst.dtype)

    def _local_mean(self, x: Tensor) -> Tensor:
        """Weighted mean over the window's pixels within the image, ``(B, 1, H, W)`` to the same shape."""
        window = self.window if self.signed else self.window.abs()
        padding = window.shape[-1] // 2
        weights = F.conv2d(torch.ones_like(x[:1]), window, padding=padding)
        return F.conv2d(x, window, padding=padding) / weights


SPEC = ModelSpec(
    name="dgf",
    label="Deep guided filter",
    description="Tiny baseline of 4.6 thousand parameters: a guided filter that smooths and adds little detail.",
    build=DGF,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: radius_behind_bicubic(2 * arguments["radius"], arguments["scale"]),
    bf16_ok=False,  # variances as differences of large numbers
    presets={"paper": {}, "small": {"num_feats": 16}},
    paper=Paper(
        authors="H. Wu, S. Zheng, J. Zhang, K. Huang",
        title="Fast End-to-End Trainable Guided Filter",
        venue="CVPR",
        year=2018,
    ),
)
