"""DKN: every fine pixel gets a sparse filter of its own, from both modalities."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.deformable import JointKernelFilter, KernelHeads
from groklst_engine.layers.resample import radius_behind_bicubic
from groklst_engine.models.spec import ModelSpec, Paper


class KernelNetwork(nn.Module):
    """Weights and offsets of every pixel's filter, from the 50 × 50 pixels around it.

    The published network halves the resolution twice and is run 16 times, shifted, to fill the gaps. Dilated
    convolutions give the very result at once; only the statistics of a training batch are those of all pixels instead
    of 16 samples of them.

    Args:
        in_channels: Bands of the modality.
        num_feats: Width F of the first features; the last ones have 4·F.
        taps: T, of a filter.
    """

    def __init__(self, in_channels: int, num_feats: int, taps: int) -> None:
        super().__init__()
        middle, wide = 2 * num_feats, 4 * num_feats
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, num_feats, 7),
            nn.BatchNorm2d(num_feats),
            nn.ReLU(),
            nn.Conv2d(num_feats, num_feats, 2),
            nn.ReLU(),
            nn.Conv2d(num_feats, middle, 5, dilation=2),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, middle, 2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(middle, wide, 5, dilation=4),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, dilation=4),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, dilation=4),
            nn.ReLU(),
        )
        self.heads = KernelHeads(wide, taps)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, in_channels, H, W)`` to weights, ``(B, T, H, W)``, and offsets, ``(B, 2·T, H, W)``."""
        weights, offsets = self.heads(self.features(F.pad(x, (25, 24, 25, 24))))
        return weights, offsets


class DKN(JointKernelFilter):
    """Kernels from wide neighbourhoods on the fine grid.

    Args:
        scale: Fine pixels per coarse pixel; the weights do not depend on it.
        guidance_bands: Number of guidance bands.
        num_feats: Width of the first features of either modality.
        kernel_size: A filter has this many taps in either direction.
    """

    def __init__(self, *, scale: int, guidance_bands: int = 10, num_feats: int = 32, kernel_size: int = 3) -> None:
        taps = kernel_size**2
        super().__init__(
            scale,
            guidance_bands,
            lst_kernels=KernelNetwork(1, num_feats, taps),
            guidance_kernels=KernelNetwork(guidance_bands, num_feats, taps),
        )


SPEC = ModelSpec(
    name="dkn",
    label="DKN",
    description="Guided filter: a sparse kernel for every pixel, weights and offsets learned; stays close to bicubic.",
    build=DKN,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: radius_behind_bicubic(25, arguments["scale"]),
    bf16_ok=False,  # bfloat16 moves the places where the LST is sampled
    presets={"paper": {}, "small": {"num_feats": 8}},
    paper=Paper(
        authors="B. Kim, J. Ponce, B. Ham",
        title="Deformable Kernel Networks for Joint Image Filtering",
        venue="International Journal of Computer Vision",
        year=2021,
        doi="arXiv:1910.08373",
    ),
)
