"""SwinIR: a residual network of Swin transformers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import PixelShuffleUpsampler
from groklst_engine.layers.transformer import MLP, DropPath, channels_first, channels_last, init_linear_layers
from groklst_engine.layers.window import WindowAttention, attend_in_windows
from groklst_engine.models.spec import ModelSpec, Paper, require


class SwinBlock(nn.Module):
    """Window attention, then a perceptron, each normalised before and added to its input.

    Args:
        channels: Width C in and out.
        heads: Of the attention.
        window: Side of a window.
        shift: Of the windows; 0 leaves them in place.
        mlp_ratio: Width of the hidden layer, in C.
        drop_path: Probability of leaving out either part in training.
    """

    def __init__(
        self, channels: int, *, heads: int, window: int, shift: int, mlp_ratio: float, drop_path: float
    ) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, window, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLP(channels, int(channels * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, H, W, C)`` to the same shape."""
        x = x + self.drop_path(attend_in_windows(self.attention, self.norm1(x), self.window, self.shift))
        result: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return result


class ResidualSwinGroup(nn.Module):
    """Swin blocks and a 3×3 convolution, added to the input.

    Args:
        blocks: Map ``(B, H, W, C)`` to the same shape.
        channels: Width C in and out.
    """

    def __init__(self, blocks: Iterable[SwinBlock], channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.conv = same_conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, H, W, C)`` to the same shape."""
        residual: Tensor = channels_last(self.conv(channels_first(self.blocks(x))))
        return x + residual


class SwinIR(nn.Module):
    """Groups of Swin blocks on the coarse grid, then sub-pixel convolutions; no interpolated skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width of the transformer.
        depths: Number of blocks of each group.
        n_heads: Of each attention; a divisor of ``num_feats``.
        window: Side of an attention window, even.
        mlp_ratio: Width of the perceptrons' hidden layers, in ``num_feats``.
        upsampler_feats: Width behind the transformer.
        drop_path: Probability of leaving out the last block in training; it rises to this from 0 at the first one.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 180,
        depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6),
        n_heads: int = 6,
        window: int = 8,
        mlp_ratio: float = 2.0,
        upsampler_feats: int = 64,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        require(num_feats % n_heads == 0, "swinir", f"n_heads is {n_heads}: choose a divisor of num_feats={num_feats}")
        require(window % 2 == 0, "swinir", f"window is {window}: choose an even number")
        last = max(1, sum(depths) - 1)
        numbers = itertools.count()

        def block(index: int) -> SwinBlock:
            return SwinBlock(
                num_feats,
                heads=n_heads,
                window=window,
                shift=index % 2 * (window // 2),
                mlp_ratio=mlp_ratio,
                drop_path=drop_path * next(numbers) / last,
            )

        self.scale = scale
        self.window = window
        self.head = same_conv(1, num_feats)
        self.norm_in = nn.LayerNorm(num_feats)
        self.groups = nn.Sequential(
            *(ResidualSwinGroup((block(i) for i in range(depth)), num_feats) for depth in depths)
        )
        self.norm_out = nn.LayerNorm(num_feats)
        self.body_end = same_conv(num_feats, num_feats)
        self.tail = nn.Sequential(
            same_conv(num_feats, upsampler_feats),
            nn.LeakyReLU(0.01),
            PixelShuffleUpsampler(upsampler_feats, scale),
            same_conv(upsampler_feats, 1),
        )
        init_linear_layers(self)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        height, width = lst.shape[-2:]
        shallow = self.head(padded(lst.to(self.head.weight.dtype), self.window))
        x = self.norm_out(self.groups(self.norm_in(channels_last(shallow))))
        deep = self.body_end(channels_first(x)) + shallow
        result: Tensor = self.tail(deep)
        return result[..., : self.scale * height, : self.scale * width].to(lst.dtype)


SPEC = ModelSpec(
    name="swinir",
    label="SwinIR",
    description="Strong general-purpose transformer without guidance; large and slow in its published size.",
    build=SwinIR,
    guided=False,
    scales=(2, 3, 4, 8),
    receptive_radius=None,  # local, but its windows begin at the corner of what it is given
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 32, "depths": (2, 2, 2), "n_heads": 4, "upsampler_feats": 32}},
    paper=Paper(
        authors="J. Liang, J. Cao, G. Sun, K. Zhang, L. Van Gool, R. Timofte",
        title="SwinIR: Image Restoration Using Swin Transformer",
        venue="ICCV Workshops (AIM)",
        year=2021,
        doi="arXiv:2108.10257",
    ),
)
