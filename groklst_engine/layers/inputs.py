"""What a guided network does to its inputs before it looks at them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.kept import of_guidance


def guided_inputs(
    network: nn.Module, lst: Tensor, guidance: Tensor | None, *, scale: int, bands: int
) -> tuple[Tensor, Tensor]:
    """LST and guidance in the type of the network's weights; absent guidance is 0 in all bands.

    Args:
        network: Whose weights decide the type.
        lst: ``(B, 1, h, w)``, normalised.
        guidance: ``(B, bands, scale·h, scale·w)``, normalised, or None.
        scale: Fine pixels per coarse pixel.
        bands: Number of guidance bands.

    Returns:
        ``(B, 1, h, w)`` and ``(B, bands, scale·h, scale·w)``.
    """
    dtype = next(network.parameters()).dtype
    if guidance is None:
        height, width = lst.shape[-2:]
        guidance = lst.new_zeros(len(lst), bands, scale * height, scale * width)
    return lst.to(dtype), _converted(network, guidance, dtype)


@of_guidance
def _converted(_: nn.Module, guidance: Tensor, dtype: torch.dtype) -> Tensor:
    return guidance.to(dtype)
