"""P2P: every fine pixel by itself, from its interpolated LST and its guidance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.resample import radius_behind_bicubic, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

_PIXELS_AT_ONCE = 16384
"""Thousands of features for all pixels of a scene would need many gigabytes."""


class P2P(nn.Module):
    """A multi-layer perceptron on pixels: one branch for the LST, one for the guidance, and a head on their sum.

    The paper fits it to one image without ground truth; the benchmark trains it on many.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        num_feats: Narrow width, at the beginning of the branches and in the head.
        wide_feats: Width of the sum of the branches.
    """

    def __init__(self, *, scale: int, guidance_bands: int = 10, num_feats: int = 32, wide_feats: int = 2048) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_branch = _two_layers(1, num_feats, wide_feats)
        self.guidance_branch = _two_layers(guidance_bands, num_feats, wide_feats)
        self.head = nn.Sequential(nn.ReLU(), *_two_layers(wide_feats, num_feats, 1))

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
        upsampled = up_bicubic(lst, self.scale).to(guidance.dtype)
        rows = max(1, _PIXELS_AT_ONCE // (len(lst) * upsampled.shape[-1]))
        strips = zip(torch.split(upsampled, rows, dim=2), torch.split(guidance, rows, dim=2), strict=True)
        if torch.is_grad_enabled():
            results = [checkpoint(self._transform, *strip, use_reentrant=False) for strip in strips]
        else:
            results = [self._transform(*strip) for strip in strips]
        return torch.cat(results, dim=2).to(lst.dtype)

    def _transform(self, upsampled: Tensor, guidance: Tensor) -> Tensor:
        """``(B, 1, H, W)`` and ``(B, guidance_bands, H, W)`` to ``(B, 1, H, W)``."""
        result: Tensor = self.head(self.lst_branch(upsampled) + self.guidance_branch(guidance))
        return result


def _two_layers(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, out_channels, 1))


SPEC = ModelSpec(
    name="p2p",
    label="PixTransform network",
    description="Pixel-wise regression baseline: no neighbourhood but that of the interpolated LST.",
    build=P2P,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: radius_behind_bicubic(0, arguments["scale"]),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"wide_feats": 256}},
    paper=Paper(
        authors="R. de Lutio, S. D'Aronco, J. D. Wegner, K. Schindler",
        title="Guided Super-Resolution as Pixel-to-Pixel Transformation",
        venue="ICCV",
        year=2019,
    ),
)
