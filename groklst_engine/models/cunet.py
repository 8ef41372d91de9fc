"""CU-Net: what is common to both modalities, and what is unique to each, by unrolled convolutional sparse coding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.resample import radius_behind_bicubic, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper


class SoftThreshold(nn.Module):
    """Shrink every value towards 0 by one learned threshold; a negative threshold moves it away from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor([0.01]))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return x.sign() * (x.abs() - self.threshold).relu()


class SparseCoding(nn.Module):
    """Learned convolutional sparse coding: an iterative shrinkage algorithm, unrolled, with learned dictionaries.

    Args:
        in_channels: Width m of what is coded.
        num_filters: Width F of the code.
        kernel_size: Of the dictionaries; odd.
        num_iterations: Shrinkage steps after the first code.
    """

    def __init__(self, in_channels: int, num_filters: int, kernel_size: int, num_iterations: int) -> None:
        super().__init__()

        def dictionary(from_channels: int, to_channels: int) -> nn.Conv2d:
            return same_conv(from_channels, to_channels, kernel_size, bias=False)

        self.encode = dictionary(in_channels, num_filters)
        self.shrink = SoftThreshold()
        self.round_trips = nn.ModuleList(
            nn.Sequential(dictionary(num_filters, in_channels), dictionary(in_channels, num_filters))
            for _ in range(num_iterations)
        )
        self.shrink_again = nn.ModuleList(SoftThreshold() for _ in range(num_iterations))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, m, H, W)`` to ``(B, F, H, W)``."""
        encoded = self.encode(x)
        code: Tensor = self.shrink(encoded)
        for round_trip, shrink in zip(self.round_trips, self.shrink_again, strict=True):
            code = shrink(encoded + code - round_trip(code))
        return code


class CUNet(nn.Module):
    """Codes of what only the LST shows, only the guidance shows, and both show; the LST is decoded from two of them.

    Args:
        scale: Fine pixels per coarse pixel.
        guidance_bands: Number of guidance bands.
        num_filters: Width of the codes.
        kernel_size: Of all convolutions; odd.
        num_iterations: Shrinkage steps of each sparse coding.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_filters: int = 64,
        kernel_size: int = 9,
        num_iterations: int = 4,
    ) -> None:
        super().__init__()

        def coding(in_channels: int) -> SparseCoding:
            return SparseCoding(in_channels, num_filters, kernel_size, num_iterations)

        def decoding(out_channels: int) -> nn.Conv2d:
            return same_conv(num_filters, out_channels, kernel_size, bias=False)

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_coding = coding(1)
        self.guidance_coding = coding(guidance_bands)
        self.lst_unique = decoding(1)
        self.guidance_unique = decoding(guidance_bands)
        self.common_coding = coding(1 + guidance_bands)
        self.decode_unique = decoding(1)
        self.decode_common = decoding(1)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        upsampled = up_bicubic(coarse, self.scale)
        lst_code = self.lst_coding(upsampled)
        shared = [upsampled - self.lst_unique(lst_code), self._of_guidance(fine)]
        common_code = self.common_coding(torch.cat(shared, dim=1))
        result: Tensor = self.decode_unique(lst_code) + self.decode_common(common_code)
        return result.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> Tensor:
        """The guidance without what it alone shows."""
        rest: Tensor = guidance - self.guidance_unique(self.guidance_coding(guidance))
        return rest


def _radius(arguments: Mapping[str, Any]) -> int:
    reach = arguments["kernel_size"] // 2
    coding = (2 * arguments["num_iterations"] + 1) * reach
    return radius_behind_bicubic(2 * (coding + reach), arguments["scale"])


SPEC = ModelSpec(
    name="cunet",
    label="CU-Net",
    description="Tells apart what LST and guidance share and what only one of them shows; works in exact tiles.",
    build=CUNet,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=_radius,
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"num_filters": 16, "kernel_size": 5, "num_iterations": 2}},
    paper=Paper(
        authors="X. Deng, P. L. Dragotti",
        title="Deep Convolutional Neural Network for Multi-Modal Image Restoration and Fusion",
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
        year=2021,
        doi="arXiv:1910.04066",
    ),
)
