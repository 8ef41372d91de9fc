"""MSG-Net: high frequencies, guided at every doubling of the resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.precision import without_autocast
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper


def low_pass(x: Tensor) -> Tensor:
    """A 15×15 Gaussian blur with a sigma of 5 pixels, zeros beyond the image: ``(B, 1, H, W)`` to the same shape."""
    distance = torch.arange(-7, 8, dtype=x.dtype, device=x.device)
    profile = torch.softmax(-(distance**2) / 50, dim=0)
    with without_autocast(x):  # the temperature itself passes
        columns = F.conv2d(x, profile.reshape(1, 1, -1, 1), padding=(7, 0))
        return F.conv2d(columns, profile.reshape(1, 1, 1, -1), padding=(0, 7))


def _stretched(x: Tensor) -> Tensor:
    """Each image between 0 and 1; a constant one becomes 0."""
    lowest, highest = x.amin(dim=(1, 2, 3), keepdim=True), x.amax(dim=(1, 2, 3), keepdim=True)
    return (x - lowest) / (highest - lowest).clamp_min(1e-6)


def _activated(layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(layer, nn.PReLU())


class GuidedDoubling(nn.Module):
    """Double the resolution of the LST features and merge them with the guidance's.

    Args:
        in_channels: Width C of the LST features.
        num_feats: Width D of the guidance features and of the result.
    """

    def __init__(self, in_channels: int, num_feats: int) -> None:
        super().__init__()
        self.up = _activated(nn.ConvTranspose2d(in_channels, num_feats, 5, stride=2, padding=2, output_padding=1))
        self.merge = nn.Sequential(
            _activated(nn.ConvTranspose2d(2 * num_feats, num_feats, 5, padding=2)),
            _activated(same_conv(num_feats, num_feats, 5)),
        )

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, h, w)`` and ``(B, D, 2·h, 2·w)`` to ``(B, D, 2·h, 2·w)``."""
        merged: Tensor = self.merge(torch.cat([guidance, self.up(lst)], dim=1))
        return merged


class MSGNet(nn.Module):
    """Features of the guidance's mean band, at every doubling, lift the LST's high frequencies to the fine grid.

    Args:
        scale: A power of two.
        guidance_bands: Number of guidance bands.
        num_feats: Width of the guidance features and of the LST features behind the stem.
        stem_feats: Width of the LST features on the coarse grid.
        guidance_stem_feats: Width of the first guidance features.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 32,
        stem_feats: int = 64,
        guidance_stem_feats: int = 49,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        n_doublings = scale.bit_length() - 1
        self.guidance_stem = nn.Sequential(
            _activated(same_conv(1, guidance_stem_feats, 7)), _activated(same_conv(guidance_stem_feats, num_feats, 5))
        )
        self.halvings = nn.ModuleList(
            nn.Sequential(_activated(same_conv(num_feats, num_feats, 5)), nn.MaxPool2d(3, stride=2, padding=1))
            for _ in range(n_doublings - 1)
        )
        self.lst_stem = _activated(same_conv(1, stem_feats, 5))
        self.doublings = nn.ModuleList(
            GuidedDoubling(num_feats if i else stem_feats, num_feats) for i in range(n_doublings)
        )
        self.head = nn.Sequential(
            _activated(same_conv(num_feats, num_feats, 5)), _activated(same_conv(num_feats, 1, 5))
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
        smooth = low_pass(up_bicubic(lst, self.scale))
        coarse, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        features = self.lst_stem(coarse - low_pass(coarse))
        for double, guidance_features in zip(self.doublings, self._of_guidance(guidance), strict=True):
            features = double(features, guidance_features)
        detail: Tensor = self.head(features)
        return smooth + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        """Features for each doubling, the coarsest first."""
        mean_band = guidance.mean(dim=1, keepdim=True)
        pyramid = [self.guidance_stem(_stretched(mean_band - low_pass(mean_band)))]
        for halve in self.halvings:
            pyramid.append(halve(pyramid[-1]))
        return pyramid[::-1]


SPEC = ModelSpec(
    name="msg",
    label="MSG-Net",
    description="Small classical guided network: finds high frequencies only, guided at every doubling.",
    build=MSGNet,
    guided=True,
    scales=(2, 4, 8),  # the guidance's extremes over the whole image count: no receptive radius
    presets={"paper": {}, "small": {"num_feats": 16, "stem_feats": 32, "guidance_stem_feats": 24}},
    paper=Paper(
        authors="T.-W. Hui, C. C. Loy, X. Tang",
        title="Depth Map Super-Resolution by Deep Multi-Scale Guidance",
        venue="ECCV",
        year=2016,
    ),
)
