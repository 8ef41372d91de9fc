"""Neighbourhoods of several sizes side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv


def convolved(conv: nn.Module, x: Tensor) -> Tensor:
    """A dilated convolution that keeps height and width, as a plain one over every ``dilation``-th pixel.

    The same sums; processors are far quicker at it where each channel is on its own.
    """
    assert isinstance(conv, nn.Conv2d)
    step, height, width = conv.dilation[0], *x.shape[-2:]
    if step == 1 or x.device.type != "cpu":
        same: Tensor = conv(x)
        return same
    margin = step * (conv.kernel_size[0] // 2)
    x = F.pad(x, (margin, margin + -width % step, margin, margin + -height % step))
    rows, columns = x.shape[-2] // step, x.shape[-1] // step
    lines = x.permute(0, 2, 3, 1).reshape(len(x), rows, step, columns, step, -1)
    phases = lines.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)  # channels last in memory
    found = F.conv2d(phases, conv.weight, conv.bias, groups=conv.groups).permute(0, 2, 3, 1)
    rows, columns = found.shape[1:3]
    lines = found.reshape(len(x), step, step, rows, columns, -1).permute(0, 3, 1, 4, 2, 5)
    return lines.reshape(len(x), rows * step, columns * step, -1).permute(0, 3, 1, 2)[..., :height, :width]


class LargeKernels(nn.Module):
    """Features of ever larger neighbourhoods, from depth-wise convolutions in a row.

    Kernels 5 and 7, the second dilated by 3, see 5×5 and 23×23 pixels.

    Reference: Li et al., Large Selective Kernel Network for Remote Sensing Object Detection, ICCV 2023.

    Args:
        channels: Width C of the input; even.
        kernels: Size (odd) and dilation of each convolution.
    """

    def __init__(self, channels: int, kernels: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.channels = channels // 2
        """Width of each result."""
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, channels, size, padding=size // 2 * dilation, dilation=dilation, groups=channels)
            for size, dilation in kernels
        )
        self.reduce = nn.ModuleList(nn.Conv2d(channels, self.channels, 1) for _ in kernels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, C, H, W)`` to one ``(B, C/2, H, W)`` for each kernel."""
        features = []
        for conv, reduce in zip(self.convs, self.reduce, strict=True):
            x = convolved(conv, x)
            features.append(reduce(x))
        return features


class ParallelKernels(nn.Module):
    """Features of 3×3 and 5×5 pixels, from two convolutions side by side, the second one dilated.

    Reference: Li et al., Selective Kernel Networks, CVPR 2019, here without batch normalisation.

    Args:
        channels: Width C of input and results.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.near = same_conv(channels, channels)
        self.far = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(B, C, H, W)`` to two of the same shape."""
        return [F.relu(self.near(x)), F.relu(self.far(x))]
