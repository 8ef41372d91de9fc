"""CODON: two branches that refine themselves recursively and steer each other by a joint attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import PooledMLP, SpatialMap
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

_MAP_SIZE = 5


def _conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Conv2d:
    """A convolution without bias, as all of this network's feature convolutions are; He-initialised by its outputs."""
    conv = same_conv(in_channels, out_channels, kernel_size, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


class MultiScale(nn.Module):
    """Two neighbourhoods side by side, then mixed.

    Args:
        channels: Width C in and out.
        kernel_sizes: Sides of the two neighbourhoods, in the order in which they are concatenated.
    """

    def __init__(self, channels: int, kernel_sizes: tuple[int, int]) -> None:
        super().__init__()
        self.views = nn.ModuleList(_conv(channels, channels, size) for size in kernel_sizes)
        self.mix = _conv(2 * channels, 2 * channels, 5)
        self.reduce = _conv(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        views = torch.cat([F.relu(view(x)) for view in self.views], dim=1)
        result: Tensor = self.reduce(F.relu(self.mix(views)))
        return result


class CrossAttention(nn.Module):
    """Gates for both branches, from both: channel gates times pixel gates.

    Args:
        channels: Width C of each branch.
        hidden: Width between the two layers that make the channel gates.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channel_gates = PooledMLP(2 * channels, hidden, channels)
        self.pixel_gates = SpatialMap(_MAP_SIZE, max_first=True)

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        """LST and guidance features, ``(B, C, H, W)`` each, to gates of the same shape."""
        both = torch.cat([guidance, lst], dim=1)
        gates: Tensor = self.channel_gates(both) * self.pixel_gates(both)
        return gates


class CODON(nn.Module):
    """Recursions whose convolutions share their weights, each with an attention of its own, and a bicubic skip.

    Args:
        scale: Fine pixels per coarse pixel.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features.
        attention_hidden: Width between the two layers that make the channel gates.
        num_recursions: Recursions of the two branches.
        num_fusion_recursions: Recursions after their fusion.
        reference_compat: As published, with the parameters of one more attention, which nothing uses.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 64,
        attention_hidden: int = 8,
        num_recursions: int = 5,
        num_fusion_recursions: int = 3,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()

        def head(bands: int) -> nn.Sequential:
            return nn.Sequential(_conv(bands, num_feats), nn.ReLU(), _conv(num_feats, num_feats), nn.ReLU())

        self.scale = scale
        self.guidance_bands = guidance_bands
        self.num_fusion_recursions = num_fusion_recursions
        self.lst_head = head(1)
        self.guidance_head = head(guidance_bands)
        self.lst_branch = MultiScale(num_feats, (3, 5))
        self.guidance_branch = MultiScale(num_feats, (5, 3))
        self.attentions = nn.ModuleList(CrossAttention(num_feats, attention_hidden) for _ in range(num_recursions))
        self.fuse = _conv(2 * num_feats, num_feats)
        self.fused_branch = MultiScale(num_feats, (5, 3))
        self.tail = nn.Sequential(_conv(num_feats, num_feats), nn.ReLU(), _conv(num_feats, 1))
        if reference_compat:
            self.unused = nn.ModuleList([PooledMLP(num_feats, num_feats // 16, num_feats), SpatialMap(_MAP_SIZE)])

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
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        lst_start = self.lst_head(upsampled.to(coarse.dtype))
        guidance_start = self.guidance_head(fine)
        x, g = lst_start, guidance_start
        for attention in self.attentions:
            x, g = self.lst_branch(x), self.guidance_branch(g)
            gates = attention(x, g)
            x, g = x * gates + lst_start, g * gates + guidance_start

        fused_start = F.relu(self.fuse(torch.cat([x, g], dim=1)))
        fused = fused_start
        for _ in range(self.num_fusion_recursions):
            fused = self.fused_branch(fused) + fused_start
        detail: Tensor = self.tail(fused)
        return upsampled + detail.to(lst.dtype)


SPEC = ModelSpec(
    name="codon",
    label="CODON",
    description="LST and guidance steer each other in recursions: few parameters, much computation (x2: an extension).",
    build=CODON,
    guided=True,
    scales=(2, 4, 8),
    bf16_ok=False,  # the recursions magnify bfloat16's rounding: about 0.3 K with fresh weights
    presets={"paper": {}, "small": {"num_feats": 16, "num_recursions": 3, "num_fusion_recursions": 2}},
    paper=Paper(
        authors="Y. Yang, Q. Cao, J. Zhang, D. Tao",
        title="CODON: On Orchestrating Cross-Domain Attentions for Depth Super-Resolution",
        venue="International Journal of Computer Vision",
        year=2022,
    ),
)
