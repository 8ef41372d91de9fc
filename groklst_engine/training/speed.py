"""What training costs: ``python -m groklst_engine.training.speed [NETWORK …]`` prints a Markdown table.

Each network, in its small preset if it has one, takes steps in float32 and in bfloat16 by turns, so that what else the
machine does hits both alike. Samples come from a generated scene: scale 4, batches of 4 crops of 48 fine pixels.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from torch.nn.functional import l1_loss

from groklst_engine.data.dataset import TrainingScene
from groklst_engine.data.sampling import SceneSampler, TrainingBatch
from groklst_engine.data.synthetic import synthetic_scene
from groklst_engine.inference.device import placed
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.training.recompute import recomputed

SCALE, BATCH, CROP, SIDE = 4, 4, 48, 192
STEPS = 3
"""Of each kind, after one that also pays for preparations; the median counts."""


def _sampler() -> SceneSampler:
    scene = synthetic_scene(size=SIDE, seed=0)
    lst = torch.from_numpy(scene.lst)
    guidance = [torch.from_numpy(band) for band in scene.guidance.values()]
    bands = [(band - band.mean()) / band.std() for band in (lst, *guidance)]
    fields = torch.stack(bands)
    mask = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
    present = torch.ones(len(guidance), dtype=torch.bool)
    whole = TrainingScene("generated", fields[:1], fields[1:], mask, present)
    return SceneSampler([whole], crop=CROP, batch=BATCH, band_dropping=0.25, augment=("flips", "turns"), seed=0)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: TrainingBatch, bf16: bool) -> float:
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        fine = network(batch.lst, batch.guidance)
    optimizer.zero_grad(set_to_none=True)
    l1_loss(fine.float(), batch.target).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return time.perf_counter() - started


def _kept(network: nn.Module, batch: TrainingBatch, context: AbstractContextManager[None]) -> float:
    """Megabytes that wait for the way back after a forward pass."""
    storages: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with context, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(batch.lst, batch.guidance)
    return sum(storages.values()) / 1e6


def measure(name: str, sampler: SceneSampler) -> tuple[float, float, float, float, float]:
    """Seconds of drawing a batch, of a step in float32 and in bfloat16; megabytes kept without and with recompute."""
    spec = get_spec(name)
    bands = sampler.batch(SCALE).guidance.shape[1]
    preset = "small" if "small" in spec.presets else None
    network = placed(create_model(name, scale=SCALE, guidance_bands=bands, preset=preset), torch.device("cpu")).train()
    optimizer = torch.optim.AdamW(network.parameters())
    drawing, single, half = [], [], []
    for step in range(1 + STEPS):
        started = time.perf_counter()
        batch = sampler.batch(SCALE, step)
        drawing.append(time.perf_counter() - started)
        single.append(_step(network, optimizer, batch, bf16=False))
        half.append(_step(network, optimizer, batch, bf16=True))
    seconds = [statistics.median(each[1:]) for each in (drawing, single, half)]
    kept = _kept(network, batch, nullcontext()), _kept(network, batch, recomputed(network))
    return seconds[0], seconds[1], seconds[2], *kept


def main(names: list[str]) -> None:
    """Print a row for each network."""
    amx, avx = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
    print(f"{torch.get_num_threads()} threads; AMX {'yes' if amx else 'no'}, AVX512-BF16 {'yes' if avx else 'no'}\n")
    print("| network | float32 s | bf16 s | float32 ÷ bf16 | drawing ÷ bf16 step | MB kept | MB kept, recompute |")
    print("|---|---|---|---|---|---|---|")
    sampler = _sampler()
    for name in names or ["mocolsk", "guided-residual"]:
        drawing, single, half, kept, recompute = measure(name, sampler)
        print(
            f"| `{name}` | {single:.3f} | {half:.3f} | {single / half:.2f} | {drawing / half:.3f} | {kept:.0f} "
            f"| {recompute:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
