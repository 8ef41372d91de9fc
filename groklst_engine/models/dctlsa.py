"""DCTLSA: a light, densely connected transformer whose attention costs as much as a convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import PixelShuffleHead
from groklst_engine.layers.transformer import MLP, channels_first, channels_last
from groklst_engine.layers.window import window_partition, window_reverse
from groklst_engine.models.spec import ModelSpec, Paper, require

_SLOPE = 0.05
_MLP_RATIO = 2


class LinearAttention(nn.Module):
    """Attention among tokens at a cost linear in their number: the keys weight the values, the queries read the sums.

    Args:
        channels: Width C in and out.
        heads: Number of heads, a divisor of C.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, N, C)`` to the same shape."""
        batch, count, channels = tokens.shape
        split = self.qkv(tokens).reshape(batch, count, 3, self.heads, channels // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        sums = key.softmax(dim=-2).transpose(-2, -1) @ value
        read = query * query.shape[-1] ** -0.5 @ sums
        result: Tensor = self.project(read.transpose(1, 2).flatten(2))
        return result


class LinearTransformerBlock(nn.Module):
    """Local features, attention in windows, and a perceptron, each added to its input.

    Args:
        channels: Width C in and out.
        heads: Of the attention.
        window: Side of a window.
        shift: Of the windows, those at the borders included: opposite borders meet in one window.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.local = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
        )
        self.attention = LinearAttention(channels, heads)
        self.mlp = MLP(channels, _MLP_RATIO * channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, H, W, C)``, H and W multiples of the window's side, to the same shape."""
        height, width = x.shape[1:3]
        x = x.roll((-self.shift, -self.shift), (1, 2))
        x = x + channels_last(self.local(channels_first(x)))
        attended = self.attention(window_partition(x, self.window))
        x = x + window_reverse(attended, self.window, height, width)
        x = x.roll((self.shift, self.shift), (1, 2))
        result: Tensor = x + self.mlp(x)
        return result


class WindowLayer(nn.Module):
    """Two transformer blocks, the second one with shifted windows, on the normalised image.

    Args:
        channels: Width in and out.
        heads: Of the attentions.
        window: Side of a window; even.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(channels)
        self.blocks = nn.Sequential(
            *(LinearTransformerBlock(channels, heads, window, shift) for shift in (0, window // 2))
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        height, width = x.shape[-2:]
        result = self.blocks(self.norm(channels_last(padded(x, self.window))))
        return channels_first(result)[..., :height, :width]


class DCTLSA(nn.Module):
    """Densely connected transformers on the coarse grid, then a sub-pixel convolution; no interpolated skip.

    Args:
        scale: Any whole number.
        num_feats: Width of all features.
        n_groups: Number of groups of layers; each one reads all before it.
        n_layers: Layers per group, of two transformer blocks each.
        n_heads: Of each attention; a divisor of ``num_feats``.
        window: Side of an attention window, even.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 55,
        n_groups: int = 6,
        n_layers: int = 2,
        n_heads: int = 5,
        window: int = 16,
    ) -> None:
        super().__init__()
        require(num_feats % n_heads == 0, "dctlsa", f"n_heads is {n_heads}: choose a divisor of num_feats={num_feats}")
        require(window % 2 == 0, "dctlsa", f"window is {window}: choose an even number")

        def reduce(n_inputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(n_inputs * num_feats, num_feats, 1), nn.LeakyReLU(_SLOPE))

        self.head = same_conv(1, num_feats)
        self.groups = nn.ModuleList(
            nn.Sequential(*(WindowLayer(num_feats, n_heads, window) for _ in range(n_layers))) for _ in range(n_groups)
        )
        self.reduces = nn.ModuleList(reduce(i + 1) for i in range(1, n_groups))
        self.body_end = nn.Sequential(reduce(n_groups), same_conv(num_feats, num_feats))
        self.tail = PixelShuffleHead(num_feats, 1, scale)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = self.head(lst.to(self.head.weight.dtype))
        first, *others = self.groups
        dense = [shallow, first(shallow)]
        for reduce, group in zip(self.reduces, others, strict=True):
            dense.append(group(reduce(torch.cat(dense, dim=1))))
        deep = self.body_end(torch.cat(dense[1:], dim=1)) + shallow
        result: Tensor = self.tail(deep)
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="dctlsa",
    label="DCTLSA",
    description="Light transformer without guidance that stays fast on large images.",
    build=DCTLSA,
    guided=False,
    scales=(2, 3, 4, 8),
    receptive_radius=None,  # its shifted windows join opposite borders
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 30, "n_groups": 3, "n_layers": 1}},
    paper=Paper(
        authors="K. Zeng, H. Lin, Z. Yan, J. Fang",
        title="Densely Connected Transformer With Linear Self-Attention for Lightweight Image Super-Resolution",
        venue="IEEE Transactions on Instrumentation and Measurement",
        year=2023,
        doi="10.1109/TIM.2023.3304672",
    ),
)
