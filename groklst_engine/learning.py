"""The training loop, used for weights and by the method that trains on the scene."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from groklst_engine.consistency import back_project
from groklst_engine.data.dataset import SceneSampler
from groklst_engine.device import trains_in_bf16
from groklst_engine.events import CancelToken, Event, OnEvent, progress
from groklst_engine.losses import DEFAULT_LOSS, build_loss

UNCORRECTED = 0.2
"""Weight of the loss before the coarse-consistency correction: the network must also serve without it."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        iterations: Optimiser steps.
        learning_rate: Highest learning rate of a one-cycle schedule (Smith and Topin 2018).
        weight_decay: AdamW's.
        scale_weights: Scales to draw from, and how often each is drawn, relatively.
        seed: Random seed.
        loss: A name of ``LOSSES``; the parameters of a loss that has some are learned along.
    """

    iterations: int
    learning_rate: float
    weight_decay: float
    scale_weights: Mapping[int, float]
    seed: int
    loss: str = DEFAULT_LOSS


def _moving_average(iterations: int) -> Callable[..., None]:
    """An update whose memory is a small part of the training, however short."""
    update: Callable[..., None] = get_ema_multi_avg_fn(min(0.995, 1 - 20 / (20 + iterations)))  # type: ignore[no-untyped-call]
    return update


def learn(
    network: nn.Module,
    sampler: SceneSampler,
    schedule: Schedule,
    device: torch.device,
    on_event: OnEvent,
    cancel: CancelToken,
) -> nn.Module:
    """Train a network on random crops.

    The loss is taken mainly after the coarse-consistency correction, so that the network spends itself on what that
    correction can't do. The result is the exponential moving average of the weights.

    Returns:
        The trained network, in evaluation mode.

    Raises:
        Cancelled: Between two steps.
    """
    random = torch.Generator().manual_seed(schedule.seed)
    scales = list(schedule.scale_weights)
    shares = torch.tensor([schedule.scale_weights[scale] for scale in scales])
    network = network.to(device).train()
    average = AveragedModel(network, multi_avg_fn=_moving_average(schedule.iterations))
    criterion = build_loss(schedule.loss).to(device)
    learned = [*network.parameters(), *criterion.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.learning_rate, total_steps=schedule.iterations + 1, pct_start=0.1
    )
    bf16 = trains_in_bf16(device)
    started, total = time.monotonic(), 0.0
    for step in range(1, schedule.iterations + 1):
        cancel.check()
        scale = scales[int(torch.multinomial(shares, 1, generator=random))]
        batch = sampler.batch(scale)
        lst, target, mask = batch.lst.to(device), batch.target.to(device), batch.mask.to(device)
        guidance = batch.guidance.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            fine = network(lst, guidance)
        fine = fine.float()
        corrected = back_project(fine, lst, mask, scale)
        loss: Tensor = criterion(corrected, target, lst, mask, scale)
        loss = loss + UNCORRECTED * criterion(fine, target, lst, mask, scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        cycle.step()
        average.update_parameters(network)
        total += loss.item()
        if step % 50 == 0 or step == schedule.iterations:
            seconds = time.monotonic() - started
            mean, total = total / (step % 50 or 50), 0.0
            on_event(Event("metric", f"Step {step}", values={"step": step, "loss": mean, "seconds": seconds}))
        if step % 5 == 0:
            progress(on_event, step / schedule.iterations, f"Training step {step} of {schedule.iterations}")
    trained: nn.Module = average.module
    return trained.eval()
