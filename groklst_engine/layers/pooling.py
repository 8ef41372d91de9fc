"""Summaries of feature maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.precision import widened


def image_means(x: Tensor) -> Tensor:
    """Means over the whole image: ``(B, C, H, W)`` to ``(B, C, 1, 1)``."""
    if x.device.type != "cpu":
        return x.mean(dim=(2, 3), keepdim=True)
    # line by line, which reads the image in its own type and order: ten times as fast as a mean in half precision
    lines = F.avg_pool2d(x, (1, x.shape[-1]))
    return F.avg_pool2d(widened(lines), (x.shape[-2], 1)).to(x.dtype)


def pyramid_tokens(x: Tensor, bins: Sequence[int] = (1, 2, 3, 6)) -> Tensor:
    """Average pools over grids of ``bins`` × ``bins`` cells, row by row, coarsest first.

    Reference: Zhao et al., Pyramid Scene Parsing Network, CVPR 2017.

    Args:
        x: ``(B, C, H, W)``; where it has fewer pixels than cells, cells repeat.
        bins: Cells per side.

    Returns:
        ``(B, N, C)``, N the sum of the squared bins.
    """
    pools = [(image_means(x) if side == 1 else F.adaptive_avg_pool2d(x, side)).flatten(2) for side in bins]
    return torch.cat(pools, dim=2).transpose(1, 2)


def maximum_token(x: Tensor) -> Tensor:
    """The maximum over the whole image: ``(B, C, H, W)`` to ``(B, 1, C)``."""
    return x.amax(dim=(2, 3)).unsqueeze(1)


def mean_and_maximum_tokens(x: Tensor) -> Tensor:
    """Mean and maximum over the whole image, in this order: ``(B, C, H, W)`` to ``(B, 2, C)``."""
    return torch.cat([pyramid_tokens(x, (1,)), maximum_token(x)], dim=1)


POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "average": partial(pyramid_tokens, bins=(1,)),
    "max": maximum_token,
    "both": mean_and_maximum_tokens,
    "pyramid": pyramid_tokens,
}
"""Ways from an image ``(B, C, H, W)`` to tokens ``(B, N, C)``."""


def channel_mean_max(x: Tensor) -> Tensor:
    """Mean and maximum over the channels, in this order: ``(B, C, H, W)`` to ``(B, 2, H, W)``."""
    return torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)


class CellMeans(nn.Module):
    """Means of cells of ``side`` × ``side`` pixels, given back to every pixel of their cell.

    The cells are counted from the top left corner; those at the right and at the bottom may be cut.

    Args:
        side: Of a cell, in pixels.
        transform: Applied to the image of means; as it is when None.
        stretch: Leave cut cells out, and stretch the image of means over all pixels: then means and pixels drift apart.
    """

    def __init__(self, side: int, transform: nn.Module | None = None, *, stretch: bool = False) -> None:
        super().__init__()
        self.side = side
        self.transform = transform or nn.Identity()
        self.stretch = stretch

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, D, H, W)``, D the width ``transform`` gives."""
        height, width = x.shape[-2:]
        cells = self.transform(F.avg_pool2d(x, self.side, ceil_mode=not self.stretch))
        if self.stretch:
            return F.interpolate(cells, size=(height, width))
        return F.interpolate(cells, scale_factor=self.side)[..., :height, :width]
