"""FeNet: light lattice blocks for remote sensing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import ChannelAttention
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.resample import PixelShuffleHead, up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper, require

_SLOPE = 0.05
_REDUCTION = 8


class LatticeBlock(nn.Module):
    """One half of the channels is convolved; then each half goes with the attended other one.

    Args:
        channels: Width C in and out; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.convs = nn.Sequential(
            same_conv(half, half),
            nn.LeakyReLU(_SLOPE),
            same_conv(half, half),
            nn.LeakyReLU(_SLOPE),
            same_conv(half, half),
        )
        self.attention_convolved = ChannelAttention(half, _REDUCTION)
        self.attention_plain = ChannelAttention(half, _REDUCTION)
        self.merge_plain = nn.Conv2d(channels, half, 1)
        self.merge_convolved = nn.Conv2d(channels, half, 1)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        first, plain = x.chunk(2, dim=1)
        convolved = self.convs(first)
        upper = self.merge_plain(torch.cat([plain, self.attention_convolved(convolved)], dim=1))
        lower = self.merge_convolved(torch.cat([convolved, self.attention_plain(plain)], dim=1))
        merged: Tensor = self.merge(torch.cat([upper, lower], dim=1))
        return merged


class AttentionFusion(nn.Module):
    """Merge two feature maps, each under its own channel attention.

    Args:
        channels: Width C of either, and of the result.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention1 = ChannelAttention(channels, _REDUCTION)
        self.attention2 = ChannelAttention(channels, _REDUCTION)
        self.merge = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        merged: Tensor = self.merge(torch.cat([self.attention1(first), self.attention2(second)], dim=1))
        return merged


class EnhancementBlock(nn.Module):
    """Three lattice blocks in a row, fused from the last to the first, added to the input.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lattice1 = LatticeBlock(channels)
        self.lattice2 = LatticeBlock(channels)
        self.lattice3 = LatticeBlock(channels)
        self.fuse_last = AttentionFusion(channels)
        self.fuse_first = AttentionFusion(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        x1 = self.lattice1(x)
        x2 = self.lattice2(x1)
        x3 = self.lattice3(x2)
        residual: Tensor = self.fuse_first(self.fuse_last(x3, x2), x1)
        return x + residual


class BackwardFusion(nn.Module):
    """Gather the results of all stages, from the last to the first.

    Args:
        channels: Width C of every stage and of the result; even.
        n_stages: Number of stages, 2 or more.
    """

    def __init__(self, channels: int, n_stages: int) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = nn.ModuleList(nn.Conv2d(channels, half, 1) for _ in range(n_stages))
        self.fuse = nn.ModuleList([*(nn.Conv2d(channels, half, 1) for _ in range(n_stages - 2)), nn.Identity()])

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Stages of ``(B, C, H, W)``, first to last, to ``(B, C, H, W)``."""
        *earlier, fused = (F.relu(reduce(stage)) for reduce, stage in zip(self.reduce, stages, strict=True))
        for fuse, stage in zip(self.fuse, reversed(earlier), strict=True):
            fused = fuse(torch.cat([fused, stage], dim=1))
        return fused


class FeNet(nn.Module):
    """A chain of enhancement blocks, gathered backwards, one sub-pixel convolution, a bicubic skip.

    Args:
        scale: Any whole number.
        num_feats: Width of all features; even, 16 or more.
        n_blocks: Number of enhancement blocks, 2 or more.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(self, *, scale: int, num_feats: int = 48, n_blocks: int = 4) -> None:
        super().__init__()
        usable_width = num_feats % 2 == 0 and num_feats >= 2 * _REDUCTION
        require(usable_width, "fenet", f"num_feats is {num_feats}: choose an even number of {2 * _REDUCTION} or more")
        require(n_blocks >= 2, "fenet", f"n_blocks is {n_blocks}: choose 2 or more")
        self.scale = scale
        self.head = nn.Sequential(same_conv(1, num_feats), same_conv(num_feats, num_feats))
        self.blocks = nn.ModuleList(EnhancementBlock(num_feats) for _ in range(n_blocks))
        self.fusion = BackwardFusion(num_feats, n_blocks)
        self.tail = nn.Sequential(same_conv(num_feats, num_feats), PixelShuffleHead(num_feats, 1, scale))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = features = self.head(lst.to(next(self.parameters()).dtype))
        stages = []
        for block in self.blocks:
            features = block(features)
            stages.append(features)
        detail: Tensor = self.tail(shallow + self.fusion(stages))
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="fenet",
    label="FeNet",
    description="Very small single-image network for remote sensing, of lattice blocks with channel attention.",
    build=FeNet,
    guided=False,
    scales=(2, 3, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 32, "n_blocks": 2}},
    paper=Paper(
        authors="Z. Wang, L. Li, Y. Xue, C. Jiang, J. Wang, K. Sun, H. Ma",
        title="FeNet: Feature Enhancement Network for Lightweight Remote-Sensing Image Super-Resolution",
        venue="IEEE Transactions on Geoscience and Remote Sensing",
        year=2022,
    ),
)
