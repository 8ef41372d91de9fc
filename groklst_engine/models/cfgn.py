"""CFGN: residual steps whose every result is distilled."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.resample import PixelShuffleHead
from groklst_engine.models.spec import ModelSpec, Paper, require

_SLOPE = 0.05
_REDUCTION = 8
_STEPS = 3


class ContrastChannelAttention(nn.Module):
    """Scale every channel by a gate computed from mean plus standard deviation of all channels over the whole image.

    Reference: Hui et al., Lightweight Image Super-Resolution with Information Multi-distillation Network, ACM MM 2019.

    Args:
        channels: Width C in and out, at least 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // _REDUCTION, 1)
        self.excite = nn.Conv2d(channels // _REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
        # The square root alone has no finite gradient where a channel is constant.
        contrast = mean + (variance + 1e-12).sqrt()
        gates = torch.sigmoid(self.excite(F.leaky_relu(self.squeeze(contrast), _SLOPE)))
        return x * gates


class DistillBlock(nn.Module):
    """Residual steps; the input of each and the result of the last are distilled, merged, and added to the input.

    Args:
        channels: Width C in and out; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.steps = nn.ModuleList(same_conv(channels, channels) for _ in range(_STEPS))
        self.distil = nn.ModuleList([*(nn.Conv2d(channels, half, 1) for _ in range(_STEPS)), same_conv(channels, half)])
        self.merge = nn.Conv2d((_STEPS + 1) * half, channels, 1)
        self.attention = ContrastChannelAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        features = [x]
        for step in self.steps:
            features.append(F.leaky_relu(step(features[-1]) + features[-1], _SLOPE))
        distilled = [distil(feature) for distil, feature in zip(self.distil, features, strict=True)]
        residual: Tensor = self.attention(F.leaky_relu(self.merge(torch.cat(distilled, dim=1)), _SLOPE))
        return x + residual


class CFGN(nn.Module):
    """A chain of distillation blocks whose every stage reaches the end, and one sub-pixel convolution.

    It has no interpolated skip, and is the benchmark's base variant: plain residual steps instead of the paper's
    context-guided ones.

    Args:
        scale: Any whole number.
        num_feats: Width of all features; even, 8 or more.
        n_blocks: Number of distillation blocks.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(self, *, scale: int, num_feats: int = 48, n_blocks: int = 6) -> None:
        super().__init__()
        usable_width = num_feats % 2 == 0 and num_feats >= _REDUCTION
        require(usable_width, "cfgn", f"num_feats is {num_feats}: choose an even number of {_REDUCTION} or more")
        self.head = same_conv(1, num_feats)
        self.blocks = nn.ModuleList(DistillBlock(num_feats) for _ in range(n_blocks))
        self.fusion = nn.Sequential(
            nn.Conv2d((n_blocks + 1) * num_feats, num_feats, 1), nn.LeakyReLU(_SLOPE), same_conv(num_feats, num_feats)
        )
        self.tail = PixelShuffleHead(num_feats, 1, scale)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        stages = [self.head(lst.to(self.head.weight.dtype))]
        for block in self.blocks:
            stages.append(block(stages[-1]))
        result: Tensor = self.tail(stages[0] + self.fusion(torch.cat(stages, dim=1)))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="cfgn",
    label="CFGN",
    description="Light single-image network of distillation blocks, in the benchmark's base variant.",
    build=CFGN,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"num_feats": 32, "n_blocks": 3}},
    paper=Paper(
        authors="T. Dai et al.",
        title="CFGN: A Lightweight Context Feature Guided Network for Image Super-Resolution",
        venue="IEEE Transactions on Emerging Topics in Computational Intelligence",
        year=2023,
    ),
)
