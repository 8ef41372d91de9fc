"""SRDA-Net, after its paper: downscaling in steps of two, with attention between LST and guidance at each.

The paper tells what its modules are for, not how they are built. These choices are ours:

* Steps of two: the scale is a power of two, and each doubling has features of its own (the paper goes 1000 m, 500 m,
  250 m with one network for each step). At each step the guidance features are block means of the finest ones.
* GCA, the global resolution attention between LST and auxiliary data: channels of the LST attend to channels of the
  guidance over all pixels, whose number therefore costs linearly (transposed attention of Restormer).
* MSCA, the multi-scale attention: depth-wise strips of several lengths gate the features (SegNeXt), through a sigmoid,
  which needs no normalisation layer.
* MFRM, the multi-level feature refinement for spatial dependency: the features of all steps, brought to the fine grid,
  are fused, refined by residual channel attention (RCAN), and gated pixel by pixel (CBAM).
* A bicubic skip, which is all there is before training.

Its physically constrained loss is ``adaptive`` in ``losses.py``.

References:
    Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022.
    Guo et al., SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation, NeurIPS 2022.
    Zhang et al., Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018.
    Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.degrade import block_mean
from groklst_engine.errors import ModelError
from groklst_engine.layers.attention import ResidualGroup, SpatialMap
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.resample import PixelShuffleUpsampler, up_bicubic, up_bilinear
from groklst_engine.models.spec import ModelSpec, Paper

_SLOPE = 0.2
_STRIPS = (7, 11, 21)


def _depth_wise(channels: int, height: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, (height, width), padding=(height // 2, width // 2), groups=channels)


class GlobalCrossAttention(nn.Module):
    """GCA: add to the LST a mixture of guidance channels, those that vary over the image as its own channels do.

    Args:
        channels: Width C of both modalities.
        heads: Groups of channels that attend among themselves; divides C.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Conv2d(channels, channels, 1), _depth_wise(channels, 3, 3))
        self.key_value = nn.Sequential(nn.Conv2d(channels, 2 * channels, 1), _depth_wise(2 * channels, 3, 3))
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Conv2d(channels, channels, 1)
        self.heads = heads

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        key, value = (self._by_head(part) for part in self.key_value(guidance).chunk(2, dim=1))
        alike = F.normalize(self._by_head(self.query(lst)), dim=-1) @ F.normalize(key, dim=-1).transpose(-1, -2)
        mixture = (alike * self.temperature).softmax(dim=-1) @ value
        found: Tensor = self.project(mixture.reshape(lst.shape))
        return lst + found

    def _by_head(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to ``(B, heads, C / heads, H·W)``."""
        return x.reshape(len(x), self.heads, x.shape[1] // self.heads, -1)


class MultiScaleAttention(nn.Module):
    """MSCA: scale every value by a gate that sees its neighbourhood at several lengths, 25 pixels at most.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, channels, 1)
        self.near = _depth_wise(channels, 5, 5)
        self.strips = nn.ModuleList(
            nn.Sequential(_depth_wise(channels, 1, length), _depth_wise(channels, length, 1)) for length in _STRIPS
        )
        self.mix = nn.Conv2d(channels, channels, 1)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        values = F.gelu(self.enter(x))
        scales = near = self.near(values)
        for strip in self.strips:
            scales = scales + strip(near)
        gated: Tensor = self.leave(values * torch.sigmoid(self.mix(scales)))
        return x + gated


class Level(nn.Module):
    """The work on one grid of the way from coarse to fine.

    Args:
        channels: Width C of both modalities.
        n_blocks: Number of pairs of GCA and MSCA.
        heads: Of the GCA.
    """

    def __init__(self, channels: int, n_blocks: int, heads: int) -> None:
        super().__init__()
        self.cross = nn.ModuleList(GlobalCrossAttention(channels, heads) for _ in range(n_blocks))
        self.scales = nn.ModuleList(MultiScaleAttention(channels) for _ in range(n_blocks))

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        for cross, scales in zip(self.cross, self.scales, strict=True):
            lst = scales(cross(lst, guidance))
        return lst


class MultiLevelRefinement(nn.Module):
    """MFRM: fuse the features of all levels on the finest grid, and refine them where it matters.

    Args:
        channels: Width C of each level, and of the result.
        n_levels: Number of levels, each twice as fine as the one before.
        n_blocks: Number of residual channel attention blocks.
        reduction: Of their channel attention.
    """

    def __init__(self, channels: int, n_levels: int, n_blocks: int, reduction: int) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(n_levels * channels, channels, 1)
        self.refine = ResidualGroup(channels, n_blocks, reduction, negative_slope=_SLOPE)
        self.gate = SpatialMap(7)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """``(B, C, h, w)``, ``(B, C, 2h, 2w)`` … to the shape of the last."""
        *coarser, finest = levels
        lifted = [up_bilinear(level, finest.shape[-1] // level.shape[-1]) for level in coarser]
        fused = self.fuse(torch.cat([*lifted, finest], dim=1))
        refined = self.refine(fused)
        result: Tensor = fused + refined * self.gate(refined)
        return result


class SRDANet(nn.Module):
    """A level for the coarse grid and one for each doubling, a refinement of all of them, and a bicubic skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features.
        n_blocks: Pairs of GCA and MSCA per level.
        heads: Of the GCA; divides ``num_feats``.
        n_resblocks: Residual blocks of the MFRM.
        reduction: Of their channel attention; at most ``num_feats``.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 48,
        n_blocks: int = 2,
        heads: int = 4,
        n_resblocks: int = 4,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        for argument, value in (("heads", heads), ("reduction", reduction)):
            if num_feats % value:
                raise ModelError(
                    f"Network 'srda' cannot be built: {argument} is {value}: choose a divisor of num_feats, "
                    f"which is {num_feats}."
                )
        doublings = scale.bit_length() - 1
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_stem = same_conv(1, num_feats)
        self.guidance_stem = nn.Sequential(
            same_conv(guidance_bands, num_feats), nn.LeakyReLU(_SLOPE), same_conv(num_feats, num_feats)
        )
        self.levels = nn.ModuleList(Level(num_feats, n_blocks, heads) for _ in range(1 + doublings))
        self.lifts = nn.ModuleList(PixelShuffleUpsampler(num_feats, 2) for _ in range(doublings))
        self.refinement = MultiLevelRefinement(num_feats, 1 + doublings, n_resblocks, reduction)
        self.head = same_conv(num_feats, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        coarse, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        coarsest, *finer = self._of_guidance(guidance)
        features = [self.levels[0](self.lst_stem(coarse), coarsest)]
        for lift, level, guidance_features in zip(self.lifts, self.levels[1:], finer, strict=True):
            features.append(level(lift(features[-1]), guidance_features))
        detail: Tensor = self.head(self.refinement(features))
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        """Features on the grid of each level, the coarsest first."""
        finest = self.guidance_stem(guidance)
        return [block_mean(finest, self.scale >> number) for number in range(len(self.levels))]


SPEC = ModelSpec(
    name="srda",
    label="SRDA-Net (after the paper)",
    description="For MODIS-like LST, in steps of two; GrokLST's own design after the paper, not a copy of its layers.",
    build=SRDANet,
    guided=True,
    scales=(2, 4, 8),
    presets={"small": {"num_feats": 24, "n_blocks": 1, "n_resblocks": 2}},
    licence="GPL-3.0-or-later",
    paper=Paper(
        authors="H. Ma et al.",
        title="AI-Based Downscaling of MODIS LST Using SRDA-Net Model for High-Resolution Data Generation",
        venue="Remote Sensing",
        year=2025,
        doi="10.3390/rs17213510",
    ),
)
