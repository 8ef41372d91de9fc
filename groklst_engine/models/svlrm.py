"""SVLRM: a gain and an offset for every fine pixel."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.resample import radius_behind_bicubic, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

_SLOPE = 0.1


class SVLRM(nn.Module):
    """A spatially variant linear model of the interpolated LST, its coefficients predicted by plain convolutions.

    The paper applies the linear model to the guidance; the benchmark, whose guidance has many bands, to the LST.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features.
        n_layers: Number of convolutions.
    """

    def __init__(self, *, scale: int, guidance_bands: int = 10, num_feats: int = 64, n_layers: int = 12) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        layers: list[nn.Module] = []
        for before, after in pairwise([1 + guidance_bands] + [num_feats] * (n_layers - 1)):
            conv = same_conv(before, after)
            _init_he(conv)
            layers += [conv, nn.LeakyReLU(_SLOPE)]
        self.features = nn.Sequential(*layers)
        self.coefficients = same_conv(num_feats, 2)
        _init_near_identity(self.coefficients)

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
        features = self.features(torch.cat([upsampled.to(guidance.dtype), guidance], dim=1))
        gain, offset = self.coefficients(features).to(lst.dtype).chunk(2, dim=1)
        result: Tensor = gain * upsampled + offset
        return result


def _init_he(conv: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]


def _init_near_identity(conv: nn.Conv2d) -> None:
    """Gain 1 and offset 0: as wide as the hidden layers' weights, the published ones start 14 K off and diverge."""
    nn.init.normal_(conv.weight, std=1e-3)
    with torch.no_grad():
        conv.bias.copy_(torch.tensor([1.0, 0.0]))  # type: ignore[union-attr]


SPEC = ModelSpec(
    name="svlrm",
    label="SVLRM",
    description="Compact guided network: predicts a gain and an offset of the interpolated LST for every pixel.",
    build=SVLRM,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: radius_behind_bicubic(arguments["n_layers"], arguments["scale"]),
    presets={"paper": {}, "small": {"num_feats": 32, "n_layers": 6}},
    paper=Paper(
        authors="J. Pan, J. Dong, J. Ren, L. Lin, J. Tang, M.-H. Yang",
        title="Spatially Variant Linear Representation Models for Joint Filtering",
        venue="CVPR",
        year=2019,
    ),
)
