"""NGswin: a light U-shaped transformer whose windows know of their neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import PixelShuffleHead
from groklst_engine.layers.transformer import MLP, channels_first, channels_last, init_linear_layers
from groklst_engine.layers.window import CosineWindowAttention, attend_in_windows
from groklst_engine.models.spec import ModelSpec, Paper, require

_N = 2  # windows per side of a neighbourhood


class WindowContext(nn.Module):
    """The n-gram context of each window: a summary of itself and its neighbours, of those behind and those before it.

    Args:
        channels: Width C; even.
        heads: Of the attention among neighbours.
        window: Side of a window.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        half = channels // 2
        self.summarise = nn.Conv2d(channels, half, window, stride=window, groups=half)
        self.attention = CosineWindowAttention(half, _N, heads)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``, at least two windows high and wide, to one vector per window, ``(B, C, H/w, W/w)``."""
        summary = self.summarise(x)
        behind = F.pad(summary, (0, 1, 0, 1), mode="reflect")
        before = F.pad(summary, (1, 0, 1, 0), mode="reflect")
        batch, half, height, width = summary.shape
        neighbourhoods = F.unfold(torch.cat([behind, before]), _N).reshape(2 * batch, half, _N**2, -1)
        tokens = neighbourhoods.permute(0, 3, 2, 1).flatten(0, 1)
        mixed = self.attention(tokens, None).mean(dim=1).reshape(2, batch, -1, half)
        both = mixed.permute(1, 0, 3, 2).reshape(batch, 2 * half, height, width)
        context: Tensor = self.merge(both)
        return context


class NGramBlock(nn.Module):
    """Attention in windows that were told their context, then a perceptron; each is normalised and added to its input.

    Args:
        channels: Width C; even.
        heads: Of both attentions.
        window: Side of a window.
        shift: Of the windows; 0 leaves them in place.
        mlp_ratio: Width of the hidden layer, in C.
    """

    def __init__(self, channels: int, *, heads: int, window: int, shift: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.context = WindowContext(channels, heads, window)
        self.attention = CosineWindowAttention(channels, window, heads)
        self.norm1 = nn.LayerNorm(channels)
        self.mlp = MLP(channels, int(channels * mlp_ratio))
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, H, W, C)`` to the same shape."""
        context = F.interpolate(self.context(channels_first(x)), scale_factor=self.window)
        attended = attend_in_windows(self.attention, x + channels_last(context), self.window, self.shift)
        x = x + self.norm1(attended)
        result: Tensor = x + self.norm2(self.mlp(x))
        return result


class Level(nn.ModuleList):
    """Blocks in a row, each added to its input; they map ``(B, H, W, C)`` to the same shape."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, H, W, C)`` to the last block's result and to the sum of input and all results, of the same shape."""
        last = x
        for block in self:
            last = block(x)
            x = x + last
        return last, x


class PatchMerge(nn.Module):
    """Join the four pixels of each 2×2 cell.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduce = nn.Linear(4 * channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, H, W, C)`` to ``(B, H/2, W/2, C)``."""
        cells = torch.cat([x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)], dim=-1)
        merged: Tensor = self.reduce(self.norm(cells))
        return merged


class Bottleneck(nn.Module):
    """Lift the features of all levels to the finest one, with what the first convolution saw, and mix them.

    The published name is SCDP: pixel-shuffle, concatenate, depth-wise convolution, point-wise projection.

    Args:
        channels: Width C of each level.
        n_levels: Number of levels; 4^(n_levels - 1) divides C.
    """

    def __init__(self, channels: int, n_levels: int) -> None:
        super().__init__()
        lifted = sum(channels // 4**level for level in range(n_levels))
        self.depthwise = nn.Conv2d(lifted, lifted, 3, padding=1, groups=lifted)
        self.pointwise = nn.Linear(lifted, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, levels: list[Tensor], shallow: Tensor) -> Tensor:
        """Levels ``(B, H/2^i, W/2^i, C)`` and ``shallow`` like the first of them to ``(B, H, W, C)``."""
        lifted = []
        for level, features in enumerate(levels):
            lifted.append(F.pixel_shuffle(channels_first(features + F.leaky_relu(shallow)), 2**level))
            shallow = _max_pool(shallow)
        mixed = F.gelu(self.depthwise(torch.cat(lifted, dim=1)))
        result: Tensor = self.norm(self.pointwise(channels_last(mixed)))
        return result


class NGswin(nn.Module):
    """Encoder of three levels, a bottleneck that joins them, decoder and sub-pixel convolution; no interpolated skip.

    Args:
        scale: Any whole number; published for 2, 3 and 4.
        num_feats: Width of all features, a multiple of 16.
        depths: Number of blocks of each level of the encoder.
        n_heads: Attention heads of each level of the encoder.
        decoder_depth: Number of blocks of the decoder.
        decoder_heads: Attention heads of the decoder.
        window: Side of an attention window, even.
        mlp_ratio: Width of the perceptrons' hidden layers, in ``num_feats``.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 64,
        depths: tuple[int, ...] = (6, 4, 4),
        n_heads: tuple[int, ...] = (6, 4, 4),
        decoder_depth: int = 6,
        decoder_heads: int = 6,
        window: int = 8,
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__()
        n_levels = len(depths)
        divisor = max(2, 4 ** (n_levels - 1))
        require(len(n_heads) == n_levels, "ngswin", f"n_heads is {n_heads}: give as many numbers as in depths={depths}")
        require(num_feats % divisor == 0, "ngswin", f"num_feats is {num_feats}: choose a multiple of {divisor}")
        heads = (*n_heads, decoder_heads)
        require(2 * max(heads) <= num_feats, "ngswin", f"there are {max(heads)} heads: choose at most num_feats / 2")
        require(window % 2 == 0, "ngswin", f"window is {window}: choose an even number")

        def level(depth: int, heads: int) -> Level:
            shifts = [i % 2 * (window // 2) for i in range(depth)]
            return Level(
                NGramBlock(num_feats, heads=heads, window=window, shift=shift, mlp_ratio=mlp_ratio) for shift in shifts
            )

        self.scale = scale
        self.window = window
        self.coarsest = 2 ** (n_levels - 1)
        self.head = same_conv(1, num_feats)
        self.encoder = nn.ModuleList(map(level, depths, n_heads))
        self.merges = nn.ModuleList(PatchMerge(num_feats) for _ in range(n_levels - 1))
        self.cascades = nn.ModuleList(nn.Linear((i + 2) * num_feats, num_feats) for i in range(n_levels - 1))
        self.bottleneck = Bottleneck(num_feats, n_levels)
        self.decoder = level(decoder_depth, decoder_heads)
        self.norm = nn.LayerNorm(num_feats)
        self.tail = nn.Sequential(PixelShuffleHead(num_feats, 1, scale), same_conv(1, 1))
        init_linear_layers(self)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised; padded with zeros, its mean.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        height, width = lst.shape[-2:]
        multiple = self.window * self.coarsest
        # The coarsest level needs two windows per side: the context of a single one has no neighbour to reflect.
        image = padded(lst.to(self.head.weight.dtype), multiple, "zeros", at_least=2 * multiple)
        shallow = channels_last(self.head(image))
        levels = self._encode(shallow)
        x, _ = self.decoder(self.bottleneck(levels, shallow) + levels[0])
        result: Tensor = self.tail(channels_first(self.norm(x) + shallow))
        return result[..., : self.scale * height, : self.scale * width].to(lst.dtype)

    def _encode(self, shallow: Tensor) -> list[Tensor]:
        """``(B, H, W, C)`` to the levels' features, ``(B, H/2^i, W/2^i, C)``."""
        features, x = self.encoder[0](shallow)
        levels = [features]
        cascade = shallow
        for level, merge, reduce in zip(self.encoder[1:], self.merges, self.cascades, strict=True):
            cascade = torch.cat([_max_pool(cascade), merge(x)], dim=-1)
            features, x = level(reduce(cascade))
            levels.append(features)
        return levels


def _max_pool(x: Tensor) -> Tensor:
    """``(B, H, W, C)`` to ``(B, H/2, W/2, C)``."""
    return channels_last(F.max_pool2d(channels_first(x), 2))


SPEC = ModelSpec(
    name="ngswin",
    label="NGswin",
    description="Very light transformer without guidance; x8 is an extension of the published x2 to x4.",
    build=NGswin,
    guided=False,
    scales=(2, 3, 4, 8),
    receptive_radius=None,  # local, but its windows begin at the corner of what it is given
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={
        "paper": {},
        "small": {
            "num_feats": 32,
            "depths": (2, 2, 2),
            "n_heads": (4, 4, 4),
            "decoder_depth": 2,
            "decoder_heads": 4,
        },
    },
    paper=Paper(
        authors="H. Choi, J. Lee, J. Yang",
        title="N-Gram in Swin Transformers for Efficient Lightweight Image Super-Resolution",
        venue="CVPR",
        year=2023,
        doi="arXiv:2211.11436",
    ),
)
