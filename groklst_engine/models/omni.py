"""Omni-SR: a light transformer that mixes pixels and channels, near and far."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import EnhancedSpatialAttention
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.padding import padded
from groklst_engine.layers.pooling import image_means
from groklst_engine.layers.resample import PixelShuffleHead
from groklst_engine.layers.transformer import LN2d, transposed_attention
from groklst_engine.layers.window import WindowAttention
from groklst_engine.models.spec import ModelSpec, Paper, require

_REDUCTION = 4
_LEAST_SIDE = 15
"""Pixels per side that the spatial gates need."""


class SqueezeExciteSiLU(nn.Module):
    """Scale every channel by a gate computed from the means of all channels over the whole image.

    Args:
        channels: Width in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // _REDUCTION, bias=False)
        self.excite = nn.Linear(channels // _REDUCTION, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        gates = torch.sigmoid(self.excite(F.silu(self.squeeze(image_means(x).flatten(1)))))
        return x * gates[..., None, None]


class LocalConv(nn.Sequential):
    """The convolutional part of a block: ``(B, C, H, W)`` to the same shape.

    Args:
        channels: Width C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 1),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.GELU(),
            SqueezeExciteSiLU(channels),
            nn.Conv2d(channels, channels, 1),
        )


class GatedFeedForward(nn.Module):
    """Half of the hidden channels gate the other half, pixel by pixel.

    Args:
        channels: Width in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LN2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        gate, value = self.depthwise(self.expand(self.norm(x))).chunk(2, dim=1)
        result: Tensor = self.project(F.gelu(gate) * value)
        return result


class PixelAttention(nn.Module):
    """Attention among the pixels of a window, or of a grid of as many pixels that spans the image.

    Args:
        channels: Width C in and out.
        heads: Number of heads.
        side: Pixels per side of window or grid.
        spanning: Whether it is a grid.
    """

    def __init__(self, channels: int, heads: int, side: int, spanning: bool) -> None:
        super().__init__()
        self.side = side
        self.spanning = spanning
        self.norm = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, side, heads, bias=False)
        nn.init.normal_(self.attention.table)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``, H and W multiples of the side, to the same shape."""
        height, width = x.shape[-2:]
        cell = (height // self.side, width // self.side) if self.spanning else (self.side, self.side)
        return mix_groups(lambda tokens: self.attention(self.norm(tokens), None), x, cell, across=self.spanning)


class GroupedChannelAttention(nn.Module):
    """Attention among channels, by what they hold in a window, or in the same pixel of all windows.

    Args:
        channels: Width C in and out.
        heads: Number of heads, a divisor of C.
        side: Pixels per side of a window.
        spanning: Whether it is the same pixel of all windows.
    """

    def __init__(self, channels: int, heads: int, side: int, spanning: bool) -> None:
        super().__init__()
        self.heads = heads
        self.cell = (side, side)
        self.spanning = spanning
        self.norm = LN2d(channels)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``, H and W multiples of the side, to the same shape."""
        qkv = self.depthwise(self.qkv(self.norm(x)))
        result: Tensor = self.project(mix_groups(self._attend, qkv, self.cell, across=self.spanning))
        return result

    def _attend(self, tokens: Tensor) -> Tensor:
        """``(G, N, 3C)`` to ``(G, N, C)``."""
        groups, pixels, _ = tokens.shape
        query, key, value = tokens.transpose(1, 2).reshape(groups, 3, self.heads, -1, pixels).unbind(1)
        return transposed_attention(query, key, value, self.temperature).flatten(1, 2).transpose(1, 2)


class Residual(nn.Module):
    """Add what a branch makes of its input.

    Args:
        branch: Keeps the shape.
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same."""
        residual: Tensor = self.branch(x)
        return x + residual


class OmniBlock(nn.Sequential):
    """Convolutions, then attention among pixels and among channels, near and then far: ``(B, C, H, W)`` as it was.

    Args:
        channels: Width C.
        heads: Of all attentions.
        side: Pixels per side of windows and grids.
    """

    def __init__(self, channels: int, heads: int, side: int) -> None:
        branches: list[nn.Module] = [LocalConv(channels)]
        for spanning in (False, True):
            branches += [
                PixelAttention(channels, heads, side, spanning),
                GatedFeedForward(channels),
                GroupedChannelAttention(channels, heads, side, spanning),
                GatedFeedForward(channels),
            ]
        super().__init__(*map(Residual, branches))


class OmniGroup(nn.Module):
    """Blocks and a 1×1 convolution, added to the input, then gated.

    Args:
        channels: Width in and out.
        n_blocks: Number of blocks.
        heads: Of all attentions.
        side: Pixels per side of windows and grids.
    """

    def __init__(self, channels: int, n_blocks: int, heads: int, side: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(OmniBlock(channels, heads, side) for _ in range(n_blocks)))
        self.conv = nn.Conv2d(channels, channels, 1)
        self.gate = EnhancedSpatialAttention(channels, channels // _REDUCTION, n_convs=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        result: Tensor = self.gate(x + self.conv(self.blocks(x)))
        return result


class OmniSR(nn.Module):
    """Groups of blocks on the coarse grid, then a sub-pixel convolution; no interpolated skip.

    Args:
        scale: Any whole number.
        num_feats: Width of all features, a multiple of 4.
        n_groups: Number of groups.
        n_blocks: Blocks per group.
        n_heads: Of each attention; a divisor of ``num_feats``.
        window: Pixels per side of windows and grids.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 64,
        n_groups: int = 5,
        n_blocks: int = 4,
        n_heads: int = 4,
        window: int = 8,
    ) -> None:
        super().__init__()
        require(num_feats % _REDUCTION == 0, "omni", f"num_feats is {num_feats}: choose a multiple of {_REDUCTION}")
        require(num_feats % n_heads == 0, "omni", f"n_heads is {n_heads}: choose a divisor of num_feats={num_feats}")
        self.scale = scale
        self.window = window
        self.head = same_conv(1, num_feats)
        self.groups = nn.Sequential(*(OmniGroup(num_feats, n_blocks, n_heads, window) for _ in range(n_groups)))
        self.body_end = same_conv(num_feats, num_feats)
        self.tail = PixelShuffleHead(num_feats, 1, scale)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised; padded with zeros, its mean.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        height, width = lst.shape[-2:]
        at_least = math.ceil(_LEAST_SIDE / self.window) * self.window
        shallow = self.head(padded(lst.to(self.head.weight.dtype), self.window, "zeros", at_least))
        result: Tensor = self.tail(self.body_end(self.groups(shallow)) + shallow)
        return result[..., : self.scale * height, : self.scale * width].to(lst.dtype)


def mix_groups(mix: Callable[[Tensor], Tensor], x: Tensor, cell: tuple[int, int], across: bool) -> Tensor:
    """Mix the pixels of each cell, or those that have the same place in all cells.

    Args:
        mix: Maps groups of pixels ``(G, N, C)`` to ``(G, N, D)``.
        x: ``(B, C, H, W)``.
        cell: Height and width of a cell, divisors of H and W.
        across: Whether a group has one pixel of each cell.

    Returns:
        ``(B, D, H, W)``.
    """
    batch, channels, height, width = x.shape
    rows, columns = cell
    cells = x.reshape(batch, channels, height // rows, rows, width // columns, columns)
    groups = cells.permute((0, 3, 5, 2, 4, 1) if across else (0, 2, 4, 3, 5, 1))
    mixed = mix(groups.reshape(-1, groups.shape[3] * groups.shape[4], channels))
    back = mixed.reshape(*groups.shape[:5], -1).permute((0, 5, 3, 1, 4, 2) if across else (0, 5, 1, 3, 2, 4))
    return back.reshape(batch, -1, height, width)


SPEC = ModelSpec(
    name="omni",
    label="Omni-SR",
    description="Light transformer without guidance that looks at the neighbourhood and across the whole image.",
    build=OmniSR,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.07 K
    presets={"paper": {}, "small": {"num_feats": 32, "n_groups": 2, "n_blocks": 1}},
    paper=Paper(
        authors="H. Wang, X. Chen, B. Ni, Y. Liu, J. Liu",
        title="Omni Aggregation Networks for Lightweight Image Super-Resolution",
        venue="CVPR",
        year=2023,
        doi="arXiv:2304.10244",
    ),
)
