"""FDKN: the fast variant of DKN, its convolutions on the coarse grid."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.deformable import JointKernelFilter, KernelHeads
from groklst_engine.layers.resample import phase_stack
from groklst_engine.models.spec import ModelSpec, Paper


class FastKernelNetwork(nn.Module):
    """Weights and offsets of every fine pixel's filter, computed on the coarse grid.

    Args:
        in_channels: Bands of the modality.
        num_feats: Width F of the first features; the last ones have 4·F.
        taps: T, of a filter.
        scale: Fine pixels per coarse pixel.
    """

    def __init__(self, in_channels: int, num_feats: int, taps: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = []
        before = in_channels * scale**2
        for width in (num_feats, 2 * num_feats, 4 * num_feats):
            layers += [same_conv(before, width), nn.BatchNorm2d(width), nn.ReLU(), same_conv(width, width), nn.ReLU()]
            before = width
        self.features = nn.Sequential(*layers)
        self.heads = KernelHeads(before, taps * scale**2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, in_channels, H, W)`` to weights, ``(B, T, H, W)``, and offsets, ``(B, 2·T, H, W)``."""
        weights, offsets = self.heads(self.features(phase_stack(x, self.scale)))
        return F.pixel_shuffle(weights, self.scale), F.pixel_shuffle(offsets, self.scale)


class FDKN(JointKernelFilter):
    """Kernels from convolutions on the coarse grid.

    Args:
        scale: Fine pixels per coarse pixel.
        guidance_bands: Number of guidance bands.
        num_feats: Width of the first features of either modality.
        kernel_size: A filter has this many taps in either direction.
    """

    def __init__(self, *, scale: int, guidance_bands: int = 10, num_feats: int = 32, kernel_size: int = 3) -> None:
        taps = kernel_size**2
        super().__init__(
            scale,
            guidance_bands,
            lst_kernels=FastKernelNetwork(1, num_feats, taps, scale),
            guidance_kernels=FastKernelNetwork(guidance_bands, num_feats, taps, scale),
        )


SPEC = ModelSpec(
    name="fdkn",
    label="FDKN",
    description="Cheap guided filter: DKN with all convolutions on the coarse grid; stays close to bicubic.",
    build=FDKN,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: 8,  # 6 convolutions on the coarse grid, and bicubic interpolation before them
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
