"""FDSR: high frequencies of the guidance, by octave convolutions on a quarter of the fine grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import phase_stack, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper, require

_SLOPE = 0.2
_FACTOR = 4
"""Features are computed on a grid of fine pixels this much wider."""


class OctaveConv(nn.Module):
    """Convolve features of high and of low frequency, the low ones on a grid of half the resolution.

    Reference: Chen et al., Drop an Octave: Reducing Spatial Redundancy in Convolutional Neural Networks with Octave
    Convolution, ICCV 2019.

    Args:
        inputs: Widths of the high and the low features given; without low ones 0.
        outputs: Widths of the high and the low features wanted; without low ones 0.
    """

    def __init__(self, inputs: tuple[int, int], outputs: tuple[int, int]) -> None:
        super().__init__()

        def conv(before: int, after: int) -> nn.Conv2d | None:
            return same_conv(before, after, bias=False) if before and after else None

        self.high_to_high = same_conv(inputs[0], outputs[0], bias=False)
        self.low_to_high = conv(inputs[1], outputs[0])
        self.high_to_low = conv(inputs[0], outputs[1])
        self.low_to_low = conv(inputs[1], outputs[1])

    def forward(self, high: Tensor, low: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """``(B, C, 2·h, 2·w)`` and ``(B, D, h, w)`` or None to the like."""
        high_out = self.high_to_high(high)
        low_out = self.high_to_low(F.avg_pool2d(high, 2)) if self.high_to_low else None
        if low is not None and self.low_to_high:
            high_out = high_out + F.interpolate(self.low_to_high(low), scale_factor=2)
        if low is not None and self.low_to_low:
            low_out = low_out + self.low_to_low(low)
        return F.leaky_relu(high_out, _SLOPE), None if low_out is None else F.leaky_relu(low_out, _SLOPE)


class MultiScaleResBlock(nn.Module):
    """A near and a wide 3×3 convolution side by side, merged and added to the input.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = same_conv(channels, channels)
        self.wide = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        found = F.leaky_relu(self.near(x), _SLOPE) + F.leaky_relu(self.wide(x), _SLOPE)
        residual: Tensor = self.merge(found)
        return x + residual


class FDSR(nn.Module):
    """The LST features take in the guidance's high frequencies three times, and find what bicubic interpolation misses.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        num_feats: Width of the features of either modality; a quarter of the guidance's are of low frequency.
        reference_compat: As published: the last octave convolution makes low frequencies that nobody looks at.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self, *, scale: int, guidance_bands: int = 10, num_feats: int = 32, reference_compat: bool = False
    ) -> None:
        super().__init__()
        require(num_feats >= 4, "fdsr", f"num_feats is {num_feats}: choose at least 4")
        self.scale = scale
        self.guidance_bands = guidance_bands
        low = num_feats // 4
        high = num_feats - low
        phases = _FACTOR**2
        self.lst_stem = nn.Sequential(same_conv(phases, num_feats), nn.LeakyReLU(_SLOPE), MultiScaleResBlock(num_feats))
        self.guidance_stem = nn.Sequential(same_conv(phases * guidance_bands, num_feats), nn.LeakyReLU(_SLOPE))
        self.octaves = nn.ModuleList(
            [
                OctaveConv((num_feats, 0), (high, low)),
                OctaveConv((high, low), (high, low)),
                OctaveConv((high, low), (high, low if reference_compat else 0)),
            ]
        )
        self.fusions = nn.ModuleList(MultiScaleResBlock(num_feats + high * (i + 1)) for i in range(3))
        self.tail = nn.Sequential(
            nn.LeakyReLU(_SLOPE),
            same_conv(num_feats + 3 * high, 4 * num_feats),
            nn.PixelShuffle(2),
            same_conv(num_feats, 4 * num_feats),
            nn.PixelShuffle(2),
            same_conv(num_feats, 1),
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
        upsampled = up_bicubic(lst, self.scale)
        _, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        features = self.lst_stem(self._phases(upsampled.to(guidance.dtype)))
        for fuse, high in zip(self.fusions, self._of_guidance(guidance), strict=True):
            features = fuse(torch.cat([features, high], dim=1))
        height, width = upsampled.shape[-2:]
        detail: Tensor = self.tail(features)[..., :height, :width]
        return upsampled + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        """High frequencies for each fusion."""
        high, low = self.guidance_stem(self._phases(guidance)), None
        highs = []
        for octave in self.octaves:
            high, low = octave(high, low)
            highs.append(high)
        return highs

    @staticmethod
    def _phases(x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, 16·C, H', W')`` on a grid that can be halved."""
        return phase_stack(padded(x, 2 * _FACTOR), _FACTOR)


SPEC = ModelSpec(
    name="fdsr",
    label="FDSR",
    description="Fast guided network: features on a quarter of the fine grid, from the guidance's high frequencies.",
    build=FDSR,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=None,  # local, but what a pixel sees depends on where it lies in the cells of 8 fine pixels
    presets={"paper": {}, "small": {"num_feats": 16}},
    paper=Paper(
        authors="L. He, H. Zhu, F. Li, H. Bai, R. Cong, C. Zhang, C. Lin, M. Liu, Y. Zhao",
        title="Towards Fast and Accurate Real-World Depth Super-Resolution: Benchmark Dataset and Baseline",
        venue="CVPR",
        year=2021,
    ),
)
