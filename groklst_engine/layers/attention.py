"""Channel attention, and the residual blocks and groups built on it.

Reference: Zhang et al., Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.pooling import channel_mean_max, image_means


class ChannelAttention(nn.Module):
    """Scale every channel by a gate computed from the means of all channels over the whole image.

    Args:
        channels: Width in and out, at least ``reduction``.
        reduction: The gate's hidden layer is narrower by this factor.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        gates = torch.sigmoid(self.excite(F.relu(self.squeeze(image_means(x)))))
        return x * gates


class RCAB(nn.Module):
    """Residual block of two 3×3 convolutions and channel attention.

    Args:
        channels: Width in and out.
        reduction: Of the channel attention.
        negative_slope: Of the leaky ReLU between the convolutions; 0 is a ReLU.
    """

    def __init__(self, channels: int, reduction: int = 16, negative_slope: float = 0.0) -> None:
        super().__init__()
        self.conv1 = same_conv(channels, channels)
        self.conv2 = same_conv(channels, channels)
        self.attention = ChannelAttention(channels, reduction)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        hidden = F.leaky_relu(self.conv1(x), self.negative_slope)
        residual: Tensor = self.attention(self.conv2(hidden))
        return x + residual


class ResidualGroup(nn.Module):
    """Residual channel attention blocks and a 3×3 convolution, added to the input.

    Args:
        channels: Width in and out.
        n_blocks: Number of blocks.
        reduction: Of the channel attention.
        negative_slope: Of the leaky ReLU in the blocks; 0 is a ReLU.
    """

    def __init__(self, channels: int, n_blocks: int, reduction: int = 16, negative_slope: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(RCAB(channels, reduction, negative_slope) for _ in range(n_blocks)))
        self.conv = same_conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.conv(self.blocks(x))
        return x + residual


class PooledMLP(nn.Module):
    """One gate per channel, from the means and the maxima over the whole image, both through the same two layers.

    Reference: Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.

    Args:
        in_channels: Width C of the input.
        hidden: Width between the layers.
        out_channels: Number D of gates.
    """

    def __init__(self, in_channels: int, hidden: int, out_channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(in_channels, hidden)
        self.excite = nn.Linear(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to gates from 0 to 1, ``(B, D, 1, 1)``."""
        pools = image_means(x).flatten(1), x.amax(dim=(2, 3))
        logits: Tensor = sum(self.excite(F.relu(self.squeeze(pool))) for pool in pools)
        return torch.sigmoid(logits)[..., None, None]


class SpatialMap(nn.Module):
    """One gate per pixel, from the mean and the maximum over the channels of its neighbourhood.

    Reference: Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.

    Args:
        kernel_size: Side of the neighbourhood; odd.
        max_first: Whether the maximum is the convolution's first channel.
    """

    def __init__(self, kernel_size: int, max_first: bool = False) -> None:
        super().__init__()
        self.conv = same_conv(2, 1, kernel_size, bias=False)
        self.max_first = max_first

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to gates from 0 to 1, ``(B, 1, H, W)``."""
        summary = channel_mean_max(x)
        return torch.sigmoid(self.conv(summary.flip(1) if self.max_first else summary))


class EnhancedSpatialAttention(nn.Module):
    """Scale every pixel of every channel by a gate computed from a coarser view of the image around it.

    Reference: Liu et al., Residual Feature Aggregation Network for Image Super-Resolution, CVPR 2020.

    Args:
        channels: Width C in and out.
        hidden: Width in between.
        n_convs: Number of convolutions on the coarser view.
    """

    def __init__(self, channels: int, hidden: int, n_convs: int = 3) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.shrink = nn.Conv2d(hidden, hidden, 3, stride=2)
        convs: list[nn.Module] = [same_conv(hidden, hidden)]
        for _ in range(n_convs - 1):
            convs += [nn.ReLU(), same_conv(hidden, hidden)]
        self.convs = nn.Sequential(*convs)
        self.keep = nn.Conv2d(hidden, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def gates(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``, H and W 15 or more, to gates from 0 to 1 of the same shape."""
        reduced = self.reduce(x)
        view = self.convs(F.max_pool2d(self.shrink(reduced), kernel_size=7, stride=3))
        view = F.interpolate(view, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.sigmoid(self.expand(view + self.keep(reduced)))

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)``, H and W 15 or more, to the same shape."""
        return x * self.gates(x)
