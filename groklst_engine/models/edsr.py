"""EDSR: a plain residual network without normalisation layers."""

from __future__ import annotations

from torch import Tensor, nn

from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.init import init_he
from groklst_engine.layers.resample import PixelShuffleUpsampler
from groklst_engine.layers.residual import PlainResBlock
from groklst_engine.models.spec import ModelSpec, Paper


class EDSR(nn.Module):
    """Residual blocks on the coarse grid, then sub-pixel convolutions; no interpolated skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width of all features.
        n_resblocks: Number of residual blocks.
    """

    def __init__(self, *, scale: int, num_feats: int = 64, n_resblocks: int = 16) -> None:
        super().__init__()
        self.head = same_conv(1, num_feats)
        self.blocks = nn.Sequential(*(PlainResBlock(num_feats) for _ in range(n_resblocks)))
        self.body_end = same_conv(num_feats, num_feats)
        self.upsampler = PixelShuffleUpsampler(num_feats, scale)
        self.tail = same_conv(num_feats, 1)
        # Small residuals at the start keep the deep sum of blocks stable without normalisation layers.
        init_he(self.blocks, gain=0.1)
        init_he(self.upsampler)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = self.head(lst.to(self.head.weight.dtype))
        deep = self.body_end(self.blocks(shallow)) + shallow
        result: Tensor = self.tail(self.upsampler(deep))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="edsr",
    label="EDSR",
    description="Solid single-image baseline: it sharpens without guidance, and is fast.",
    build=EDSR,
    guided=False,
    scales=(2, 3, 4, 8),
    # Coarse grid: head, two convolutions per block, the end of the body. Up-sampler and tail together reach 2 pixels.
    receptive_radius=lambda arguments: 2 * arguments["n_resblocks"] + 4,
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 32, "n_resblocks": 4}},
    paper=Paper(
        authors="B. Lim, S. Son, H. Kim, S. Nah, K. M. Lee",
        title="Enhanced Deep Residual Networks for Single Image Super-Resolution",
        venue="CVPR Workshops (NTIRE)",
        year=2017,
        doi="10.1109/CVPRW.2017.151",
    ),
)
