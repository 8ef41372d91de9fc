"""MoCoLSK-Net: guided downscaling with a receptive field that both modalities choose, per image.

All rows of the paper's ablations are arguments. Where the paper leaves a variant open, these choices are ours:

* ``C`` (MoCoLSK-CS) is the selective kernel's channel attention over the large-kernel features; the matrix behind its
  squeezed means is what the modality-conditioned pathway generates, as it generates the filter in ``S``.
* ``SK-M``, ``LSK-M``, ``LSK-CS-M``: a 1×1 convolution brings the concatenated modalities to the width of one before the
  original module, which has static weights (LSK: a 7×7 filter) and, for SK, no batch normalisation.
* ``identity`` passes the guidance features on: both modalities are concatenated and nothing else.
* A single large kernel keeps the width C/2 of its features; its only mask is a gate.
* Pooling ``both`` gives two tokens, the mean and the maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor, nn

from groklst_engine.errors import ModelError
from groklst_engine.layers.attention import ResidualGroup
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.dynamic_mlp import DYNAMIC_MLPS
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.large_kernel import LargeKernels, ParallelKernels
from groklst_engine.layers.pooling import POOLINGS
from groklst_engine.layers.projection import DenseProjection
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.layers.selective_kernel import (
    ChannelMasks,
    GeneratedWeights,
    Selection,
    SpatialMasks,
    StaticWeights,
    WeightSource,
)
from groklst_engine.models.spec import ModelSpec, Paper

GATED = ("guidance", "lst")
"""Modalities that what was selected can multiply."""

Kernels = tuple[tuple[int, int], ...]
_SLOPE = 0.2


class Gated(nn.Module):
    """Multiply one of the modalities by what was selected.

    Args:
        select: Maps LST and guidance features to features of the same shape.
        gated: One of ``GATED``.
    """

    def __init__(self, select: nn.Module, gated: str) -> None:
        super().__init__()
        self.select = select
        self.gated = gated

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        selected: Tensor = self.select(lst, guidance)
        return selected * (guidance if self.gated == "guidance" else lst)


class Exchanged(nn.Module):
    """A fusion module with the roles of the modalities exchanged.

    Args:
        fuse: The fusion module.
    """

    def __init__(self, fuse: nn.Module) -> None:
        super().__init__()
        self.fuse = fuse

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        fused: Tensor = self.fuse(guidance, lst)
        return fused


class Merged(nn.Module):
    """Mix both modalities into one first, and give it to a fusion module in the place of both.

    Args:
        channels: Width C of both modalities.
        fuse: The fusion module.
    """

    def __init__(self, channels: int, fuse: nn.Module) -> None:
        super().__init__()
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.fuse = fuse

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        merged = self.merge(torch.cat([lst, guidance], dim=1))
        fused: Tensor = self.fuse(merged, merged)
        return fused


class GuidanceOnly(nn.Module):
    """No selection: the guidance features as they are."""

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, H, W)`` twice to the same shape."""
        return guidance


def fusion_modules(
    channels: int, *, large_kernels: Kernels, filter_size: int, gated: str, weights: WeightSource
) -> dict[str, Callable[[], nn.Module]]:
    """What may fuse the modalities at a stage, by name: from two feature maps ``(B, C, H, W)`` to a third.

    Args:
        channels: Width C of both modalities; even.
        large_kernels: Size and dilation of each large kernel.
        filter_size: Of the filter of ``S``.
        gated: Which modality ``S`` and ``C`` multiply by what they selected.
        weights: Of the masks of ``S`` and ``C``.
    """
    count, half = len(large_kernels), channels // 2

    def over_large_kernels(masks: nn.Module) -> nn.Module:
        return Selection(LargeKernels(channels, large_kernels), masks, nn.Conv2d(half, channels, 1))

    def spatial(size: int, source: WeightSource) -> nn.Module:
        return Gated(over_large_kernels(SpatialMasks(count, size, source)), gated)

    def channel(source: WeightSource) -> nn.Module:
        return Gated(over_large_kernels(ChannelMasks(count, half, source)), gated)

    def selective_kernel() -> nn.Module:
        return Selection(ParallelKernels(channels), ChannelMasks(2, channels, StaticWeights), nn.Identity())

    return {
        "S": lambda: spatial(filter_size, weights),
        "C": lambda: channel(weights),
        "identity": GuidanceOnly,
        "SK-M": lambda: Merged(channels, selective_kernel()),
        "LSK-M": lambda: Merged(channels, spatial(7, StaticWeights)),
        "LSK-CS-M": lambda: Merged(channels, channel(StaticWeights)),
        "MoCoLSK-Ex": lambda: Exchanged(spatial(filter_size, weights)),
    }


class Fusion(nn.Module):
    """Lift the LST features to the fine grid, fuse them with the guidance features, and come back.

    Args:
        lst_channels: Width L of the LST features.
        guidance_channels: Width C of the guidance features.
        scale: Fine pixels per coarse pixel.
        fuse: Fuses two fine feature maps ``(B, C, H, W)`` into one.
    """

    def __init__(self, lst_channels: int, guidance_channels: int, scale: int, fuse: nn.Module) -> None:
        super().__init__()
        self.up = DenseProjection(lst_channels, guidance_channels, scale, "up")
        self.fuse = fuse
        self.down = DenseProjection(2 * guidance_channels, lst_channels + guidance_channels, scale, "down")

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """``(B, L, h, w)`` and ``(B, C, H, W)`` to ``(B, L + C, h, w)``."""
        fine = self.up(lst)
        fused: Tensor = self.down(torch.cat([fine, self.fuse(fine, guidance)], dim=1))
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
        mocolsk_kernel_size: Of the selection filter of ``S``; odd.
        num_stages: Number of fusion stages.
        fusion: What fuses the modalities at each stage, or one name for all stages: ``S`` (pixels select), ``C``
            (channels select), ``identity`` (the guidance features as they are), ``SK-M``, ``LSK-M``, ``LSK-CS-M``
            (a selective kernel, a large one, and that with channel selection, on both modalities merged),
            ``MoCoLSK-Ex`` (``S`` with exchanged modalities).
        large_kernels: Size (odd) and dilation of each of the depth-wise convolutions in a row among which is selected;
            ``C`` needs at least two.
        pooling: What the selection filter is generated from: ``average``, ``max``, ``both`` or ``pyramid``.
        dynamic: Whether ``S`` and ``C`` generate the weights of their selection from the image, or learn fixed ones.
        gated: Which modality, ``guidance`` or ``lst``, is multiplied by what was selected.
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
        fusion: tuple[str, ...] = ("S",),
        large_kernels: Kernels = ((5, 1), (7, 3)),
        pooling: str = "pyramid",
        dynamic: bool = True,
        gated: str = "guidance",
        n_resblocks: int = 4,
        reduction: int = 16,
        mlp_type: str = "a",
        mlp_layers: int = 1,
        mlp_hidden: int = 32,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        mlp_type = mlp_type.lower()
        _require_known("mlp_type", mlp_type, DYNAMIC_MLPS)
        _require_known("pooling", pooling, POOLINGS)
        _require_known("gated", gated, GATED)
        _require(kernel_size % 2 == 1, f"kernel_size is {kernel_size}: choose an odd number")
        _require(mocolsk_kernel_size % 2 == 1, f"mocolsk_kernel_size is {mocolsk_kernel_size}: choose an odd number")
        for kernel in large_kernels:
            _require(
                len(kernel) == 2 and kernel[0] % 2 == 1,
                f"large_kernels has {kernel}: choose an odd size and a dilation, such as (7, 3)",
            )
        _require(bool(large_kernels), "large_kernels is empty: choose sizes and dilations, such as (5, 1), (7, 3)")
        _require(
            len(fusion) in (1, num_stages),
            f"fusion has {len(fusion)} names: choose 1 or num_stages, which is {num_stages}",
        )
        _require(num_feats % 2 == 0, f"num_feats is {num_feats}: choose an even number")
        _require(num_feats >= reduction, f"reduction is {reduction}: choose at most num_feats, which is {num_feats}")

        generated = partial(
            GeneratedWeights,
            channels=num_feats,
            pooling=pooling,
            mlp_type=mlp_type,
            mlp_layers=mlp_layers,
            mlp_hidden=mlp_hidden,
            reference_compat=reference_compat,
        )
        modules = fusion_modules(
            num_feats,
            large_kernels=large_kernels,
            filter_size=mocolsk_kernel_size,
            gated=gated,
            weights=generated if dynamic else StaticWeights,
        )
        for name in fusion:
            _require_known("fusion", name, modules)
        _require("C" not in fusion or len(large_kernels) > 1, "fusion is C: choose at least two large_kernels")

        def group(channels: int, n_blocks: int = n_resblocks) -> ResidualGroup:
            return ResidualGroup(channels, n_blocks, reduction, negative_slope=_SLOPE)

        def stage(number: int) -> Stage:
            lst_channels = num_feats * (number + 1)
            fuse = modules[fusion[number % len(fusion)]]()
            return Stage(group(lst_channels), group(num_feats), Fusion(lst_channels, num_feats, scale, fuse))

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_stem = nn.Sequential(same_conv(1, num_feats, kernel_size), nn.LeakyReLU(_SLOPE))
        self.guidance_stem = nn.Sequential(same_conv(guidance_bands, num_feats, kernel_size), nn.LeakyReLU(_SLOPE))
        self.stages = nn.ModuleList(stage(number) for number in range(num_stages))
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
        coarse, guidance = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        lst_features = self.lst_stem(coarse)
        guidance_features = self.guidance_stem(guidance)
        for stage in self.stages:
            lst_features, guidance_features = stage(lst_features, guidance_features)
        detail: Tensor = self.head(self.decoder(lst_features))
        return up_bicubic(lst, self.scale) + detail.to(lst.dtype)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ModelError(f"Network 'mocolsk' cannot be built: {message}.")


def _require_known(argument: str, name: str, names: Collection[str]) -> None:
    *others, last = names
    _require(name in names, f"{argument} is {name!r}: choose {', '.join(others)} or {last}")


SPEC = ModelSpec(
    name="mocolsk",
    label="MoCoLSK-Net",
    description="Most accurate guided network of its benchmark; the small preset suits a CPU.",
    build=MoCoLSKNet,
    guided=True,
    scales=(2, 4, 8),
    presets={
        "paper": {},
        "cscc": {"fusion": ("C", "S", "C", "C")},  # the best sequence of the paper's ablation
        "small": {"num_feats": 16, "num_stages": 2, "n_resblocks": 2, "reduction": 4},
    },
    paper=Paper(
        authors="Q. Dai, C. Yuan, Y. Dai, Y. Li, X. Li, K. Ni, J. Xu, X. Shu, J. Yang",
        title="MoCoLSK: Modality-Conditioned High-Resolution Downscaling for Land Surface Temperature",
        venue="IEEE Transactions on Geoscience and Remote Sensing",
        year=2025,
        doi="arXiv:2409.19835",
    ),
)
