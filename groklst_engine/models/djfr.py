"""DJFR: residual deep joint image filtering."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import CNN3
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.resample import radius_behind_bicubic, up_bicubic
from groklst_engine.models.djf import RADIUS
from groklst_engine.models.spec import ModelSpec, Paper


class DJFR(nn.Module):
    """As DJF, but with encoders of three feature maps each, and the interpolated LST added to what is found.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        encoder_widths: Hidden widths of either encoder.
        decoder_widths: Hidden widths of the decoder.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        encoder_widths: tuple[int, int] = (96, 48),
        decoder_widths: tuple[int, int] = (64, 32),
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_encoder = CNN3(1, (*encoder_widths, 3))
        self.guidance_encoder = CNN3(guidance_bands, (*encoder_widths, 3))
        self.decoder = CNN3(6, (*decoder_widths, 1), paddings=(4, 0, 2))

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
        lst_features = self.lst_encoder(upsampled.to(guidance.dtype))
        residual: Tensor = self.decoder(torch.cat([self._of_guidance(guidance), lst_features], dim=1))
        return upsampled + residual.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> Tensor:
        features: Tensor = self.guidance_encoder(guidance)
        return features


SPEC = ModelSpec(
    name="djfr",
    label="DJFR",
    description="Small, stable guided baseline: DJF with a bicubic skip.",
    build=DJFR,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: radius_behind_bicubic(RADIUS, arguments["scale"]),
    presets={"paper": {}, "small": {"encoder_widths": (32, 16), "decoder_widths": (32, 16)}},
    paper=Paper(
        authors="Y. Li, J.-B. Huang, N. Ahuja, M.-H. Yang",
        title="Joint Image Filtering with Deep Convolutional Networks",
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
        year=2019,
        doi="arXiv:1710.04200",
    ),
)
