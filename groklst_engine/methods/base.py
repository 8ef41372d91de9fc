"""What every downscaling method is: a ``Downscaler``, be it an interpolation, a sharpener or a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from groklst_engine.bands import Role
from groklst_engine.events import CancelToken, OnEvent


@dataclass(frozen=True)
class Batch:
    """Aligned tiles, in kelvin and physical units, float32, gaps filled.

    Attributes:
        lst: ``(B, 1, h, w)`` coarse LST in kelvin.
        guidance: ``(B, C, H, W)`` guidance in its physical units; C may be 0. H = scale · h.
        mask: ``(B, 1, H, W)`` bool, False where LST or guidance is missing: filled there, nodata in the result.
    """

    lst: Tensor
    guidance: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.lst.to(device), self.guidance.to(device), self.mask.to(device))


class Downscaler(Protocol):
    """Coarse LST and fine guidance in, fine LST out.

    Attributes:
        scale: Coarse pixel divided by fine pixel.
        radius: How many coarse pixels around a coarse pixel its fine pixels depend on; None when it is the whole
            tile (global statistics): tiles are then blended instead of being exact.
    """

    scale: int
    radius: int | None

    def fit(self, tiles: Callable[[], Iterable[Batch]], on_event: OnEvent, cancel: CancelToken) -> None:
        """Learn what the method needs from the scene, from unpadded tiles that cover it or sample it evenly."""

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""


MethodKind = Literal["interpolation", "sharpener", "trained on the scene", "network"]


@dataclass(frozen=True)
class MethodSpec:
    """Static facts of a method, for listings and for the plugin.

    Attributes:
        name: As in ``--method``.
        label: For people.
        description: One sentence: what it does, when it serves.
        kind: Family.
        guided: Whether it uses guidance.
        build: Makes the Downscaler for a scale and the roles of the guidance bands, in order.
        reference: Paper it follows.
        max_scale: Largest sensible scale.
        seeded: Whether the ``seed`` of a job matters.
    """

    name: str
    label: str
    description: str
    kind: MethodKind
    guided: bool
    build: Callable[[int, tuple[Role, ...]], Downscaler]
    reference: str = ""
    max_scale: int = 64
