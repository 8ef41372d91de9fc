"""FEN: high and low frequencies in two parallel paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from groklst_engine.layers.pooling import CellMeans
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper, require

_CELL = 4
"""Side, in coarse pixels, of the cells whose means are the low frequencies."""


def _conv(in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = False, groups: int = 1) -> nn.Module:
    """A weight-normalised convolution that keeps height and width."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=bias, groups=groups)
    normed: nn.Module = weight_norm(conv)
    return normed


class FrequencyEnhancement(nn.Module):
    """Gate features by what differs from their surroundings.

    Args:
        channels: Width C in and out.
        stretch: As in ``CellMeans``.
    """

    def __init__(self, channels: int, *, stretch: bool) -> None:
        super().__init__()
        self.low_frequencies = CellMeans(_CELL, stretch=stretch)
        self.gate = _conv(channels, channels, 3)
        self.conv = _conv(channels, channels, 3)
        self.merge = _conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        high_frequencies = x - self.low_frequencies(x)
        gates = torch.sigmoid(self.gate(high_frequencies) + x)
        enhanced: Tensor = self.merge(self.conv(x) * gates)
        return enhanced


class FrequencyBlock(nn.Module):
    """A plain path and a path that enhances high frequencies, each of half the width, merged and added to the input.

    Args:
        channels: Width C in and out; even.
        stretch: As in ``CellMeans``.
    """

    def __init__(self, channels: int, *, stretch: bool) -> None:
        super().__init__()
        half = channels // 2
        self.low = nn.Sequential(_conv(channels, half, 1), nn.ReLU(), _conv(half, half, 3), nn.ReLU())
        self.high = nn.Sequential(
            _conv(channels, half, 1), nn.ReLU(), FrequencyEnhancement(half, stretch=stretch), nn.ReLU()
        )
        self.merge = _conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        residual: Tensor = self.merge(torch.cat([self.low(x), self.high(x)], dim=1))
        return x + residual


class FEN(nn.Module):
    """A chain of frequency blocks whose every stage reaches the end, grouped sub-pixel convolutions, a bicubic skip.

    All convolutions are weight-normalised.

    Args:
        scale: A power of two.
        num_feats: Width of all features; a multiple of 4.
        n_blocks: Number of frequency blocks.
        reference_compat: As published: where the size is no multiple of 4, the low frequencies are stretched over the
            image, so that they and the features they are subtracted from drift apart.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(self, *, scale: int, num_feats: int = 64, n_blocks: int = 12, reference_compat: bool = False) -> None:
        super().__init__()
        require(num_feats % 4 == 0, "FEN", f"num_feats is {num_feats}: choose a multiple of 4")
        self.scale = scale
        self.entry = _conv(1, num_feats, 3, bias=True)
        self.blocks = nn.ModuleList(FrequencyBlock(num_feats, stretch=reference_compat) for _ in range(n_blocks))
        self.reduction = nn.Sequential(_conv((n_blocks + 1) * num_feats, num_feats, 1, bias=True), nn.ReLU())
        steps: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            steps += [_conv(num_feats, 4 * num_feats, 3, bias=True, groups=4), nn.ReLU(), nn.PixelShuffle(2)]
        self.upsampler = nn.Sequential(*steps)
        self.exit = _conv(num_feats, 1, 3, bias=True)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        stages = [self.entry(lst.to(next(self.parameters()).dtype))]
        for block in self.blocks:
            stages.append(block(stages[-1]))
        features = self.reduction(torch.cat(stages, dim=1)) + stages[-1]
        detail: Tensor = self.exit(self.upsampler(features))
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="FEN",
    label="FEN",
    description="Light single-image network with an explicit gate for high frequencies.",
    build=FEN,
    guided=False,
    scales=(2, 4, 8),
    # Its reach is bounded, but cells of 4 pixels are counted from the tile's corner: tiles differ as with global pools.
    receptive_radius=None,
    presets={"paper": {}, "small": {"num_feats": 32, "n_blocks": 4}},
    paper=Paper(
        authors="P. Behjati, P. Rodríguez, C. Fernández Tena, A. Mehri, F. X. Roca, S. Ozawa, J. Gonzàlez",
        title="Frequency-Based Enhancement Network for Efficient Super-Resolution",
        venue="IEEE Access 10",
        year=2022,
    ),
)
