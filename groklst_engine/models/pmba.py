"""PMBANet: stages of chained back-projections beside dilated convolutions; the guidance enters the first one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import conv_prelu, same_conv
from groklst_engine.layers.init import init_he
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.padding import padded
from groklst_engine.layers.pooling import image_means
from groklst_engine.layers.projection import DenseProjection, Direction, projection
from groklst_engine.models.spec import ModelSpec, Paper

_POOL = 4
_DILATIONS = (1, 2, 3, 4, 1)
_GATE_HIDDEN = 4


def project(channels: int, scale: int, direction: Direction) -> nn.Sequential:
    """A convolution to the other grid, and a PReLU."""
    return nn.Sequential(projection(channels, channels, scale, direction), nn.PReLU())


class LocalAttention(nn.Module):
    """Strengthen what stands out of the pooled and enlarged surroundings.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enlarge = project(channels, _POOL, "up")

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` to the same shape; h and w are multiples of 4."""
        surroundings = self.enlarge(F.avg_pool2d(x, _POOL))
        return x + 0.1 * F.relu(x - surroundings) * x


class DilatedPrior(nn.Module):
    """Densely connected, dilated convolutions on the coarse grid, then a step to the fine one.

    Args:
        in_channels: Width of the input.
        channels: Width C of each convolution.
        scale: Fine pixels per coarse pixel.
    """

    def __init__(self, in_channels: int, channels: int, scale: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(in_channels + i * channels, channels, 3, padding=dilation, dilation=dilation), nn.PReLU()
            )
            for i, dilation in enumerate(_DILATIONS)
        )
        self.enlarge = project(channels, scale, "up")

    def forward(self, x: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` to ``(B, C, scale·h, scale·w)``."""
        *dense, last = self.convs
        for conv in dense:
            x = torch.cat([x, conv(x)], dim=1)
        result: Tensor = self.enlarge(last(x))
        return result


class ChannelGate(nn.Module):
    """Strengthen every channel by a gate computed from the means of all channels over the whole image.

    Args:
        channels: Width C in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, _GATE_HIDDEN)
        self.excite = nn.Linear(_GATE_HIDDEN, channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` to the same shape."""
        gates = torch.sigmoid(self.excite(F.relu(self.squeeze(image_means(x).flatten(1)))))
        return x + x * gates[..., None, None]


def _reconstruct(in_channels: int, channels: int, scale: int) -> nn.Sequential:
    """Coarse ``(B, in_channels, h, w)`` to fine ``(B, C, H, W)``, by an up-projection of what stands out."""
    return nn.Sequential(
        conv_prelu(in_channels, channels, 1),
        LocalAttention(channels),
        DenseProjection(channels, channels, scale, "up", one_slope=True),
    )


def _reconstruct_again(channels: int, scale: int) -> nn.Sequential:
    """Fine ``(B, C, H, W)`` to the same shape, by way of the coarse grid."""
    return nn.Sequential(project(channels, scale, "down"), _reconstruct(channels, channels, scale))


class Stage(nn.Module):
    """From the coarse grid to the fine one by all branches, aggregated.

    Args:
        in_channels: Width of the input.
        channels: Width C of the result.
        scale: Fine pixels per coarse pixel.
        num_branches: Reconstructions, each from the one before.
    """

    def __init__(self, in_channels: int, channels: int, scale: int, num_branches: int) -> None:
        super().__init__()
        self.first = _reconstruct(in_channels, channels, scale)
        self.others = nn.ModuleList(_reconstruct_again(channels, scale) for _ in range(num_branches - 1))
        self.merge = conv_prelu(num_branches * channels, channels)
        self.prior = DilatedPrior(in_channels, channels, scale)
        self.gate = ChannelGate(channels)

    def forward(self, x: Tensor, guidance: Tensor | None = None) -> Tensor:
        """``(B, in_channels, h, w)`` and perhaps guidance features ``(B, C, H, W)`` to ``(B, C, H, W)``."""
        branches = [self.first(x)]
        for reconstruct in self.others:
            branches.append(reconstruct(branches[-1]))
        total = self.prior(x) + self.merge(torch.cat(branches, dim=1))
        result: Tensor = self.gate(total if guidance is None else total + guidance)
        return result


class PMBANet(nn.Module):
    """Stages that each read the coarse versions of all results before; no interpolated skip.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features.
        stem_feats: Width of the first convolutions.
        num_stages: Number of stages.
        num_branches: Chained reconstructions per stage.
        reference_compat: As published, with many layers that nothing uses.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 64,
        stem_feats: int = 256,
        num_stages: int = 3,
        num_branches: int = 4,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_stem = nn.Sequential(conv_prelu(1, stem_feats), conv_prelu(stem_feats, num_feats, 1))
        self.guidance_stem = nn.Sequential(
            conv_prelu(guidance_bands, stem_feats),
            conv_prelu(stem_feats, num_feats),
            conv_prelu(num_feats, num_feats, 1),
        )
        self.stages = nn.ModuleList(
            Stage(i * num_feats, num_feats, scale, num_branches) for i in range(1, num_stages + 1)
        )
        self.downs = nn.ModuleList(project(num_feats, scale, "down") for _ in range(num_stages - 1))
        self.tail = same_conv(num_feats, 1)
        if reference_compat:
            self.unused = nn.ModuleList(
                [
                    conv_prelu(num_feats, num_feats),
                    DilatedPrior((num_stages + 1) * num_feats, num_feats, scale),
                    project(num_feats, scale, "down"),
                    *(_reconstruct_again(num_feats, scale) for _ in range(num_stages)),
                    *(ChannelGate(num_feats) for _ in range(2)),
                    *(conv_prelu(num_branches * num_feats, num_feats) for _ in range(2)),
                ]
            )
        init_he(self)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: ``(B, guidance_bands, scale·h, scale·w)``, normalised; an absent band is 0 everywhere. None: all
                are absent.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        coarse, fine = guided_inputs(self, lst, guidance, scale=self.scale, bands=self.guidance_bands)
        x = self.lst_stem(padded(coarse, _POOL))
        first, *others = self.stages
        result = first(x, self.guidance_stem(padded(fine, self.scale * _POOL)))
        for down, stage in zip(self.downs, others, strict=True):
            x = torch.cat([x, down(result)], dim=1)
            result = stage(x)
        image: Tensor = self.tail(result)
        height, width = fine.shape[-2:]
        return image[..., :height, :width].to(lst.dtype)


SPEC = ModelSpec(
    name="pmba",
    label="PMBANet",
    description="Heavy: reconstructs again and again in several branches; looks at the guidance once.",
    build=PMBANet,
    guided=True,
    scales=(2, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"num_feats": 8, "stem_feats": 32, "num_stages": 2, "num_branches": 3}},
    paper=Paper(
        authors="X. Ye, B. Sun, Z. Wang, J. Yang, R. Xu, H. Li, B. Li",
        title="PMBANet: Progressive Multi-Branch Aggregation Network for Scene Depth Super-Resolution",
        venue="IEEE Transactions on Image Processing",
        year=2020,
    ),
)
