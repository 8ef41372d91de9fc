"""Self-attention in windows of an image.

Reference: Liu et al., Swin Transformer: Hierarchical Vision Transformer Using Shifted Windows, ICCV 2021.

Images are channels-last here, ``(B, H, W, C)``, their height and width multiples of the window's side w. A stack of
windows is ``(B·n, w², C)``: the n windows of the first image row by row, then those of the next one.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.transformer import attend


def window_partition(image: Tensor, side: int) -> Tensor:
    """Cut images into windows: ``(B, H, W, C)`` to ``(B·n, w², C)``."""
    batch, height, width, channels = image.shape
    grid = image.reshape(batch, height // side, side, width // side, side, channels)
    return grid.transpose(2, 3).reshape(-1, side**2, channels)


def window_reverse(windows: Tensor, side: int, height: int, width: int) -> Tensor:
    """Put windows together: ``(B·n, w², C)`` to ``(B, H, W, C)``."""
    grid = windows.reshape(-1, height // side, width // side, side, side, windows.shape[-1])
    return grid.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def shifted_window_mask(image: Tensor, side: int, shift: int) -> Tensor:
    """What keeps pixels from opposite borders of an image apart that share a shifted window.

    Args:
        image: ``(B, H, W, C)``; gives size, type and device.
        side: Of a window.
        shift: Of the windows.

    Returns:
        ``(n, w², w²)`` to be added to the logits: 0 between neighbours, -100 between strangers.
    """

    def region(size: int) -> Tensor:
        position = torch.arange(size, device=image.device)
        return (position >= size - side).int() + (position >= size - shift)

    height, width = image.shape[1:3]
    regions = 3 * region(height)[:, None] + region(width)
    labels = window_partition(regions[None, ..., None], side).squeeze(-1)
    return torch.where(labels[:, :, None] == labels[:, None], 0.0, -100.0).to(image.dtype)


def attend_in_windows(attention: nn.Module, image: Tensor, side: int, shift: int = 0) -> Tensor:
    """Attention among the pixels of each window.

    Args:
        attention: Takes ``(B·n, w², C)`` and a mask, and gives ``(B·n, w², C)``.
        image: ``(B, H, W, C)``.
        side: Of a window.
        shift: How far the windows are moved to the right and to the bottom; those that leave the image enter it again
            on the other side.

    Returns:
        ``(B, H, W, C)``.
    """
    height, width = image.shape[1:3]
    if not shift:
        return window_reverse(attention(window_partition(image, side), None), side, height, width)
    windows = window_partition(image.roll((-shift, -shift), (1, 2)), side)
    attended = attention(windows, shifted_window_mask(image, side, shift))
    return window_reverse(attended, side, height, width).roll((shift, shift), (1, 2))


def relative_position_index(side: int, device: torch.device) -> Tensor:
    """Number of the offset between two pixels of a window, ``(w², w²)``, one of (2w-1)²."""
    line = torch.arange(side, device=device)
    offset = line[:, None] - line + side - 1
    rows, columns = offset[:, None, :, None], offset[None, :, None, :]
    return (rows * (2 * side - 1) + columns).reshape(side**2, side**2)


def window_bias(table: Tensor, side: int, mask: Tensor | None, count: int) -> Tensor:
    """What is added to the logits in a stack of windows.

    Args:
        table: One row of biases per offset, ``((2w-1)², heads)``.
        side: Of a window.
        mask: ``(n, w², w²)``, the same for each image, or None.
        count: Number of windows of the stack, B·n.

    Returns:
        ``(heads, w², w²)``, or with a mask ``(B·n, heads, w², w²)``.
    """
    bias = table[relative_position_index(side, table.device)].permute(2, 0, 1)
    if mask is None:
        return bias
    per_image = bias + mask[:, None]
    return per_image.repeat(count // len(mask), 1, 1, 1)


class WindowAttention(nn.Module):
    """Multi-head self-attention among the pixels of a window.

    Args:
        channels: Width C in and out.
        side: Of a window.
        heads: Number of heads, a divisor of C.
        bias: Whether the linear layers have one.
    """

    def __init__(self, channels: int, side: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.side = side
        self.heads = heads
        self.table = nn.Parameter(nn.init.trunc_normal_(torch.empty((2 * side - 1) ** 2, heads), std=0.02))
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.project = nn.Linear(channels, channels, bias=bias)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """``(B·n, w², C)`` to the same shape; ``mask``, ``(n, w², w²)``, is added to the logits."""
        query, key, value = self.qkv(windows).chunk(3, dim=-1)
        bias = window_bias(self.table, self.side, mask, len(windows))
        result: Tensor = self.project(attend(query, key, value, self.heads, bias))
        return result


class CosineWindowAttention(nn.Module):
    """Window attention by the angle between query and key, sharpened by a learnt factor per head.

    Reference: Liu et al., Swin Transformer V2: Scaling Up Capacity and Resolution, CVPR 2022.

    Args:
        channels: Width C in and out.
        side: Of a window.
        heads: Number of heads; what remains of C after sharing it among them is not used inside.
    """

    def __init__(self, channels: int, side: int, heads: int) -> None:
        super().__init__()
        width = channels // heads
        self.side = side
        self.split = (3, heads, width)
        self.log_sharpness = nn.Parameter(torch.full((heads, 1, 1), math.log(10)))
        self.table = nn.Parameter(nn.init.trunc_normal_(torch.empty((2 * side - 1) ** 2, heads), std=0.02))
        self.qkv = nn.Linear(channels, 3 * heads * width)
        self.project = nn.Linear(heads * width, channels)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """``(B·n, w², C)`` to the same shape; ``mask``, ``(n, w², w²)``, is added to the logits."""
        query, key, value = self.qkv(windows).unflatten(-1, self.split).permute(2, 0, 3, 1, 4)
        sharp_query = F.normalize(query, dim=-1) * self.log_sharpness.clamp(max=math.log(100)).exp()
        bias = window_bias(self.table, self.side, mask, len(windows))
        mixed = F.scaled_dot_product_attention(sharp_query, F.normalize(key, dim=-1), value, bias, scale=1.0)
        result: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return result
