"""ACT: a convolutional and a transformer branch that exchange their features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import ResidualGroup
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import PixelShuffleUpsampler
from groklst_engine.layers.residual import PlainResBlock
from groklst_engine.layers.transformer import MLP, attend
from groklst_engine.models.spec import ModelSpec, Paper, require

_MLP_RATIO = 4


class SelfAttention(nn.Module):
    """Attention among all tokens, normalised before and added to its input.

    Args:
        channels: Width C of a token.
        heads: Number of heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.project = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, T, C)`` to the same shape."""
        query, key, value = self.qkv(self.norm(tokens)).chunk(3, dim=-1)
        residual: Tensor = self.project(attend(query, key, value, self.heads))
        return tokens + residual


class CrossAttention(nn.Module):
    """Attention of tokens to others, both normalised before; added to the former.

    Args:
        channels: Width C of a token of either kind.
        heads: Number of heads.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.norm_others = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key_value = nn.Linear(channels, 2 * channels, bias=False)
        self.project = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        """``(B, T, C)`` and ``(B, S, C)`` to ``(B, T, C)``."""
        key, value = self.key_value(self.norm_others(others)).chunk(2, dim=-1)
        residual: Tensor = self.project(attend(self.query(self.norm(tokens)), key, value, self.heads))
        return tokens + residual


class ResidualMLP(nn.Module):
    """A perceptron on each token, normalised before and added to its input.

    Args:
        channels: Width C of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mlp = MLP(channels, _MLP_RATIO * channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, T, C)`` to the same shape."""
        residual: Tensor = self.mlp(self.norm(tokens))
        return tokens + residual


class MultiScaleTransformer(nn.Module):
    """Attention among all tokens, then between half of their channels and larger, overlapping tokens of the other half.

    Args:
        channels: Width D of a token.
        side: Pixels per side of a token's patch; the larger ones have twice as many.
        heads: Of the attention among all tokens.
        cross_heads: Of the attention between both kinds.
    """

    def __init__(self, channels: int, side: int, heads: int, cross_heads: int) -> None:
        super().__init__()
        half, large = channels // 2, 2 * channels  # a patch of four times the pixels, of half the channels
        self.side = side
        self.attention = nn.Sequential(SelfAttention(channels, heads), ResidualMLP(channels))
        self.embed = nn.Sequential(nn.LayerNorm(large), nn.Linear(large, half), nn.GELU(), nn.Linear(half, half))
        self.small_to_large = CrossAttention(half, cross_heads)
        self.large_to_small = CrossAttention(half, cross_heads)
        self.expand = nn.Sequential(nn.LayerNorm(half), nn.Linear(half, half), nn.GELU(), nn.Linear(half, large))
        self.mlp = ResidualMLP(channels)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """``(B, T, D)`` of an image of ``size`` to the same shape."""
        side = self.side
        small, other_half = self.attention(tokens).chunk(2, dim=-1)
        large = self.embed(to_tokens(to_image(other_half, side, side, size), 2 * side, side))
        small, large = self.small_to_large(small, large), self.large_to_small(large, small)
        other_half = to_tokens(to_image(self.expand(large), 2 * side, side, size), side, side)
        result: Tensor = self.mlp(torch.cat([small, other_half], dim=-1))
        return result


class FusionBlock(nn.Module):
    """Two 1×1 convolutions with a ReLU between them, added to the input.

    Args:
        channels: Width in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + residual


class Stage(nn.Module):
    """Refine both branches, each in its own way, and mix them pixel by pixel.

    Args:
        transformer: Refines the tokens, given the size of their image.
        convolutions: Refines the image of the convolutional branch, C channels wide.
        mix: Maps an image of 2C channels to another one.
        side: Pixels per side of a token's patch.
    """

    def __init__(self, transformer: nn.Module, convolutions: nn.Module, mix: nn.Module, side: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.convolutions = convolutions
        self.mix = mix
        self.side = side

    def forward(self, tokens: Tensor, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens ``(B, T, D)`` and image ``(B, C, H, W)`` to both refined and their mixture ``(B, 2C, H, W)``."""
        height, width = image.shape[-2:]
        tokens = self.transformer(tokens, (height, width))
        image = self.convolutions(image)
        both = torch.cat([image, to_image(tokens, self.side, self.side, (height, width))], dim=1)
        return tokens, image, both + self.mix(both)


class Exchange(nn.Module):
    """Add to either branch what the mixture made of the other one.

    Args:
        channels: Width C of the convolutional branch.
        side: Pixels per side of a token's patch.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        width = channels * side**2
        self.side = side
        self.for_tokens = nn.Sequential(nn.LayerNorm(width), MLP(width, _MLP_RATIO * width))
        self.for_image = nn.Sequential(same_conv(channels, channels), nn.ReLU(), same_conv(channels, channels))

    def forward(self, tokens: Tensor, image: Tensor, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens ``(B, T, D)``, image ``(B, C, H, W)``, mixture ``(B, 2C, H, W)`` to tokens and image."""
        from_convolutions, from_transformer = mixture.chunk(2, dim=1)
        tokens = tokens + self.for_tokens(to_tokens(from_convolutions, self.side, self.side))
        return tokens, image + self.for_image(from_transformer)


class ACT(nn.Module):
    """Stages of both branches with exchanges between them, then sub-pixel convolutions; no interpolated skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width C of the convolutional branch; even.
        token_side: Coarse pixels per side of a token; the tokens are C·token_side² wide.
        num_stages: Number of stages.
        n_resblocks: Residual blocks per stage.
        reduction: Of their channel attention; at most C.
        n_heads: Heads of the attention among tokens.
        cross_heads: Heads of the attention between small and large tokens.
        fusion_depth: Number of blocks that mix the branches.
        reference_compat: As published: with an unused convolution, and blind in the tokens to the last rows and
            columns of sizes that are no multiples of ``token_side``.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 64,
        token_side: int = 3,
        num_stages: int = 4,
        n_resblocks: int = 12,
        reduction: int = 16,
        n_heads: int = 8,
        cross_heads: int = 4,
        fusion_depth: int = 4,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        width = num_feats * token_side**2
        require(num_feats % 2 == 0, "act", f"num_feats is {num_feats}: choose an even number")
        require(num_feats >= reduction, "act", f"reduction is {reduction}: choose at most num_feats={num_feats}")
        require(width % n_heads == 0, "act", f"n_heads is {n_heads}: choose a divisor of {width}, a token's width")
        require(width // 2 % cross_heads == 0, "act", f"cross_heads is {cross_heads}: choose a divisor of {width // 2}")

        def stage() -> Stage:
            return Stage(
                MultiScaleTransformer(width, token_side, n_heads, cross_heads),
                ResidualGroup(num_feats, n_resblocks, reduction),
                nn.Sequential(*(FusionBlock(2 * num_feats) for _ in range(fusion_depth))),
                token_side,
            )

        self.scale = scale
        self.token_side = token_side
        self.reference_compat = reference_compat
        self.head = nn.Sequential(
            same_conv(1, num_feats), PlainResBlock(num_feats, kernel_size=5), PlainResBlock(num_feats, kernel_size=5)
        )
        self.embed = nn.Linear(width, width)
        self.stages = nn.ModuleList(stage() for _ in range(num_stages))
        self.exchanges = nn.ModuleList(Exchange(num_feats, token_side) for _ in range(num_stages - 1))
        self.body_end = same_conv(2 * num_feats, num_feats)
        self.tail = nn.Sequential(PixelShuffleUpsampler(num_feats, scale), same_conv(num_feats, 1))
        if reference_compat:
            self.unused = same_conv(num_feats, num_feats)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised; at least two tokens high and wide.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        height, width = lst.shape[-2:]
        image = lst.to(self.embed.weight.dtype)
        shallow = self.head(image if self.reference_compat else padded(image, self.token_side))
        tokens = to_tokens(shallow, self.token_side, self.token_side)
        first, *others = self.stages
        tokens, image, mixture = first(tokens + self.embed(tokens), shallow)
        for exchange, stage in zip(self.exchanges, others, strict=True):
            tokens, image, mixture = stage(*exchange(tokens, image, mixture))
        result: Tensor = self.tail(self.body_end(mixture) + shallow)
        return result[..., : self.scale * height, : self.scale * width].to(lst.dtype)


def to_tokens(image: Tensor, side: int, stride: int) -> Tensor:
    """Patches of ``side`` × ``side`` pixels, row by row: ``(B, C, H, W)`` to ``(B, T, C·side²)``."""
    return F.unfold(image, side, stride=stride).transpose(1, 2)


def to_image(tokens: Tensor, side: int, stride: int, size: tuple[int, int]) -> Tensor:
    """The sum of all patches, ``(B, T, C·side²)``, each in its place: ``(B, C, H, W)`` with H and W from ``size``."""
    return F.fold(tokens.transpose(1, 2), size, side, stride=stride)


SPEC = ModelSpec(
    name="act",
    label="ACT",
    description="Large single-image network of convolutions and attention across the whole image.",
    build=ACT,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={
        "paper": {},
        "small": {
            "num_feats": 16,
            "token_side": 2,
            "num_stages": 2,
            "n_resblocks": 2,
            "reduction": 4,
            "n_heads": 4,
            "cross_heads": 2,
            "fusion_depth": 1,
        },
    },
    paper=Paper(
        authors="J. Yoo, T. Kim, S. Lee, S. H. Kim, H. Lee, T. H. Kim",
        title="Enriched CNN-Transformer Feature Aggregation Networks for Super-Resolution",
        venue="WACV",
        year=2023,
        doi="arXiv:2203.07682",
    ),
)
