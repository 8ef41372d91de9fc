"""SUFT: guidance counts where the LST features and their mirror image disagree on the fine grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.attention import ResidualGroup
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.pooling import channel_mean_max
from groklst_engine.layers.precision import widened
from groklst_engine.layers.projection import DenseProjection
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.layers.residual import PlainResBlock
from groklst_engine.models.spec import ModelSpec, Paper

_SLOPE = 0.2


def _stretched(x: Tensor) -> Tensor:
    """Each sample from 0 at its minimum to 1 at its maximum; 0 where both are equal."""
    exact = widened(x)
    lowest, highest = exact.amin(dim=(1, 2, 3), keepdim=True), exact.amax(dim=(1, 2, 3), keepdim=True)
    return ((exact - lowest) / (highest - lowest + 1e-12)).to(x.dtype)


class Bridge(nn.Module):
    """Lift the LST features twice, once mirrored; where the two differ, add guidance features, and come back.

    Args:
        lst_channels: Width L of the LST features.
        guidance_channels: Width C of the guidance features.
        scale: Fine pixels per coarse pixel.
        reference_compat: As published: the uncertainty has a bias, although stretching removes it.
    """

    def __init__(self, lst_channels: int, guidance_channels: int, scale: int, reference_compat: bool) -> None:
        super().__init__()
        joint = lst_channels + guidance_channels
        self.up = DenseProjection(lst_channels, lst_channels, scale, "up")
        self.up_mirrored = DenseProjection(lst_channels, lst_channels, scale, "up")
        self.uncertainty = same_conv(2, 1, 7, bias=reference_compat)
        self.down = DenseProjection(joint, joint, scale, "down")

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, L, h, w)`` and ``(B, C, H, W)`` to ``(B, L + C, h, w)``."""
        fine = self.up(lst)
        mirrored = self.up_mirrored(lst.flip(-1)).flip(-1)
        uncertainty = _stretched(self.uncertainty(channel_mean_max((fine - mirrored).abs())))
        fused: Tensor = self.down(torch.cat([fine, guidance * uncertainty], dim=1))
        return fused


class SUFT(nn.Module):
    """Stages of refinement and fusion on the coarse grid, a decoder on the fine one, and a bicubic skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width F of the guidance features; the LST features grow by F per stage.
        num_stages: Number of fusion stages.
        n_resblocks: Residual blocks per group; the decoder's two fine groups have twice as many.
        reduction: Of the channel attention; at most F.
        reference_compat: As published: with parameters that have no effect.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 32,
        num_stages: int = 3,
        n_resblocks: int = 4,
        reduction: int = 16,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()

        def group(channels: int, n_blocks: int = n_resblocks) -> ResidualGroup:
            return ResidualGroup(channels, n_blocks, reduction, negative_slope=_SLOPE)

        widths = [num_feats * (i + 1) for i in range(num_stages)]
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_stem = nn.Sequential(same_conv(1, num_feats), nn.LeakyReLU(_SLOPE))
        self.guidance_stem = nn.Sequential(same_conv(guidance_bands, num_feats), nn.LeakyReLU(_SLOPE))
        self.lst_groups = nn.ModuleList(group(width) for width in widths)
        self.guidance_blocks = nn.ModuleList(PlainResBlock(num_feats, negative_slope=_SLOPE) for _ in widths)
        self.bridges = nn.ModuleList(Bridge(width, num_feats, scale, reference_compat) for width in widths)
        wide = num_feats * (num_stages + 1)
        self.decoder = nn.Sequential(
            group(wide),
            DenseProjection(wide, wide, scale, "up"),
            group(wide, 2 * n_resblocks),
            group(wide, 2 * n_resblocks),
        )
        self.head = nn.Sequential(same_conv(wide, num_feats), nn.LeakyReLU(_SLOPE), same_conv(num_feats, 1))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; None: all bands are 0.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``: the skip is added in it.
        """
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        lst_features = self.lst_stem(coarse)
        guidance_features = self.guidance_stem(fine)
        for group, block, bridge in zip(self.lst_groups, self.guidance_blocks, self.bridges, strict=True):
            guidance_features = block(guidance_features)
            lst_features = bridge(group(lst_features), guidance_features)
        detail: Tensor = self.head(self.decoder(lst_features))
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="suft",
    label="SUFT",
    description="Guided network that takes from the guidance what the LST alone leaves uncertain.",
    build=SUFT,
    guided=True,
    scales=(2, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 8, "num_stages": 1, "n_resblocks": 2, "reduction": 4}},
    paper=Paper(
        authors="W. Shi, M. Ye, B. Du",
        title="Symmetric Uncertainty-aware Feature Transmission for Depth Super-Resolution",
        venue="ACM Multimedia",
        year=2022,
        doi="arXiv:2306.00386",
    ),
)
