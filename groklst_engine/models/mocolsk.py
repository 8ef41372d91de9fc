"""MoCoLSK-Net: guided downscaling with a receptive field that both modalities choose, per image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.errors import ModelError
from groklst_engine.layers.attention import ResidualGroup
from groklst_engine.layers.conv import conv_per_sample, same_conv
from groklst_engine.layers.dynamic_mlp import DYNAMIC_MLPS, DynamicFilter
from groklst_engine.layers.large_kernel import LargeKernelPair
from groklst_engine.layers.pooling import channel_mean_max, pyramid_tokens
from groklst_engine.layers.projection import DenseProjection
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

_SLOPE = 0.2


class SpatialSelection(nn.Module):
    """Modality-conditioned large selective kernel: pixels choose between a near and a far neighbourhood.

    The filter that decides is generated from both modalities, one for each sample, with gradient.

    Args:
        channels: Width C of both modalities; even.
        filter_size: Side of the generated filter; odd.
        mlp_type: Version of the dynamic MLP.
        mlp_layers: Its number of layers.
        mlp_hidden: Its width between layers.
        reference_compat: As published: one filter, averaged over the batch and cut off from the gradient.
    """

    def __init__(
        self,
        channels: int,
        *,
        filter_size: int,
        mlp_type: str,
        mlp_layers: int,
        mlp_hidden: int,
        reference_compat: bool,
    ) -> None:
        super().__init__()
        self.large_kernels = LargeKernelPair(channels)
        self.filter_shape = (2, 2, filter_size, filter_size)
        self.dynamic_filter = DynamicFilter(channels, 4 * filter_size**2, mlp_type, mlp_layers, mlp_hidden)
        self.expand = nn.Conv2d(channels // 2, channels, 1)
        self.reference_compat = reference_compat

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """LST and guidance features, ``(B, C, H, W)`` each, to selected features of the same shape."""
        near, far = self.large_kernels(lst)
        descriptor = channel_mean_max(torch.cat([near, far], dim=1))
        masks = torch.sigmoid(conv_per_sample(descriptor, self._generate_filters(lst, guidance)))
        selected: Tensor = self.expand(near * masks[:, :1] + far * masks[:, 1:])
        return guidance * selected

    def _generate_filters(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """One filter per sample, ``(B, 2, 2, k, k)``."""
        per_token = self.dynamic_filter(pyramid_tokens(lst), pyramid_tokens(guidance))
        filters: Tensor = per_token.mean(dim=1).reshape(-1, *self.filter_shape)
        if self.reference_compat:
            filters = filters.mean(dim=0, keepdim=True).detach().expand_as(filters)
        return filters


class Fusion(nn.Module):
    """Lift the LST features to the fine grid, fuse them with the guidance features, and come back.

    Args:
        lst_channels: Width L of the LST features.
        guidance_channels: Width C of the guidance features.
        scale: Fine pixels per coarse pixel.
        select: Fuses two fine feature maps ``(B, C, H, W)`` into one.
    """

    def __init__(self, lst_channels: int, guidance_channels: int, scale: int, select: nn.Module) -> None:
        super().__init__()
        self.up = DenseProjection(lst_channels, guidance_channels, scale, "up")
        self.select = select
        self.down = DenseProjection(2 * guidance_channels, lst_channels + guidance_channels, scale, "down")

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, L, h, w)`` and ``(B, C, H, W)`` to ``(B, L + C, h, w)``."""
        fine = self.up(lst)
        fused: Tensor = self.down(torch.cat([fine, self.select(fine, guidance)], dim=1))
        return fused


class Stage(nn.Module):
    """Refine both modalities, each on its own grid, then fuse the guidance into the LST.

    Args:
        lst_group: Refines the LST features.
        guidance_group: Refines the guidance features.
        fusion: Widens the LST features by the width of the guidance features.
    """

    def __init__(self, lst_group: nn.Module, guidance_group: nn.Module, fusion: nn.Module) -> None:
        super().__init__()
        self.lst_group = lst_group
        self.guidance_group = guidance_group
        self.fusion = fusion

    def forward(self, lst: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, L, h, w)`` and ``(B, C, H, W)`` to ``(B, L + C, h, w)`` and ``(B, C, H, W)``."""
        guidance = self.guidance_group(guidance)
        return self.fusion(self.lst_group(lst), guidance), guidance


class MoCoLSKNet(nn.Module):
    """Stages of refinement and fusion on the coarse grid, a decoder on the fine one, and a bicubic skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width F of the guidance features; the LST features grow by F per stage. Even.
        kernel_size: Of the convolutions of stems and head; odd.
        mocolsk_kernel_size: Of the generated selection filter; odd.
        num_stages: Number of fusion stages.
        n_resblocks: Residual blocks per group; the decoder's two fine groups have twice as many.
        reduction: Of the channel attention; at most F.
        mlp_type: Version of the dynamic MLP: a, b or c.
        mlp_layers: Number of its layers.
        mlp_hidden: Its width between layers.
        reference_compat: As published: selection filters averaged over the batch, and without gradient.

    Raises:
        ModelError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 32,
        kernel_size: int = 3,
        mocolsk_kernel_size: int = 3,
        num_stages: int = 4,
        n_resblocks: int = 4,
        reduction: int = 16,
        mlp_type: str = "a",
        mlp_layers: int = 1,
        mlp_hidden: int = 32,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        mlp_type = mlp_type.lower()
        _require(mlp_type in DYNAMIC_MLPS, f"mlp_type is {mlp_type!r}: choose a, b or c")
        _require(kernel_size % 2 == 1, f"kernel_size is {kernel_size}: choose an odd number")
        _require(mocolsk_kernel_size % 2 == 1, f"mocolsk_kernel_size is {mocolsk_kernel_size}: choose an odd number")
        _require(num_feats % 2 == 0, f"num_feats is {num_feats}: choose an even number")
        _require(num_feats >= reduction, f"reduction is {reduction}: choose at most num_feats, which is {num_feats}")

        def group(channels: int, n_blocks: int = n_resblocks) -> ResidualGroup:
            return ResidualGroup(channels, n_blocks, reduction, negative_slope=_SLOPE)

        def stage(lst_channels: int) -> Stage:
            select = SpatialSelection(
                num_feats,
                filter_size=mocolsk_kernel_size,
                mlp_type=mlp_type,
                mlp_layers=mlp_layers,
                mlp_hidden=mlp_hidden,
                reference_compat=reference_compat,
            )
            return Stage(group(lst_channels), group(num_feats), Fusion(lst_channels, num_feats, scale, select))

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_stem = nn.Sequential(same_conv(1, num_feats, kernel_size), nn.LeakyReLU(_SLOPE))
        self.guidance_stem = nn.Sequential(same_conv(guidance_bands, num_feats, kernel_size), nn.LeakyReLU(_SLOPE))
        self.stages = nn.ModuleList(stage(num_feats * (i + 1)) for i in range(num_stages))
        wide = num_feats * (num_stages + 1)
        self.decoder = nn.Sequential(
            group(wide),
            DenseProjection(wide, wide, scale, "up"),
            group(wide, 2 * n_resblocks),
            group(wide, 2 * n_resblocks),
        )
        self.head = nn.Sequential(
            same_conv(wide, num_feats, kernel_size), nn.LeakyReLU(_SLOPE), same_conv(num_feats, 1, kernel_size)
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
        upsampled = up_bicubic(lst, self.scale)
        if guidance is None:
            guidance = upsampled.new_zeros(len(lst), self.guidance_bands, *upsampled.shape[-2:])
        dtype = next(self.parameters()).dtype
        lst_features = self.lst_stem(lst.to(dtype))
        guidance_features = self.guidance_stem(guidance.to(dtype))
        for stage in self.stages:
            lst_features, guidance_features = stage(lst_features, guidance_features)
        detail: Tensor = self.head(self.decoder(lst_features))
        return upsampled + detail.to(lst.dtype)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ModelError(f"Network 'mocolsk' cannot be built: {message}.")


SPEC = ModelSpec(
    name="mocolsk",
    label="MoCoLSK-Net",
    description="Most accurate guided network of its benchmark; the small preset suits a CPU.",
    build=MoCoLSKNet,
    guided=True,
    scales=(2, 4, 8),
    presets={"paper": {}, "small": {"num_feats": 16, "num_stages": 2, "n_resblocks": 2, "reduction": 4}},
    paper=Paper(
        authors="Q. Dai, C. Yuan, Y. Dai, Y. Li, X. Li, K. Ni, J. Xu, X. Shu, J. Yang",
        title="MoCoLSK: Modality-Conditioned High-Resolution Downscaling for Land Surface Temperature",
        venue="IEEE Transactions on Geoscience and Remote Sensing",
        year=2025,
        doi="arXiv:2409.19835",
    ),
)
