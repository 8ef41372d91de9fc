"""DSRN: a large U-Net with a pyramid of the LST on its way down and guidance features on its way up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.inputs import guided_inputs
from groklst_engine.layers.kept import of_guidance
from groklst_engine.layers.padding import padded
from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec, Paper

_LEVELS = 4
_FINE_MULTIPLE = 2**_LEVELS


class DSRN(nn.Module):
    """Everything on the fine grid and four coarser ones, the coarser the wider, and a bicubic skip.

    The published network ends with batch normalisation and a ReLU, so that it can only warm what is interpolated; and
    its convolutions have biases that the batch normalisation behind them removes. Ours ends with a plain convolution.

    The benchmark names it after Wang et al., Depth Upsampling Based on Deep Edge-Aware Learning, Pattern Recognition
    103, 2020; the layers are those of Guo et al. (DepthSR-Net), with batch normalisation.

    Args:
        scale: 2, 4 or 8.
        guidance_bands: Number of guidance bands.
        num_feats: Width of the features on the fine grid; each coarser grid has twice as many.
        reference_compat: As published.
    """

    def __init__(
        self, *, scale: int, guidance_bands: int = 10, num_feats: int = 64, reference_compat: bool = False
    ) -> None:
        super().__init__()

        def activated(layer: nn.Module, channels: int) -> Iterator[nn.Module]:
            yield from (layer, nn.BatchNorm2d(channels), nn.ReLU())

        def convs(*widths: int) -> Iterator[nn.Module]:
            for before, after in pairwise(widths):
                yield from activated(same_conv(before, after, bias=reference_compat), after)

        def double(before: int, after: int) -> Iterator[nn.Module]:
            layer = nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1, bias=reference_compat)
            yield from activated(layer, after)

        widths = [num_feats * 2**level for level in range(_LEVELS)]
        finest, *coarser = widths
        coarsest = widths[-1]
        self.scale = scale
        self.guidance_bands = guidance_bands
        self.size_multiple = _FINE_MULTIPLE // scale
        self.guidance_encoder = nn.ModuleList(
            nn.Sequential(*convs(before, after)) for before, after in pairwise([guidance_bands, *widths])
        )
        self.lst_encoder = nn.ModuleList(
            [nn.Sequential(*convs(1, finest, finest)), *(nn.Sequential(*convs(w, w, w)) for w in coarser)]
        )
        self.lst_pyramid = nn.ModuleList(nn.Sequential(*convs(1, width)) for width in widths)
        self.bottom = nn.Sequential(*convs(2 * coarsest, 2 * coarsest, 2 * coarsest), *double(2 * coarsest, coarsest))
        self.decoder = nn.ModuleList(nn.Sequential(*convs(3 * w, w, w), *double(w, w // 2)) for w in reversed(coarser))
        self.tail = nn.Sequential(
            *convs(3 * finest, finest, finest),
            *(convs(finest, 1) if reference_compat else [same_conv(finest, 1)]),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

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
        guidance_features = self._of_guidance(fine)
        lst_features, joined = self._encode_lst(up_bicubic(padded(coarse, self.size_multiple), self.scale))

        result = self.bottom(joined)
        coarsest_first = zip(reversed(guidance_features), reversed(lst_features), strict=True)
        for decode, features in zip((*self.decoder, self.tail), coarsest_first, strict=True):
            result = decode(torch.cat([result, *features], dim=1))
        height, width = upsampled.shape[-2:]
        detail: Tensor = result[..., :height, :width]
        return upsampled + detail.to(lst.dtype)

    @of_guidance
    def _of_guidance(self, guidance: Tensor) -> list[Tensor]:
        """``(B, bands, H, W)`` to features of all levels, the finest first."""
        first, *others = self.guidance_encoder
        levels = [first(padded(guidance, _FINE_MULTIPLE))]
        for encode in others:
            levels.append(encode(F.max_pool2d(levels[-1], 2)))
        return levels

    def _encode_lst(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """``(B, 1, H, W)`` to features of all levels, the finest first, and to the input of the bottom."""
        levels = []
        joined = image
        for encode, embed in zip(self.lst_encoder, self.lst_pyramid, strict=True):
            levels.append(encode(joined))
            image = F.max_pool2d(image, 2)
            joined = torch.cat([F.max_pool2d(levels[-1], 2), embed(image)], dim=1)
        return levels, joined


SPEC = ModelSpec(
    name="dsrn",
    label="DSRN",
    description="Large U-Net: a baseline with a wide view of the surroundings.",
    build=DSRN,
    guided=True,
    scales=(2, 4, 8),
    receptive_radius=None,  # local, but what a pixel sees depends on where it lies in the cells of the pooling
    presets={"paper": {}, "small": {"num_feats": 4}},
    paper=Paper(
        authors="C. Guo, C. Li, J. Guo, R. Cong, H. Fu, P. Han",
        title="Hierarchical Features Driven Residual Learning for Depth Map Super-Resolution",
        venue="IEEE Transactions on Image Processing",
        year=2019,
    ),
)
