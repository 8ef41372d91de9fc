"""PAC: up-sampling convolutions that adapt to the guidance at every pixel."""

from __future__ import annotations

import math
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.models.spec import ModelSpec, Paper


class PacTransposeConv(nn.Module):
    """Double the resolution by a 5×5 convolution whose taps count by the likeness of the guidance.

    The input is spread out with zeros between its pixels. A tap of the filter counts by exp(−d²/2), d the distance
    between the guidance features under it and those under the centre; beyond the image they are 0.

    Args:
        in_channels: Width C of the input.
        out_channels: Width D of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(25 * in_channels)
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, 5, 5).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """``(B, C, h, w)`` and ``(B, K, 2·h, 2·w)`` to ``(B, D, 2·h, 2·w)``."""
        x, around = F.pad(x, (1, 1, 1, 1)), F.pad(guidance, (2, 2, 2, 2))
        # Fine pixels of one phase meet input pixels, not zeros, under the same taps: they are computed together.
        phases = [self._phase(x, around, row, column) for row, column in product((0, 1), repeat=2)]
        return F.pixel_shuffle(torch.stack(phases, dim=2).flatten(1, 2), 2)

    def _phase(self, x: Tensor, guidance: Tensor, row: int, column: int) -> Tensor:
        """Every second fine pixel from ``row`` and ``column`` on, ``(B, D, h, w)``, from padded inputs."""
        height, width = x.shape[-2] - 2, x.shape[-1] - 2

        def every_second(v: int, u: int) -> Tensor:
            return guidance[..., v : v + 2 * height : 2, u : u + 2 * width : 2]

        centre = every_second(row + 2, column + 2)
        taps = list(product(range(row, 5, 2), range(column, 5, 2)))
        seen = []
        for v, u in taps:
            distance = every_second(row + v, column + u) - centre
            likeness = torch.exp(-0.5 * distance.square().sum(dim=1, keepdim=True))
            top, left = (row + v) // 2, (column + u) // 2
            seen.append(likeness * x[..., top : top + height, left : left + width])
        weight = torch.cat([self.weight[..., v, u] for v, u in taps]).T[..., None, None]
        return F.conv2d(torch.cat(seen, dim=1), weight, self.bias)


class PAC(nn.Module):
    """Features of the LST are doubled in resolution again and again, each time adapted to features of the guidance.

    Args:
        scale: A power of two.
        guidance_bands: Number of guidance bands.
        num_feats: Width of all features but the following.
        likeness_feats: Guidance features that each doubling compares.
    """

    def __init__(self, *, scale: int, guidance_bands: int = 10, num_feats: int = 32, likeness_feats: int = 16) -> None:
        super().__init__()
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.n_doublings = scale.bit_length() - 1
        self.lst_branch = _conv_net([1, num_feats, num_feats, num_feats])
        self.guidance_branch = _conv_net([guidance_bands, num_feats, num_feats, likeness_feats * self.n_doublings])
        self.doublings = nn.ModuleList(PacTransposeConv(num_feats, num_feats) for _ in range(self.n_doublings))
        self.head = _conv_net([num_feats, num_feats, 1])

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
        features = self.lst_branch(coarse)
        for double, likeness in zip(self.doublings, self._of_guidance(guidance), strict=True):
            features = F.relu(double(features, likeness))
        result: Tensor = self.head(features)
        return result.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        """What each doubling compares, ``(B, likeness_feats, H', W')`` on the grid that it makes."""
        height, width = guidance.shape[-2] // self.scale, guidance.shape[-1] // self.scale
        likenesses = self.guidance_branch(guidance).chunk(self.n_doublings, dim=1)
        return [
            F.interpolate(likeness, size=(height << number, width << number), mode="bilinear", align_corners=False)
            for number, likeness in enumerate(likenesses, start=1)
        ]


def _conv_net(widths: list[int]) -> nn.Sequential:
    """Convolutions of 5×5 from width to width, with ReLUs between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [same_conv(before, after, 5), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


SPEC = ModelSpec(
    name="pac",
    label="PAC",
    description="Compact guided up-sampling by convolutions that adapt to the guidance at every pixel.",
    build=PAC,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=lambda arguments: 9,  # 6 for the convolutions on the coarse grid, 3 for all behind them
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself
    presets={"paper": {}, "small": {"num_feats": 16, "likeness_feats": 8}},
    licence="CC BY-NC-SA 4.0",
    paper=Paper(
        authors="H. Su, V. Jampani, D. Sun, O. Gallo, E. Learned-Miller, J. Kautz",
        title="Pixel-Adaptive Convolutional Neural Networks",
        venue="CVPR",
        year=2019,
    ),
)
