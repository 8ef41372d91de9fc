"""Networks in bfloat16: where the processor is fast in it, and where it costs hardly any accuracy.

Only what happens within the network is bfloat16; the skip around it, where there is one, and all kelvin are float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from groklst_engine.events import OnEvent, log
from groklst_engine.inference.device import fast_in_bf16
from groklst_engine.inputs import Precision

if TYPE_CHECKING:
    from groklst_engine.methods.base import Batch  # whose package imports this module

BOUND = 0.02
"""Kelvin, root mean square, that bfloat16 may cost on a sample of the scene."""

SAMPLE = 128
"""Fine pixels per side of that sample: more cost more than they tell."""

LEAST = 16
"""Coarse pixels per side that it has at least."""

_WEIGHTY = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class HalfPrecision(nn.Module):
    """A network whose convolutions and matrix products are computed in bfloat16.

    Args:
        network: Stays as it is; the weights of a copy are converted once, not at every call.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = copy.deepcopy(network)
        for module in self._network.modules():
            if type(module) in _WEIGHTY:
                module.to(torch.bfloat16)

    def forward(self, lst: Tensor, guidance: Tensor | None, *more: Any) -> Tensor:
        """As the network, ``lst`` being float32."""
        with torch.autocast(lst.device.type, torch.bfloat16):
            fine: Tensor = self._network(lst, guidance, *more)
        return fine


def in_question(precision: Precision, device: torch.device) -> bool:
    """Whether bfloat16 was asked for, or is fast here."""
    return precision == "bf16" or (precision == "auto" and fast_in_bf16(device))


def affordable(
    full: Callable[[Batch], Tensor],
    half: Callable[[Batch], Tensor],
    tiles: tuple[Batch, ...],
    scale: int,
    on_event: OnEvent,
) -> bool:
    """Whether bfloat16 is within ``BOUND`` of float32 on a sample of the scene.

    Args:
        full: Computes in float32.
        half: The same in bfloat16.
        tiles: Of the scene.
        scale: Coarse pixel divided by fine pixel.
        on_event: Told what was found.
    """
    tile = max(tiles, key=lambda batch: int(batch.mask.sum()))
    side = max(LEAST, SAMPLE // scale)
    lst = tile.lst[..., :side, :side]
    rows, columns = lst.shape[-2] * scale, lst.shape[-1] * scale
    guidance, mask = tile.guidance[..., :rows, :columns], tile.mask[..., :rows, :columns]
    sample = replace(tile, lst=lst, guidance=guidance, mask=mask, emissivity=None)
    error = float((half(sample) - full(sample)).square().mean().sqrt())
    if error <= BOUND:
        log(on_event, f"Computing in bfloat16, which differs by {error:.4f} K from float32 on a sample.")
        return True
    log(on_event, f"Computing in float32: bfloat16 would differ by {error:.3f} K on a sample.")
    return False
