"""Training steps in float32 and bfloat16, beside drawing their samples; and what waits in memory for the way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from groklst_engine.data.dataset import training_scene
from groklst_engine.data.sampling import SceneSampler
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.inference.device import choose_device, placed
from groklst_engine.inputs import Device
from groklst_engine.models.spec import ModelSpec
from groklst_engine.models.zoo import create_model, get_spec, list_models
from groklst_engine.performance.cost import cost_of
from groklst_engine.performance.networks import nearest_scale, weights_file
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import Row, apart_or_left_out, in_turn
from groklst_engine.performance.scenes import generated_scene
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.training.recompute import recomputed
from groklst_engine.training.step_time import timed_step
from groklst_engine.weights import read_card

SIDE = 192
"""Fine pixels per side of the generated scene that samples are drawn from."""

CROP, BATCH = 48, 4
"""Fine pixels per side of a sample, and samples at once, at scale 4; larger samples come in fewer."""

TABLE = Table(
    "Training",
    "Steps of AdamW against the L1 loss, in float32 and in bf16 by turns, after one of each that also pays for "
    "preparations: medians by the clock. Networks of the zoo have their small preset if they have one; weights have "
    "the size of their network, and start from nothing. *Drawing*: of a step's samples, from a generated scene. "
    "*Kept*: activations that wait for the way back in float32, and with `--recompute`.",
    (
        Column("network", "network"),
        Column("image", "samples"),
        Column("float32_seconds", "float32 (s)", 3),
        Column("bf16_seconds", "bf16 (s)", 3),
        Column("gain", "float32 ÷ bf16", 2),
        Column("drawing", "drawing ÷ bf16 step", 3),
        Column("kept_megabytes", "kept (MB)", 0),
        Column("recompute_megabytes", "kept, recompute (MB)", 0),
    ),
)


def measure(job: BenchJob, folder: Path, on_event: OnEvent, cancel: CancelToken) -> Iterator[Row]:
    """A row for each network; one that fails stops no other."""
    for name, share in in_turn(job.networks or list_models(), on_event):
        arguments = {"name": name, "scale": job.scale, "rounds": job.rounds, "device": job.device}
        yield from apart_or_left_out(name, training_steps, arguments, share, cancel)


def training_steps(
    *, name: str, scale: int, rounds: int, device: Device, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """Take training steps in this process.

    Args:
        name: Of weights or of a network.
        scale: Coarse pixel divided by fine pixel, at most.
        rounds: Steps of each kind that count.
        device: Where.
        on_event: Not told anything.
        cancel: Looked at between steps.

    Raises:
        ModelError: There is no such network.
        Cancelled: ``cancel`` was raised.
    """
    there, sampler = choose_device(device), _sampler()
    spec, arguments = _network(name)
    scale = nearest_scale(spec, scale)
    bands = sampler.batch(scale).guidance.shape[1]
    network = placed(create_model(spec.name, scale=scale, guidance_bands=bands, **arguments), there).train()
    optimizer = torch.optim.AdamW(network.parameters())
    drawing, single, half = [], [], []
    for step in range(1 + rounds):
        cancel.check()
        cost, batch = cost_of(partial(sampler.batch, scale, step))
        lst, target = batch.lst.to(there), batch.target.to(there)
        guidance = batch.guidance.to(there) if spec.guided else None
        drawing.append(cost.seconds)
        single.append(timed_step(network, optimizer, lst, guidance, target, bf16=False))
        half.append(timed_step(network, optimizer, lst, guidance, target, bf16=True))
    draw, float32, bf16 = (median(seconds[1:]) for seconds in (drawing, single, half))
    return {
        "network": name,
        "scale": scale,
        "image": f"{lst.shape[-1]} → {target.shape[-1]}, {len(lst)} at once",
        "float32_seconds": float32,
        "bf16_seconds": bf16,
        "gain": float32 / bf16,
        "drawing": draw / bf16,
        "kept_megabytes": _kept(network, lst, guidance, nullcontext()),
        "recompute_megabytes": _kept(network, lst, guidance, recomputed(network)),
    }


def _network(name: str) -> tuple[ModelSpec, dict[str, Any]]:
    """Of weights, or of the zoo: what it is, and the arguments that give it its size."""
    file = weights_file(name)
    if file is not None:
        card = read_card(file)
        return get_spec(card.architecture), card.arguments
    spec = get_spec(name)
    return spec, spec.arguments("small" if "small" in spec.presets else None)


def _sampler() -> SceneSampler:
    land = generated_scene(SIDE)
    scene = training_scene(land, land.roles)
    return SceneSampler([scene], crop=CROP, batch=BATCH, band_dropping=0.25, augment=("flips", "turns"), seed=0)


def _kept(network: nn.Module, lst: Tensor, guidance: Tensor | None, context: AbstractContextManager[None]) -> float:
    """Megabytes that wait for the way back after a forward pass."""
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with context, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(lst, guidance)
    return sum(storages.values()) / 1e6
