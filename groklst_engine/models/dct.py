"""DCTNet: the guidance's Laplacian is taken over by solving a screened Poisson equation in the cosine domain."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.attention import EnhancedSpatialAttention
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.precision import widened, without_autocast
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

Modality = Literal["lst", "guidance"]


class CoupledConv(nn.Module):
    """A convolution of each modality; half of its filters serve both modalities.

    Args:
        channels: Width C in and out; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared = same_conv(channels, channels // 2)
        self.lst = same_conv(channels, channels // 2)
        self.guidance = same_conv(channels, channels // 2)
        for conv in (self.shared, self.lst, self.guidance):
            nn.init.kaiming_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, modality: Modality) -> Tensor:
        """Features of a modality, ``(B, C, H, W)``, to the same shape."""
        own = self.lst if modality == "lst" else self.guidance
        return torch.cat([self.shared(x), own(x)], dim=1)


class CoupledBlock(nn.Module):
    """A residual block of each modality, made of coupled convolutions.

    Args:
        channels: Width C in and out; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = CoupledConv(channels)
        self.conv2 = CoupledConv(channels)

    def forward(self, x: Tensor, modality: Modality) -> Tensor:
        """Features of a modality, ``(B, C, H, W)``, to the same shape."""
        residual: Tensor = self.conv2(F.relu(self.conv1(x, modality)), modality)
        return F.relu(residual + x)


def laplacian(x: Tensor) -> Tensor:
    """Sum of the differences to the 8 neighbours, divided by 16; edges are mirrored. Any ``(B, C, H, W)``."""
    return 9 / 16 * (F.avg_pool2d(F.pad(x, (1, 1, 1, 1), "reflect"), 3, stride=1) - x)


def cosine_basis(size: int, like: Tensor) -> Tensor:
    """The orthonormal matrix of the type II discrete cosine transform, ``(size, size)``: a frequency per row."""
    index = torch.arange(size, dtype=torch.float64, device=like.device)
    basis = torch.cos(math.pi / size * index[:, None] * (index + 0.5)) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.to(like.dtype)


def solve_screened_poisson(target: Tensor, weight: Tensor) -> Tensor:
    """Solve ``x + weight · Laplacian(Laplacian(x)) = target`` with mirrored edges, exactly, in the cosine domain.

    Args:
        target: ``(B, C, H, W)``.
        weight: ``(1, C, 1, 1)``, positive.

    Returns:
        ``(B, C, H, W)``.
    """
    height, width = target.shape[-2:]
    rows, columns = cosine_basis(height, target), cosine_basis(width, target)
    row_index, column_index = (torch.arange(size, dtype=target.dtype, device=target.device) for size in (height, width))
    eigenvalues = 2 * (torch.cos(math.pi / height * row_index[:, None]) + torch.cos(math.pi / width * column_index) - 2)
    spectrum = rows @ target @ columns.T / (1 + weight * eigenvalues.square())
    return rows.T @ spectrum @ columns


class DCTNet(nn.Module):
    """Coupled features of both modalities, an edge attention, the solution of an equation, and a decoder of it.

    The equation keeps each channel close to its LST feature, and its Laplacian close to the guidance feature's where
    the attention wants it. Its solver belongs to the 4-neighbour Laplacian, its right-hand side has the 8-neighbour
    one: the solution is a learned filter rather than the exact optimum.

    Args:
        scale: Fine pixels per coarse pixel.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features; a multiple of 4.
        num_blocks: Coupled residual blocks.
        reference_compat: As published: a last ReLU, so that no pixel is colder than the mean, and one convolution that
            nothing uses.
    """

    def __init__(
        self,
        *,
        scale: int,
        guidance_bands: int = 10,
        num_feats: int = 64,
        num_blocks: int = 4,
        reference_compat: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.lst_head = nn.Sequential(same_conv(1, num_feats), nn.ReLU())
        self.guidance_head = nn.Sequential(same_conv(guidance_bands, num_feats), nn.ReLU())
        self.blocks = nn.ModuleList(CoupledBlock(num_feats) for _ in range(num_blocks))
        self.edge_attention = EnhancedSpatialAttention(num_feats, num_feats // 4)
        self.log_weight = nn.Parameter(torch.empty(1, num_feats, 1, 1).normal_(0.1, 0.3))
        self.decoder = nn.Sequential(
            same_conv(num_feats, num_feats // 2),
            nn.ReLU(),
            same_conv(num_feats // 2, num_feats // 4),
            nn.ReLU(),
            same_conv(num_feats // 4, 1),
            nn.ReLU() if reference_compat else nn.Identity(),
        )
        if reference_compat:
            self.unused = same_conv(num_feats // 4, num_feats // 4)

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
        lst_features = self.lst_head(up_bicubic(coarse, self.scale))
        for block in self.blocks:
            lst_features = block(lst_features, "lst")
        edges = self._of_guidance(fine)
        with without_autocast(lst):
            weight = widened(self.log_weight).exp()
            solution = solve_screened_poisson(weight * edges + widened(lst_features), weight)
        result: Tensor = self.decoder(solution.to(coarse.dtype))
        return result.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> Tensor:
        """What the Laplacian of the Laplacian shall be, ``(B, C, H, W)``, in float32 at least."""
        features = self.guidance_head(guidance)
        for block in self.blocks:
            features = block(features, "guidance")
        attention = self.edge_attention.gates(features)
        with without_autocast(features):
            return laplacian(laplacian(widened(features)) * widened(attention))


SPEC = ModelSpec(
    name="dct",
    label="DCTNet",
    description="Light: takes over the guidance's edges by solving an equation for the whole image.",
    build=DCTNet,
    guided=True,
    scales=(2, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"num_feats": 16, "num_blocks": 2}},
    paper=Paper(
        authors="Z. Zhao, J. Zhang, S. Xu, Z. Lin, H. Pfister",
        title="Discrete Cosine Transform Network for Guided Depth Map Super-Resolution",
        venue="CVPR",
        year=2022,
    ),
)
