"""AHMF: attention-based fusion at four depths, whose results exchange information by recurrent convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from groklst_engine.layers.conv import conv_prelu, same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.precision import widened
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.layers.residual import ConvResAct
from groklst_engine.models.spec import ModelSpec, Paper

_RESAMPLING_KERNEL = {2: 1, 4: 1, 8: 3}
"""Kernel size of the convolutions beside each pixel shuffle, by scale."""


def _steps(scale: int) -> range:
    return range(scale.bit_length() - 1)


def shuffle_up(channels: int, scale: int) -> nn.Sequential:
    """``(B, C, h, w)`` to ``(B, C, scale·h, scale·w)`` in steps of 2, by sub-pixel convolutions with a PReLU."""
    size = _RESAMPLING_KERNEL[scale]
    steps = [(same_conv(channels, 4 * channels, size), nn.PixelShuffle(2), nn.PReLU()) for _ in _steps(scale)]
    return nn.Sequential(*(layer for step in steps for layer in step))


def unshuffle_down(channels: int, scale: int) -> nn.Sequential:
    """``(B, C, scale·h, scale·w)`` to ``(B, C, h, w)`` in steps of 2 that lose no pixel before their convolution."""
    size = _RESAMPLING_KERNEL[scale]
    steps = [(nn.PixelUnshuffle(2), conv_prelu(4 * channels, channels, size)) for _ in _steps(scale)]
    return nn.Sequential(*(layer for step in steps for layer in step))


class GatedConv(nn.Module):
    """A convolution whose every output is scaled by a gate from another convolution.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = same_conv(channels, channels)
        self.features = conv_prelu(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        gated: Tensor = torch.sigmoid(self.gate(x)) * self.features(x)
        return gated


class AttentionFusion(nn.Module):
    """Fuse both modalities, every channel weighted by the statistics of both over the whole image.

    Args:
        channels: Width C of each modality; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filter_guidance = GatedConv(channels)
        self.filter_lst = GatedConv(channels)
        self.squeeze = conv_prelu(2 * channels, channels // 2)
        self.weigh_lst = nn.Conv2d(channels // 2, channels, 1)
        self.weigh_guidance = nn.Conv2d(channels // 2, channels, 1)
        self.refine = ConvResAct(channels)

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """LST and guidance features, ``(B, C, h, w)`` each, to fused features of the same shape."""
        lst, guidance = self.filter_lst(lst), self.filter_guidance(guidance)
        joint = self.squeeze(torch.cat([lst, guidance], dim=1))
        variance, mean = torch.var_mean(widened(joint), dim=(2, 3), correction=0, keepdim=True)
        statistics = (mean + variance).to(joint.dtype)
        lst_weights = torch.sigmoid(self.weigh_lst(statistics))
        guidance_weights = torch.sigmoid(self.weigh_guidance(statistics))
        fused: Tensor = self.refine((lst_weights * lst + guidance_weights * guidance) / 2)
        return fused


class ConvGRUCell(nn.Module):
    """A gated recurrent unit whose states are feature maps.

    Args:
        channels: Width C of input and state.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.update = same_conv(2 * channels, channels)
        self.reset = same_conv(2 * channels, channels)
        self.candidate = same_conv(2 * channels, channels)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """Input and state, ``(B, C, h, w)`` each, to the next state."""
        both = torch.cat([x, state], dim=1)
        update, reset = torch.sigmoid(self.update(both)), torch.sigmoid(self.reset(both))
        candidate = torch.tanh(self.candidate(torch.cat([x, state * reset], dim=1)))
        return state * (1 - update) + candidate * update


class ConvGRU(nn.Module):
    """Stacked recurrent cells; each reads the states of the one below it.

    Args:
        channels: Width C of inputs and states.
        n_layers: Number of cells.
    """

    def __init__(self, channels: int, n_layers: int = 2) -> None:
        super().__init__()
        self.cells = nn.ModuleList(ConvGRUCell(channels) for _ in range(n_layers))

    def forward(self, sequence: Sequence[Tensor]) -> list[Tensor]:
        """Feature maps ``(B, C, h, w)``, one after the other, to the last cell's state after each of them."""
        for cell in self.cells:
            state = torch.zeros_like(sequence[0])
            sequence = [state := cell(x, state) for x in sequence]
        return list(sequence)


class AHMF(nn.Module):
    """All features on the coarse grid, sub-pixel convolutions to the fine one, and a bicubic skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features; even.
        num_levels: Depths at which the modalities are fused.
    """

    def __init__(self, *, scale: int, guidance_bands: int = 10, num_feats: int = 64, num_levels: int = 4) -> None:
        super().__init__()

        def deeper_levels() -> nn.ModuleList:
            return nn.ModuleList(conv_prelu(num_feats, num_feats) for _ in range(num_levels - 1))

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_head = conv_prelu(1, num_feats)
        self.guidance_head = nn.Sequential(conv_prelu(guidance_bands, num_feats), unshuffle_down(num_feats, scale))
        self.lst_levels = deeper_levels()
        self.guidance_levels = deeper_levels()
        self.fusions = nn.ModuleList(AttentionFusion(num_feats) for _ in range(num_levels))
        self.upwards = ConvGRU(num_feats)
        self.downwards = ConvGRU(num_feats)
        self.refine = nn.ModuleList(ConvResAct(num_feats) for _ in range(num_levels))
        self.tail = nn.Sequential(
            conv_prelu(num_levels * num_feats, num_feats, 1), shuffle_up(num_feats, scale), same_conv(num_feats, 1)
        )

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``: the skip is added in it, whatever the
            type of the weights.
        """
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        lst_features = _deepened(self.lst_head(coarse), self.lst_levels)
        deepest_first = zip(self.fusions, reversed(lst_features), reversed(self._of_guidance(fine)), strict=True)
        fused = [fuse(x, g) for fuse, x, g in deepest_first]
        upwards = self.upwards(fused)
        downwards = reversed(self.downwards(fused[::-1]))
        levels = [refine(up + down) for refine, up, down in zip(self.refine, upwards, downwards, strict=True)]
        detail: Tensor = self.tail(torch.cat(levels, dim=1))
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        return _deepened(self.guidance_head(guidance), self.guidance_levels)


def _deepened(first: Tensor, deeper: nn.ModuleList) -> list[Tensor]:
    """Features of all levels, the first ones first."""
    levels = [first]
    for deepen in deeper:
        levels.append(deepen(levels[-1]))
    return levels


SPEC = ModelSpec(
    name="ahmf",
    label="AHMF",
    description="Fuses at four depths on the coarse grid: fast for its size, above all at large scales.",
    build=AHMF,
    guided=True,
    scales=(2, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 16}},
    paper=Paper(
        authors="Z. Zhong, X. Liu, J. Jiang, D. Zhao, Z. Chen, X. Ji",
        title="High-Resolution Depth Maps Imaging via Attention-Based Hierarchical Multi-Modal Fusion",
        venue="IEEE Transactions on Image Processing",
        year=2022,
        doi="arXiv:2104.01530",
    ),
)
