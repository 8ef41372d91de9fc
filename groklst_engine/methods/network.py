"""A trained network as a Downscaler: bands by role, its normalisation, kelvin out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor, nn

from groklst_engine.bands import Role
from groklst_engine.degrade import WHOLE, masked_block_mean
from groklst_engine.errors import InputError, ModelError
from groklst_engine.events import CancelToken, OnEvent, warn
from groklst_engine.inference.compiling import Compiled
from groklst_engine.inference.device import placed
from groklst_engine.inference.footprint import peak_bytes
from groklst_engine.inference.fusion import without_batch_norm
from groklst_engine.inference.precision import HalfPrecision, affordable, in_question
from groklst_engine.layers.kept import keep_guidance
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.models.zoo import get_spec
from groklst_engine.normalize import BY_SCENE, Normalization, Normalizer, in_units
from groklst_engine.physics.indices import INDICES, available, select
from groklst_engine.weights import load_weights, read_card

MIN_PIXELS = 16
"""Coarse pixels below which a scene's statistics mean nothing."""


class NetworkDownscaler:
    """Runs a network on z-scored tiles.

    Args:
        network: ``forward(lst, guidance | None)`` in its own units; one that also takes ``spare`` is told what of a
            tile does not count.
        wanted: Roles of the network's guidance channels; absent ones are 0, the mean.
        radius: Coarse pixels to either side an output depends on, None for global statistics.
        options: Roles of the bands at hand, scale, device.
        normalization: The network's units.
    """

    def __init__(
        self,
        network: nn.Module,
        wanted: tuple[Role, ...],
        radius: int | None,
        options: BuildOptions,
        normalization: Normalization = BY_SCENE,
    ) -> None:
        self.radius = radius
        self._spares = "spare" in signature(network.forward).parameters
        self._network = placed(without_batch_norm(in_units(network, normalization, wanted)), options.device)
        self._normalization = normalization
        self._wanted = wanted
        self._roles = options.roles
        self._scale = options.scale
        self.device = options.device
        self._half = HalfPrecision(self._network) if in_question(options.precision, options.device) else None
        self._compiles = options.compile
        self._running = self._network
        self._lst = Normalizer((0.0,), (1.0,))
        self._guidance = Normalizer((), ())
        self._kept: list[_Channels] | None = None

    def share(self) -> None:
        """Keep what is made of a guidance for the next date over it, also for copies of this one."""
        self._kept = []
        keep_guidance([self._network, *([self._half] if self._half else [])])

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Take the scene's statistics at the coarse scale, unless the network brings those of its training data.

        Raises:
            InputError: Too few coarse pixels are valid.
        """
        usable = available(self._roles)
        used = set(self._wanted) | {band for role in self._wanted if role in INDICES for band in INDICES[role].bands}
        ignored = [role for role in dict.fromkeys(self._roles) if role not in used]
        if ignored and self._wanted:
            warn(on_event, f"This network was not trained with and does not use: {', '.join(ignored)}.")
        if self._wanted and not usable.intersection(self._wanted):
            warn(on_event, "The network got no guidance it knows and can only sharpen the LST by itself.")
        lst = self._normalization.lst.z_scores(("lst",))
        guidance = self._normalization.guidance.z_scores(self._wanted)
        if lst is None or (guidance is None and self._wanted):
            of_scene = scene_normalizers(scene, self._wanted, cancel)
            lst, guidance = lst or of_scene[0], guidance or of_scene[1]
        self._lst, self._guidance = lst, guidance or Normalizer((), ())
        self._running = self._network
        if self._half is not None:
            full, half = partial(self._run, self._network), partial(self._run, self._half)
            if affordable(full, half, scene.tiles, self._scale, on_event):
                self._running = self._half
        if self._compiles:
            self._running = Compiled(self._running)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        return self._run(self._running, batch)

    def footprint(self, rows: int, columns: int) -> int:
        """Most bytes that a tile of so many coarse pixels takes within the network."""
        return peak_bytes(self._network, rows, columns, self._scale, len(self._wanted))

    @torch.inference_mode()
    def _run(self, network: nn.Module, batch: Batch) -> Tensor:
        guidance = self._channels(batch.guidance) if self._wanted else None
        spare = (batch.spare,) if self._spares else ()
        return self._lst.invert(network(self._lst.apply(batch.lst.to(self.device)), guidance, *spare))

    def _channels(self, guidance: Tensor) -> Tensor:
        """The network's guidance, on its device; the very same tensor for the same guidance where that is kept."""
        for kept in self._kept or ():
            if kept.fits(guidance, self._guidance):
                return kept.made
        made = channels(guidance.to(self.device), self._roles, self._wanted, self._guidance)
        if self._kept is not None:
            self._kept[:] = [_Channels(guidance, self._guidance, made)]
        return made


@dataclass(frozen=True)
class _Channels:
    """A network's guidance, and what it was made of."""

    guidance: Tensor
    statistics: Normalizer
    made: Tensor

    def fits(self, guidance: Tensor, statistics: Normalizer) -> bool:
        """Whether it is of this guidance; the tensor that is held here keeps its memory from being used again."""
        same = guidance.data_ptr() == self.guidance.data_ptr() and guidance.shape == self.guidance.shape
        return same and statistics == self.statistics


def channels(guidance: Tensor, roles: tuple[Role, ...], wanted: tuple[Role, ...], statistics: Normalizer) -> Tensor:
    """A network's guidance: wanted bands z-scored, in order, 0 where a band is absent."""
    found = select(guidance, roles, wanted)
    blank = guidance.new_zeros(len(guidance), 1, *guidance.shape[-2:])
    present = guidance.new_tensor([band is not None for band in found])[:, None, None]
    return statistics.apply(torch.cat([blank if band is None else band for band in found], dim=1)) * present


def scene_normalizers(scene: Scene, wanted: tuple[Role, ...], cancel: CancelToken) -> tuple[Normalizer, Normalizer]:
    """Statistics of LST and wanted bands over the coarse pixels whose fine pixels are all valid.

    Raises:
        InputError: Too few of them.
    """
    samples: list[tuple[Tensor, Tensor]] = []
    for batch in scene.tiles:
        cancel.check()
        found = select(batch.guidance, scene.roles, wanted)
        blank = torch.zeros_like(batch.mask, dtype=torch.float32)
        stacked = torch.cat([blank if band is None else band for band in found] or [blank], dim=1)
        coarse, share = masked_block_mean(stacked, batch.mask, scene.scale)
        samples.append((torch.cat([batch.lst, coarse], dim=1), share > WHOLE))
    if sum(int(mask.sum()) for _, mask in samples) < MIN_PIXELS:
        raise InputError(
            f"Fewer than {MIN_PIXELS} coarse pixels are fully covered by LST and guidance: use a larger extent or a "
            "method without guidance."
        )
    statistics = Normalizer.fit(samples)
    return statistics.part(0, 1), statistics.part(1, 1 + len(wanted))


def spec_of(name: str, path: Path) -> MethodSpec:
    """The method a weights file provides.

    Raises:
        ModelError: The file cannot be used.
    """
    card = read_card(path)
    try:
        architecture = get_spec(card.architecture)
    except ModelError as error:
        raise ModelError(
            f"The weights file '{path}' names the unknown network '{card.architecture}': get it again, or a newer "
            "GrokLST."
        ) from error
    paper = architecture.paper

    def build(options: BuildOptions) -> NetworkDownscaler:
        network, _ = load_weights(path, options.scale)
        arguments = {name: value for name, value in card.arguments.items() if name != "reference_compat"}
        radius = architecture.radius(options.scale, **arguments)
        if options.precision == "auto" and not architecture.bf16_ok:
            options = replace(options, precision="float32")
        return NetworkDownscaler(network, card.roles, radius, options, card.units)

    return MethodSpec(
        name,
        card.label or name,
        card.description,
        "network",
        bool(card.roles),
        build,
        reference=f"{paper.authors}, {paper.title}, {paper.venue} {paper.year}" if paper else "",
        max_scale=max(card.scales),
        scales=card.scales,
        roles=card.roles,
        fit_share=0.1,
        sha256=card.sha256,
    )
