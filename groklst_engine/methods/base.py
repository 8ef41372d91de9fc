"""What every downscaling method is: a ``Downscaler``, be it an interpolation, a sharpener or a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from groklst_engine.bands import Role
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.grid import NO_MARGINS, Margins
from groklst_engine.inputs import Precision


@dataclass(frozen=True)
class Batch:
    """Aligned tiles, in kelvin and physical units, float32, gaps filled.

    Attributes:
        lst: ``(B, 1, h, w)`` coarse LST in kelvin.
        guidance: ``(B, C, H, W)`` guidance in its physical units; C may be 0. H = scale · h.
        mask: ``(B, 1, H, W)`` bool, False where LST or guidance is missing: filled there, nodata in the result.
        emissivity: ``(B, 1, H, W)``, 0 to 1; None: 1 everywhere.
        spare: Margins whose results do not count: what is there only helps to compute the rest.
    """

    lst: Tensor
    guidance: Tensor
    mask: Tensor
    emissivity: Tensor | None = None
    spare: Margins = NO_MARGINS

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Those that there are, by field."""
        return {name: values for name, values in vars(self).items() if isinstance(values, Tensor)}


@dataclass(frozen=True)
class Scene:
    """The scene a method may learn from before it downscales it.

    Attributes:
        tiles: Unpadded tiles that cover the scene or, when it is large, sample it evenly; on the CPU.
        roles: Of the guidance bands, in order.
        scale: Coarse pixel divided by fine pixel.
    """

    tiles: tuple[Batch, ...]
    roles: tuple[Role, ...]
    scale: int


class Downscaler(Protocol):
    """Coarse LST and fine guidance in, fine LST out."""

    @property
    def radius(self) -> int | None:
        """How many coarse pixels around a coarse pixel its fine pixels depend on.

        None when it is the whole tile (global statistics): tiles are then blended instead of being exact.
        """

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Learn what the method needs from the scene."""

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""


MethodKind = Literal["automatic", "interpolation", "sharpener", "trained on the scene", "network"]


@dataclass(frozen=True)
class BuildOptions:
    """What a method may need to know when it is built.

    Attributes:
        scale: Coarse pixel divided by fine pixel.
        roles: Of the guidance bands, in order.
        device: Where networks run.
        seed: For methods that draw random numbers.
        precision: Of networks.
        compile: Whether networks are compiled first.
    """

    scale: int
    roles: tuple[Role, ...]
    device: torch.device
    seed: int = 0
    precision: Precision = "auto"
    compile: bool = False


@dataclass(frozen=True)
class MethodSpec:
    """Static facts of a method, for listings and for the plugin.

    Attributes:
        name: As in ``--method``.
        label: For people.
        description: One sentence: what it does, when it serves.
        kind: Family.
        guided: Whether it uses guidance.
        build: Makes the Downscaler.
        reference: Paper it follows.
        max_scale: Largest sensible scale.
        scales: The only scales it can do; None: any whole number up to ``max_scale``.
        roles: Roles it can use; empty: any.
        consistent: Whether its result shall be corrected to aggregate to the coarse LST, if the job wants that.
        fit_share: Share of a run's time that learning from the scene takes, for progress; 0: nothing to learn.
        sha256: Of its weights.
    """

    name: str
    label: str
    description: str
    kind: MethodKind
    guided: bool
    build: Callable[[BuildOptions], Downscaler]
    reference: str = ""
    max_scale: int = 64
    scales: tuple[int, ...] | None = None
    roles: tuple[Role, ...] = ()
    consistent: bool = True
    fit_share: float = 0.0
    sha256: str = ""

    @property
    def learns_here(self) -> bool:
        """Whether it takes the relation of guidance and temperature from the scene itself."""
        return self.kind in ("sharpener", "trained on the scene")
