"""EGASR: texture and fixed edge operators side by side, pixelwise and channelwise weighed against each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.init import init_he
from groklst_engine.layers.pooling import channel_mean_max, image_means
from groklst_engine.layers.resample import PixelShuffleUpsampler, up_bilinear
from groklst_engine.models.spec import ModelSpec, Paper

_SOBEL_X = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
_SOBEL_Y = ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0))
_LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


class EdgeConv(nn.Module):
    """Mix the channels, then apply a fixed edge operator to each, with a learned strength.

    Args:
        channels: Width C in and out.
        operator: Rows of the 3×3 operator; they sum to 0.
        reference_compat: As published: the mixing has a bias, which the operator removes again, and each edge
            convolution owns a frozen copy of the operator for each channel.
    """

    operator: Tensor

    def __init__(self, channels: int, operator: tuple[tuple[float, ...], ...], *, reference_compat: bool) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1, bias=reference_compat)
        self.strength = nn.Parameter(1e-3 * torch.randn(channels, 1, 1, 1))
        self.bias = nn.Parameter(1e-3 * torch.randn(channels))
        kernel = torch.tensor(operator)
        if reference_compat:
            self.operator = nn.Parameter(kernel.repeat(channels, 1, 1, 1), requires_grad=False)
        else:
            self.register_buffer("operator", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        mixed = self.mix(F.pad(x, (1, 1, 1, 1)))
        return F.conv2d(mixed, self.strength * self.operator, self.bias, groups=len(self.bias))


class SpatialAttention(nn.Module):
    """Scale every pixel by a gate computed from mean and maximum over the channels in its neighbourhood of 7 × 7.

    Reference: Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        return x * torch.sigmoid(self.conv(channel_mean_max(x)))


class SelectiveFusion(nn.Module):
    """Weighted mean of two branches; the weights, one per channel, are computed from the whole image.

    Reference: Li et al., Selective Kernel Networks, CVPR 2019.

    Args:
        channels: Width C of either branch and of the result.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 2, 32)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.ModuleList(nn.Linear(hidden, channels) for _ in range(2))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        hidden = self.squeeze(image_means(first + second).flatten(1))
        logits = torch.stack([excite(hidden) for excite in self.excite])
        weights = logits.softmax(dim=0)[..., None, None]
        return weights[0] * first + weights[1] * second


class EdgeGuidance(nn.Module):
    """Texture and edges of the same features, fused.

    Args:
        channels: Width C in and out.
        reference_compat: As in ``EdgeConv``; and with a convolution that nothing uses.
    """

    def __init__(self, channels: int, *, reference_compat: bool) -> None:
        super().__init__()
        self.texture = nn.Sequential(same_conv(channels, channels), nn.PReLU(channels), same_conv(channels, channels))
        init_he(self.texture, gain=0.1)
        self.edges = nn.ModuleList(
            EdgeConv(channels, operator, reference_compat=reference_compat)
            for operator in (_SOBEL_X, _SOBEL_Y, _LAPLACIAN)
        )
        self.merge_edges = nn.Sequential(nn.Conv2d(3 * channels, channels, 1), SpatialAttention())
        self.fuse = SelectiveFusion(channels)
        if reference_compat:
            self.unused = same_conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        edges = self.merge_edges(torch.cat([edge(x) for edge in self.edges], dim=1))
        fused: Tensor = self.fuse(x + self.texture(x), edges)
        return fused


class EdgeGuidedBlock(nn.Module):
    """Two 3×3 convolutions and edge guidance, added to the input.

    Args:
        channels: Width C in and out.
        reference_compat: As in ``EdgeGuidance``.
    """

    def __init__(self, channels: int, *, reference_compat: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            same_conv(channels, channels),
            nn.PReLU(),
            same_conv(channels, channels),
            EdgeGuidance(channels, reference_compat=reference_compat),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.body(x)
        return x + residual


class EdgeGuidedGroup(nn.Module):
    """Edge-guided blocks and a 3×3 convolution, added to the input.

    Args:
        channels: Width C in and out.
        n_blocks: Number of blocks.
        reference_compat: As in ``EdgeGuidance``.
    """

    def __init__(self, channels: int, n_blocks: int, *, reference_compat: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(EdgeGuidedBlock(channels, reference_compat=reference_compat) for _ in range(n_blocks)),
            same_conv(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.body(x)
        return x + residual


class EGASR(nn.Module):
    """Edge-guided groups, each beside a long skip that starts at 0, sub-pixel convolutions, a bilinear skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width of all features.
        n_groups: Number of groups.
        n_blocks: Number of blocks per group.
        reference_compat: As in ``EdgeGuidance``.
    """

    def __init__(
        self,
        *,
        scale: int,
        num_feats: int = 64,
        n_groups: int = 10,
        n_blocks: int = 16,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = same_conv(1, num_feats)
        self.frame = same_conv(num_feats, num_feats)
        self.groups = nn.ModuleList(
            EdgeGuidedGroup(num_feats, n_blocks, reference_compat=reference_compat) for _ in range(n_groups)
        )
        self.long_skip = nn.Parameter(torch.zeros(1))
        self.tail = nn.Sequential(PixelShuffleUpsampler(num_feats, scale), same_conv(num_feats, 1))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        # One convolution before and behind the groups, with the same weights: so it is published.
        shallow = features = self.frame(self.head(lst.to(self.head.weight.dtype)))
        for group in self.groups:
            features = group(features) + self.long_skip * shallow
        detail: Tensor = self.tail(self.frame(features))
        return up_bilinear(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="egasr",
    label="EGASR",
    description="Large single-image network guided by edges, made for imagery across sensors.",
    build=EGASR,
    guided=False,
    scales=(2, 3, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 24, "n_groups": 2, "n_blocks": 2}},
    paper=Paper(
        authors="Z. Qiu, H. Shen, L. Yue, G. Zheng",
        title="Cross-sensor remote sensing imagery super-resolution via an edge-guided attention-based network",
        venue="ISPRS Journal of Photogrammetry and Remote Sensing 199",
        year=2023,
    ),
)
