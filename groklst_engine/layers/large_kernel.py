"""Large kernels, decomposed."""

from __future__ import annotations

from torch import Tensor, nn


class LargeKernelPair(nn.Module):
    """Features of a small and a large neighbourhood (5×5 and 23×23) from two depth-wise convolutions in a row.

    Reference: Li et al., Large Selective Kernel Network for Remote Sensing Object Detection, ICCV 2023.

    Args:
        channels: Width C of the input; even. Each result has C/2.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.reduce_near = nn.Conv2d(channels, channels // 2, 1)
        self.reduce_far = nn.Conv2d(channels, channels // 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, H, W)`` to near and far features, ``(B, C/2, H, W)`` each."""
        near = self.near(x)
        far = self.far(near)
        return self.reduce_near(near), self.reduce_far(far)
