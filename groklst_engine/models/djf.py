"""DJF: deep joint image filtering, two small encoders and a fusion net on the fine grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import CNN3
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.resample import radius_behind_bicubic, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

RADIUS = 12
"""Fine pixels to either side that two ``CNN3`` in a row look at."""


class DJF(nn.Module):
    """One feature map of the interpolated LST and one of the guidance, then a net that fuses the two.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        encoder_widths: Hidden widths of either encoder.
        fusion_widths: Hidden widths of the fusion net.
        residual: Add the interpolated LST to the result, as the paper's successor does.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        encoder_widths: tuple[int, int] = (96, 48),
        fusion_widths: tuple[int, int] = (64, 32),
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.residual = residual
        self.lst_encoder = CNN3(1, (*encoder_widths, 1))
        self.guidance_encoder = CNN3(guidance_bands, (*encoder_widths, 1))
        self.fusion = CNN3(2, (*fusion_widths, 1))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        upsampled = up_bicubic(lst, self.scale)
        _, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        lst_feature = self.lst_encoder(upsampled.to(guidance.dtype))
        fused: Tensor = self.fusion(torch.cat([lst_feature, self._of_guidance(guidance)], dim=1))
        return upsampled + fused.to(lst.dtype) if self.residual else fused.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> Tensor:
        feature: Tensor = self.guidance_encoder(guidance)
        return feature


SPEC = ModelSpec(
    name="djf",
    label="DJF",
    description="Small classical baseline: two three-layer encoders and a three-layer fusion net.",
    build=DJF,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: radius_behind_bicubic(RADIUS, arguments["scale"]),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"encoder_widths": (32, 16), "fusion_widths": (32, 16)}},
    paper=Paper(
        authors="Y. Li, J.-B. Huang, N. Ahuja, M.-H. Yang",
        title="Deep Joint Image Filtering",
        venue="ECCV",
        year=2016,
    ),
)
