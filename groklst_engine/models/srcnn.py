"""SRCNN: three convolutions that sharpen an interpolated image."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.errors import ModelError
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper
from groklst_engine.resample import REACH


class SRCNN(nn.Module):
    """Bicubic interpolation, then a few convolutions on the fine grid, ReLU between them.

    Args:
        scale: Any whole number.
        widths: Of the features between the convolutions.
        kernel_sizes: Of the convolutions, one more than there are widths; odd.
        residual: Add the result to the interpolated image instead of replacing it: trains faster, not as published.

    Raises:
        ModelError: If the kernel sizes do not fit.
    """

    def __init__(
        self,
        *,
        scale: int,
        widths: tuple[int, ...] = (64, 32),
        kernel_sizes: tuple[int, ...] = (9, 1, 5),
        residual: bool = False,
    ) -> None:
        super().__init__()
        channels = pairwise([1, *widths, 1])
        if len(kernel_sizes) != len(widths) + 1 or any(size % 2 == 0 for size in kernel_sizes):
            raise ModelError(
                f"Network 'srcnn' cannot be built: kernel_sizes is {list(kernel_sizes)}: "
                f"choose {len(widths) + 1} odd numbers, one more than there are widths."
            )
        self.scale = scale
        self.residual = residual
        self.convs = nn.ModuleList(same_conv(*pair, size) for pair, size in zip(channels, kernel_sizes, strict=True))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        upsampled = up_bicubic(lst, self.scale)
        features = upsampled.to(next(self.parameters()).dtype)
        *inner, last = self.convs
        for conv in inner:
            features = F.relu(conv(features))
        result: Tensor = last(features).to(lst.dtype)
        return upsampled + result if self.residual else result


SPEC = ModelSpec(
    name="srcnn",
    label="SRCNN",
    description="Smallest convolutional baseline: it sharpens a bicubic image, and is very fast.",
    build=SRCNN,
    guided=False,
    scales=range(2, 65),
    receptive_radius=lambda arguments: (
        math.ceil(sum(size // 2 for size in arguments["kernel_sizes"]) / arguments["scale"]) + REACH["bicubic"]
    ),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"widths": (32, 16)}},
    paper=Paper(
        authors="C. Dong, C. C. Loy, K. He, X. Tang",
        title="Image Super-Resolution Using Deep Convolutional Networks",
        venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
        year=2016,
        doi="10.1109/TPAMI.2015.2439281",
    ),
)
