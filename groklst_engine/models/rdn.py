"""RDN: every layer of a block reads all layers before it, and the end reads all blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.resample import PixelShuffleHead, PixelShuffleUpsampler
from groklst_engine.models.spec import ModelSpec, Paper


class ResidualDenseBlock(nn.Module):
    """Densely connected convolutions, fused by a 1×1 convolution and added to the input.

    Args:
        channels: Width in and out.
        growth: Width that each convolution adds.
        n_layers: Number of 3×3 convolutions.
    """

    def __init__(self, channels: int, growth: int, n_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(same_conv(channels + i * growth, growth) for i in range(n_layers))
        self.fuse = nn.Conv2d(channels + n_layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        dense = x
        for layer in self.layers:
            dense = torch.cat([dense, F.relu(layer(dense))], dim=1)
        residual: Tensor = self.fuse(dense)
        return x + residual


class RDN(nn.Module):
    """Residual dense blocks on the coarse grid, fused, then sub-pixel convolutions; no interpolated skip.

    Args:
        scale: 2 and 4 go in steps of 2, any other scale in one step.
        num_feats: Width of the features between the blocks.
        growth: Width that each convolution of a block adds.
        n_blocks: Number of residual dense blocks.
        n_layers: 3×3 convolutions per block.
    """

    def __init__(
        self, *, scale: int, num_feats: int = 64, growth: int = 64, n_blocks: int = 16, n_layers: int = 8
    ) -> None:
        super().__init__()
        self.head = same_conv(1, num_feats)
        self.entry = same_conv(num_feats, num_feats)
        self.blocks = nn.ModuleList(ResidualDenseBlock(num_feats, growth, n_layers) for _ in range(n_blocks))
        self.fuse = nn.Sequential(nn.Conv2d(n_blocks * num_feats, num_feats, 1), same_conv(num_feats, num_feats))
        self.upsampler = (
            PixelShuffleUpsampler(num_feats, scale)
            if scale in (2, 4)
            else PixelShuffleHead(num_feats, num_feats, scale)
        )
        self.tail = same_conv(num_feats, 1)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = self.head(lst.to(self.head.weight.dtype))
        features = self.entry(shallow)
        levels = []
        for block in self.blocks:
            features = block(features)
            levels.append(features)
        deep = self.fuse(torch.cat(levels, dim=1)) + shallow
        result: Tensor = self.tail(self.upsampler(deep))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="rdn",
    label="RDN",
    description="Large, strong single-image network that reuses the features of all its layers.",
    build=RDN,
    guided=False,
    scales=(2, 3, 4, 8),
    # Coarse grid: head, entry, the convolutions of the blocks, fusion. Up-sampler and tail together reach 2 pixels.
    receptive_radius=lambda arguments: arguments["n_blocks"] * arguments["n_layers"] + 5,
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 16, "growth": 16, "n_blocks": 4, "n_layers": 4}},
    paper=Paper(
        authors="Y. Zhang, Y. Tian, Y. Kong, B. Zhong, Y. Fu",
        title="Residual Dense Network for Image Super-Resolution",
        venue="CVPR",
        year=2018,
        doi="arXiv:1802.08797",
    ),
)
