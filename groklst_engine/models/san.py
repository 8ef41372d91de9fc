"""SAN: channel attention from the covariance of the channels, and non-local attention within quarters of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.precision import widened, without_autocast
from groklst_engine.layers.resample import PixelShuffleUpsampler
from groklst_engine.layers.residual import PlainResBlock
from groklst_engine.models.spec import ModelSpec, Paper

_LEAST_TRACE = 1e-12
"""Keeps constant features, whose covariance is 0, finite."""


def covariance(x: Tensor) -> Tensor:
    """Covariance of the channels over the pixels, ``(B, C, H, W)`` to ``(B, C, C)``."""
    pixels = x.flatten(2)
    centred = pixels - pixels.mean(dim=2, keepdim=True)
    return centred @ centred.mT / pixels.shape[2]


def newton_schulz_sqrt(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Square roots of symmetric positive semi-definite matrices, by matrix products only.

    Reference: Li et al., Towards Faster Training of Global Covariance Pooling Networks by Iterative Matrix Square Root
    Normalization, CVPR 2018.

    Args:
        matrices: ``(B, C, C)``.
        iterations: Number of steps.

    Returns:
        ``(B, C, C)``.
    """
    trace = matrices.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None] + _LEAST_TRACE
    identity = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    root, inverse_root = matrices / trace, identity
    for _ in range(iterations):
        step = (3 * identity - inverse_root @ root) / 2
        root, inverse_root = root @ step, step @ inverse_root
    return trace.sqrt() * root


class SecondOrderChannelAttention(nn.Module):
    """Scale every channel by a gate computed from the normalised covariance of all channels.

    Args:
        channels: Width in and out.
        reduction: The gate's hidden layer is narrower by this factor.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        with without_autocast(x):
            statistics = newton_schulz_sqrt(covariance(widened(x))).mean(dim=1).to(x.dtype)
        hidden = F.relu(self.squeeze(statistics[..., None, None]))
        return x * torch.sigmoid(self.excite(hidden))


class AttentionGroup(nn.Module):
    """Residual blocks, second-order channel attention and a convolution, added to the input.

    Args:
        channels: Width in and out.
        n_resblocks: Number of residual blocks.
        reduction: Of the attention.
    """

    def __init__(self, channels: int, n_resblocks: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(PlainResBlock(channels) for _ in range(n_resblocks)),
            SecondOrderChannelAttention(channels, reduction),
            same_conv(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.body(x)
        return x + residual


class RegionNonLocal(nn.Module):
    """Within each quarter of the image, every pixel gathers from all others what resembles it; nothing at the start.

    Args:
        channels: Width in and out.
        hidden: Width in which pixels are compared.
        reference_compat: As published: keys have a bias, although it shifts all logits of a pixel alike.
    """

    def __init__(self, channels: int, hidden: int, reference_compat: bool) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1, bias=reference_compat)
        self.value = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)
        for parameter in self.expand.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``, at least 4 × 4 pixels, to the same shape."""
        rows = torch.tensor_split(x, [x.shape[2] // 2], dim=2)
        quarters = (torch.tensor_split(row, [x.shape[3] // 2], dim=3) for row in rows)
        return torch.cat([torch.cat([self._attend(quarter) for quarter in row], dim=3) for row in quarters], dim=2)

    def _attend(self, x: Tensor) -> Tensor:
        query = self.query(x)
        key, value = (F.max_pool2d(layer(x), 2) for layer in (self.key, self.value))
        gathered = F.scaled_dot_product_attention(_tokens(query), _tokens(key), _tokens(value), scale=1.0)
        residual: Tensor = self.expand(gathered.mT.reshape(query.shape))
        return x + residual


def _tokens(features: Tensor) -> Tensor:
    """``(B, C, H, W)`` to a single head, ``(B, 1, H·W, C)``."""
    return features.flatten(2).mT[:, None]


class SAN(nn.Module):
    """Second-order attention groups between two passes of the same non-local attention; no interpolated skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width of all features.
        n_groups: Number of attention groups.
        n_resblocks: Residual blocks per group.
        reduction: Of the channel attention; at most ``num_feats``.
        nonlocal_feats: Width in which the non-local attention compares pixels.
        reference_compat: As published: with parameters that never reach the result.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 64,
        n_groups: int = 20,
        n_resblocks: int = 10,
        reduction: int = 16,
        nonlocal_feats: int = 8,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        self.head = same_conv(1, num_feats)
        self.nonlocal_attention = RegionNonLocal(num_feats, nonlocal_feats, reference_compat)
        self.groups = nn.ModuleList(AttentionGroup(num_feats, n_resblocks, reduction) for _ in range(n_groups))
        self.share_strength = nn.Parameter(torch.zeros(1))
        self.upsampler = PixelShuffleUpsampler(num_feats, scale)
        self.tail = same_conv(num_feats, 1)
        if reference_compat:
            self.unused = nn.ModuleList(
                [same_conv(num_feats, num_feats), SecondOrderChannelAttention(num_feats, num_feats // nonlocal_feats)]
            )
            self.unused_strengths = nn.ParameterList(torch.zeros(1) for _ in range(n_groups))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised; at least 4 × 4 pixels.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = self.head(lst.to(self.head.weight.dtype))
        source = self.nonlocal_attention(shallow)
        features = source
        for group in self.groups:
            features = group(features) + self.share_strength * source
        deep = self.nonlocal_attention(features) + shallow
        result: Tensor = self.tail(self.upsampler(deep))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="san",
    label="SAN",
    description="Very deep single-image network that weighs its channels by how they vary together.",
    build=SAN,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={
        "paper": {},
        "small": {"num_feats": 32, "n_groups": 3, "n_resblocks": 2, "reduction": 8, "nonlocal_feats": 4},
    },
    paper=Paper(
        authors="T. Dai, J. Cai, Y. Zhang, S.-T. Xia, L. Zhang",
        title="Second-Order Attention Network for Single Image Super-Resolution",
        venue="CVPR",
        year=2019,
        doi="10.1109/CVPR.2019.01132",
    ),
)
