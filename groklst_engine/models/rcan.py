"""RCAN: a very deep residual network that weighs its channels."""

from __future__ import annotations

from torch import Tensor, nn

from groklst_engine.layers.attention import ResidualGroup
from groklst_engine.layers.conv import same_conv
from groklst_engine.layers.resample import PixelShuffleUpsampler
from groklst_engine.models.spec import ModelSpec, Paper


class RCAN(nn.Module):
    """Groups of channel attention blocks on the coarse grid, then sub-pixel convolutions; no interpolated skip.

    Args:
        scale: 3 or a power of two.
        num_feats: Width of all features.
        n_groups: Number of residual groups.
        n_resblocks: Channel attention blocks per group.
        reduction: Of the channel attention; at most ``num_feats``.
    """

    def __init__(
        self, *, scale: int, num_feats: int = 64, n_groups: int = 10, n_resblocks: int = 20, reduction: int = 16
    ) -> None:
        super().__init__()
        self.head = same_conv(1, num_feats)
        self.groups = nn.Sequential(*(ResidualGroup(num_feats, n_resblocks, reduction) for _ in range(n_groups)))
        self.body_end = same_conv(num_feats, num_feats)
        self.upsampler = PixelShuffleUpsampler(num_feats, scale)
        self.tail = same_conv(num_feats, 1)

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Downscale.

        Args:
            lst: ``(B, 1, h, w)``, normalised.
            guidance: Ignored.

        Returns:
            ``(B, 1, scale·h, scale·w)``, normalised, in the type of ``lst``.
        """
        shallow = self.head(lst.to(self.head.weight.dtype))
        deep = self.body_end(self.groups(shallow)) + shallow
        result: Tensor = self.tail(self.upsampler(deep))
        return result.to(lst.dtype)


SPEC = ModelSpec(
    name="rcan",
    label="RCAN",
    description="Very deep single-image network with channel attention: accurate, and slow.",
    build=RCAN,
    guided=False,
    scales=(2, 3, 4, 8),
    bf16_ok=False,  # without an interpolated skip, bfloat16 rounds the temperature itself: about 0.1 K
    presets={"paper": {}, "small": {"num_feats": 32, "n_groups": 2, "n_resblocks": 2, "reduction": 8}},
    paper=Paper(
        authors="Y. Zhang, K. Li, K. Li, L. Wang, B. Zhong, Y. Fu",
        title="Image Super-Resolution Using Very Deep Residual Channel Attention Networks",
        venue="ECCV",
        year=2018,
        doi="arXiv:1807.02758",
    ),
)
