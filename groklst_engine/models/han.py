"""HAN: channel attention blocks, and attention across layers, and across channels and positions together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.attention import ResidualGroup
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.precision import widened, without_autocast
from groklst_engine.layers.resample import PixelShuffleUpsampler
from groklst_engine.models.spec import ModelSpec, Paper


class LayerAttention(nn.Module):
    """Add to the features of every layer a mixture of all layers, unlike ones weighing most; none at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, layers: Tensor) -> Tensor:
        """``(B, N, C, H, W)``, N layers, to the same shape."""
        rows = layers.flatten(2)
        with without_autocast(rows):  # sums over all pixels and channels
            exact = widened(rows)
            weights = torch.softmax(-exact @ exact.mT, dim=-1)
        mixture = (weights.to(rows.dtype) @ rows).reshape(layers.shape)
        return layers + self.strength * mixture


class ChannelSpatialAttention(nn.Module):
    """Amplify each value by a gate from its neighbours in space and among the channels; not at all at the start."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))
        self.conv = nn.Conv3d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        gates = torch.sigmoid(self.conv(x[:, None]))[:, 0]
        return x + self.strength * gates * x


class HAN(nn.Module):
    """Groups of channel attention blocks, whose results attend to each other; no interpolated skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width of all features; the paper's own size is 64.
        n_groups: Number of residual groups.
        n_resblocks: Channel attention blocks per group.
        reduction: Of the channel attention; at most ``num_feats``.
    """

    def __init__(
        self, *, scale: int, num_feats: int = 128, n_groups: int = 10, n_resblocks: int = 20, reduction: int = 16
    ) -> None:
        super().__init__()
        self.head = same_conv(1, num_feats)
        self.groups = nn.ModuleList(ResidualGroup(num_feats, n_resblocks, reduction) for _ in range(n_groups))
        self.body_end = same_conv(num_feats, num_feats)
        self.layer_attention = LayerAttention()
        self.merge_layers = same_conv((n_groups + 1) * num_feats, num_feats)
        self.channel_spatial_attention = ChannelSpatialAttention()
        self.merge_attentions = same_conv(2 * num_feats, num_feats)
        self.upsampler = PixelShuffleUpsampler(num_feats, scale)
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
        layers = [shallow]
        for group in self.groups:
            layers.append(group(layers[-1]))
        last = self.body_end(layers[-1])
        newest_first = torch.stack([last, *layers[:0:-1]], dim=1)
        across_layers = self.merge_layers(self.layer_attention(newest_first).flatten(1, 2))
        deep = self.merge_attentions(torch.cat([self.channel_spatial_attention(last), across_layers], dim=1))
        result: Tensor = self.tail(self.upsampler(deep + shallow))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="han",
    label="HAN",
    description="Very heavy single-image network whose layers attend to each other.",
    build=HAN,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 32, "n_groups": 2, "n_resblocks": 2, "reduction": 8}},
    paper=Paper(
        authors="B. Niu, W. Wen, W. Ren, X. Zhang, L. Yang, S. Wang, K. Zhang, X. Cao, H. Shen",
        title="Single Image Super-Resolution via a Holistic Attention Network",
        venue="ECCV",
        year=2020,
        doi="arXiv:2008.08767",
    ),
)
