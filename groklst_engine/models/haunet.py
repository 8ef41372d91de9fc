"""HAUNet: a U-shaped network with attention among channels, among pixels, and between its levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import PixelShuffleHead, up_bilinear
from groklst_engine.layers.transformer import LN2d, transposed_attention
from groklst_engine.models.spec import ModelSpec, Paper, require

_LOGITS = 2**24
"""Most logits of the attention among pixels that are held at a time: 64 MiB in float32."""


def spatial_attention(query: Tensor, key: Tensor, value: Tensor, temperature: Tensor) -> Tensor:
    """Attention among all pixels by the angle between their channels; negative cosines count as 0.

    Its memory grows with the number of pixels, not with their square, in training, too.

    Args:
        query: ``(B, heads, D, N)``, N pixels; so are the others.
        key: What the queries meet.
        value: What is averaged.
        temperature: Multiplies the cosines, ``(heads, 1, 1)``.

    Returns:
        ``(B, heads, D, N)``.
    """

    def attend(query: Tensor, key: Tensor, value: Tensor, temperature: Tensor) -> Tensor:
        return F.relu(query @ key * temperature).softmax(dim=-1) @ value

    batch, heads, _, pixels = query.shape
    at_a_time = max(1, _LOGITS // (batch * heads * pixels))
    queries = torch.split(F.normalize(query, dim=2).transpose(-2, -1), at_a_time, dim=2)
    others = F.normalize(key, dim=2), value.transpose(-2, -1), temperature
    if torch.is_grad_enabled():
        parts = [checkpoint(attend, part, *others, use_reentrant=False, preserve_rng_state=False) for part in queries]
    else:
        parts = [attend(part, *others) for part in queries]
    return torch.cat(parts, dim=2).transpose(-2, -1)


class SimpleGateFFN(nn.Module):
    """Two 1×1 convolutions, one half of the hidden channels multiplied by the other; added to the input.

    Args:
        channels: Width in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LN2d(channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.weight = _channel_weights(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        left, right = self.expand(self.norm(x)).chunk(2, dim=1)
        residual: Tensor = self.project(left * right)
        return x + residual * self.weight


class HybridBlock(nn.Module):
    """Attention among channels and, if asked for, among pixels, added to the input; then a gated perceptron.

    Args:
        channels: Width C in and out.
        heads: Of both attentions, a divisor of C.
        spatial: Whether pixels attend to each other, too.
    """

    def __init__(self, channels: int, heads: int, spatial: bool) -> None:
        super().__init__()
        self.heads = heads
        self.spatial = spatial
        self.norm = LN2d(channels)
        self.qkv = _pointwise_depthwise(channels, 3 * channels)
        self.temperature = _temperature(heads)
        self.project = nn.Conv2d(channels, channels, 1)
        self.weight = _channel_weights(channels)
        if spatial:
            self.spatial_temperature = _temperature(heads)
            self.spatial_project = nn.Conv2d(channels, channels, 1)
            self.spatial_weight = _channel_weights(channels)
        self.ffn = SimpleGateFFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        query, key, value = (_in_heads(part, self.heads) for part in self.qkv(self.norm(x)).chunk(3, dim=1))
        mixed = transposed_attention(query, key, value, self.temperature, rectify=True)
        attended = x + self.project(mixed.reshape(x.shape)) * self.weight
        if self.spatial:
            mixed = spatial_attention(query, key, value, self.spatial_temperature)
            attended = attended + self.spatial_project(mixed.reshape(x.shape)) * self.spatial_weight
        result: Tensor = self.ffn(attended)
        return result


class Lateral(nn.Module):
    """Attention of the channels of each level to those of all levels, added to the level; then a gated perceptron.

    Published on the finest grid, with the coarser levels repeated there and every other pixel taken from the result;
    the pixels that are not taken are not computed here.

    Args:
        channels: Width C of each level.
        n_levels: Number of levels.
        heads: Of the attention, a divisor of C.
        reference_compat: With the published but unused projection of the last level.
    """

    def __init__(self, channels: int, n_levels: int, heads: int, reference_compat: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(LN2d(channels) for _ in range(n_levels))
        self.key_value = _pointwise_depthwise(n_levels * channels, 2 * n_levels * channels)
        self.queries = nn.ModuleList(_pointwise_depthwise(channels, channels) for _ in range(n_levels))
        self.temperatures = nn.ParameterList(_temperature(heads) for _ in range(n_levels))
        self.projects = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(n_levels - 1))
        self.weights = nn.ParameterList(_channel_weights(channels) for _ in range(n_levels))
        self.ffns = nn.ModuleList(SimpleGateFFN(channels) for _ in range(n_levels))
        if reference_compat:
            self.unused = nn.Conv2d(channels, channels, 1)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Levels ``(B, C, H/2^i, W/2^i)`` to as many of the same shapes."""
        normed = [F.interpolate(norm(x), size=levels[0].shape[-2:]) for norm, x in zip(self.norms, levels, strict=True)]
        key, value = self.key_value(torch.cat(normed, dim=1)).chunk(2, dim=1)
        key = _in_heads(key, self.heads)
        result = []
        for i, x in enumerate(levels):
            query = _in_heads(self.queries[i](normed[i]), self.heads)
            taken = _in_heads(value[..., :: 2**i, :: 2**i], self.heads)
            mixed = transposed_attention(query, key, taken, self.temperatures[i], rectify=True).reshape(x.shape)
            project = self.projects[min(i, len(self.projects) - 1)]  # the last two levels share it, as published
            result.append(self.ffns[i](x + project(mixed) * self.weights[i]))
        return result


class HAUNet(nn.Module):
    """Encoder, attention between the levels, decoder, a sub-pixel convolution, and a bilinear skip.

    Args:
        scale: Any whole number.
        num_feats: Width of all features.
        depths: Blocks of each level, finest first, in the encoder and again in the decoder; two levels or more.
        n_heads: Attention heads of each level, divisors of ``num_feats``.
        lateral_heads: Heads of the attention between the levels, a divisor of ``num_feats``.
        reference_compat: With the published but unused projection.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 180,
        depths: tuple[int, ...] = (5, 5, 5),
        n_heads: tuple[int, ...] = (1, 2, 4),
        lateral_heads: int = 2,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        n_levels = len(depths)
        require(n_levels > 1, "haunet", f"depths is {depths}: give at least two numbers")
        require(len(n_heads) == n_levels, "haunet", f"n_heads is {n_heads}: give as many numbers as in depths={depths}")
        for heads in (*n_heads, lateral_heads):
            require(
                num_feats % heads == 0, "haunet", f"{heads} heads do not divide num_feats={num_feats}: choose others"
            )

        def level(i: int) -> nn.Sequential:
            return nn.Sequential(*(HybridBlock(num_feats, n_heads[i], spatial=i == 0) for _ in range(depths[i])))

        self.scale = scale
        self.multiple = 2 ** (n_levels - 1)
        self.head = same_conv(1, num_feats)
        self.encoder = nn.ModuleList(level(i) for i in range(n_levels))
        self.downs = nn.ModuleList(nn.Conv2d(num_feats, num_feats, 2, stride=2) for _ in range(n_levels - 1))
        self.lateral = Lateral(num_feats, n_levels, lateral_heads, reference_compat)
        self.decoder = nn.ModuleList(level(i) for i in range(n_levels))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(num_feats, num_feats, 2, stride=2) for _ in range(n_levels - 1))
        self.tail = PixelShuffleHead(num_feats, 1, scale)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        upsampled = up_bilinear(lst, self.scale)
        finest, *others = self.encoder
        levels = [finest(self.head(padded(lst.to(self.head.weight.dtype), self.multiple)))]
        for down, blocks in zip(self.downs, others, strict=True):
            levels.append(blocks(down(levels[-1])))
        *finer, coarsest = self.lateral(levels)
        x = self.decoder[-1](coarsest)
        for i, skip in reversed(list(enumerate(finer))):
            x = self.decoder[i](self.ups[i](x) + skip)
        detail: Tensor = self.tail(x)[..., : upsampled.shape[-2], : upsampled.shape[-1]]
        return upsampled + detail.to(lst.dtype)


def _channel_weights(channels: int) -> nn.Parameter:
    """Weights of a residual branch; at 0, deep networks start as shallow ones."""
    return nn.Parameter(torch.zeros(1, channels, 1, 1))


def _temperature(heads: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(heads, 1, 1))


def _pointwise_depthwise(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, groups=out_channels),
    )


def _in_heads(x: Tensor, heads: int) -> Tensor:
    """``(B, C, H, W)`` to ``(B, heads, C/heads, H·W)``."""
    return x.reshape(len(x), heads, -1, x.shape[-2] * x.shape[-1])


SPEC = ModelSpec(
    name="haunet",
    label="HAUNet",
    description="U-shaped network of the remote-sensing community that relates all channels and pixels of the image.",
    build=HAUNet,
    guided=False,
    scales=(2, 3, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 32, "depths": (2, 1, 1)}},
    paper=Paper(
        authors="J. Wang, B. Wang, X. Wang, Y. Zhao, T. Long",
        title="Hybrid Attention-Based U-Shaped Network for Remote Sensing Image Super-Resolution",
        venue="IEEE Transactions on Geoscience and Remote Sensing",
        year=2023,
    ),
)
