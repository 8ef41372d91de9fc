"""How long a training step of a network takes on this machine, measured, because nothing else tells."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from groklst_engine.events import CancelToken
from groklst_engine.inference.device import choose_device, fast_in_bf16, placed, synchronize
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.overview_jobs import StepTimeJob

ENOUGH = 1.0
"""Seconds after which a step is believed without another one."""

STEPS = 4
"""Steps at most; the first ones also pay for preparations."""


def step_time(job: StepTimeJob, cancel: CancelToken) -> dict[str, Any]:
    """Time training steps on random numbers of the sizes the training would have.

    Returns:
        ``parameters``, ``seconds`` of one step, ``device`` and its ``precision``.

    Raises:
        GroklstError: The network cannot be built so, or the device is not there.
        Cancelled: ``cancel`` was raised.
    """
    device = choose_device(job.device)
    spec = get_spec(job.model)
    network = create_model(
        job.model, scale=job.scale, guidance_bands=job.guidance_bands, preset=job.preset, **job.arguments
    )
    network = placed(network, device).train()
    side = max(1, job.crop // job.scale // spec.size_multiple) * spec.size_multiple
    lst = torch.randn(job.batch, 1, side, side, device=device)
    fine = side * job.scale
    target = torch.randn(job.batch, 1, fine, fine, device=device)
    guidance = torch.randn(job.batch, job.guidance_bands, fine, fine, device=device)
    optimizer = torch.optim.AdamW(network.parameters())
    bf16 = fast_in_bf16(device)
    seconds = float("inf")
    for _ in range(STEPS):
        cancel.check()
        taken = timed_step(network, optimizer, lst, guidance if spec.guided else None, target, bf16=bf16)
        seconds = min(seconds, taken)
        if taken > ENOUGH:
            break
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seconds": seconds,
        "device": device.type,
        "precision": "bf16" if bf16 else "float32",
    }


def timed_step(
    network: nn.Module, optimizer: Optimizer, lst: Tensor, guidance: Tensor | None, target: Tensor, *, bf16: bool
) -> float:
    """Seconds by the clock of one step against the L1 loss, on samples that are on the network's device."""
    started = time.perf_counter()
    with torch.autocast(lst.device.type, torch.bfloat16, enabled=bf16):
        predicted = network(lst, guidance)
    optimizer.zero_grad(set_to_none=True)
    l1_loss(predicted.float(), target).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    synchronize(lst.device)
    return time.perf_counter() - started
