"""The training loop, used for weights and by the method that trains on the scene."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingWarmRestarts, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from groklst_engine.checkpoint import Checkpoint, RandomState, Stateful
from groklst_engine.consistency import back_project
from groklst_engine.data.dataset import SceneSampler
from groklst_engine.device import trains_in_bf16
from groklst_engine.errors import Cancelled
from groklst_engine.events import CancelToken, Event, OnEvent, progress
from groklst_engine.losses import DEFAULT_LOSS, build_loss

UNCORRECTED = 0.2
"""Weight of the loss before the coarse-consistency correction: the network must also serve without it."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        iterations: Optimiser steps.
        learning_rate: Highest learning rate.
        weight_decay: Of the optimiser.
        scale_weights: Scales to draw from, and how often each is drawn, relatively.
        seed: Random seed.
        loss: A name of ``LOSSES``; the parameters of a loss that has some are learned along.
        optimizer: A name of ``OPTIMIZERS``.
        rate: A name of ``RATES``: how the learning rate changes.
    """

    iterations: int
    learning_rate: float
    weight_decay: float
    scale_weights: Mapping[int, float]
    seed: int
    loss: str = DEFAULT_LOSS
    optimizer: str = "adamw"
    rate: str = "one-cycle"


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}

FLOOR = 1e-7
"""Learning rate at the end of each of the cosine's periods, as published."""


def _one_cycle(optimizer: Optimizer, schedule: Schedule) -> LRScheduler:
    """A short rise and a long fall (Smith and Topin 2018)."""
    return OneCycleLR(optimizer, schedule.learning_rate, total_steps=schedule.iterations + 1, pct_start=0.1)


def _cosine_restarts(optimizer: Optimizer, schedule: Schedule) -> LRScheduler:
    """Four periods, of 2500 steps in the 10,000 that GrokLST's networks were published with."""
    return CosineAnnealingWarmRestarts(optimizer, T_0=math.ceil(schedule.iterations / 4), eta_min=FLOOR)


def _constant(optimizer: Optimizer, schedule: Schedule) -> LRScheduler:
    return ConstantLR(optimizer, factor=1.0)


RATES: Mapping[str, Callable[[Optimizer, Schedule], LRScheduler]] = {
    "one-cycle": _one_cycle,
    "cosine-restarts": _cosine_restarts,
    "constant": _constant,
}


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
    checkpoint: Checkpoint | None = None,
) -> nn.Module:
    """Train a network on random crops.

    The loss is taken mainly after the coarse-consistency correction, so that the network spends itself on what that
    correction can't do. The result is the exponential moving average of the weights. With a checkpoint,
    learning goes on where that was saved, and ends in the very weights it would have had without a break.

    Returns:
        The trained network, in evaluation mode.

    Raises:
        Cancelled: Between two steps; the checkpoint is saved.
        OutputError: The checkpoint or its log cannot be written.
    """
    random = torch.Generator().manual_seed(schedule.seed)
    scales = list(schedule.scale_weights)
    shares = torch.tensor([schedule.scale_weights[scale] for scale in scales])
    network = network.to(device).train()
    average = AveragedModel(network, multi_avg_fn=_moving_average(schedule.iterations))
    criterion = build_loss(schedule.loss).to(device)
    learned = [*network.parameters(), *criterion.parameters()]
    optimizer = OPTIMIZERS[schedule.optimizer](learned, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    rate = RATES[schedule.rate](optimizer, schedule)
    bf16 = trains_in_bf16(device)
    parts: dict[str, Stateful] = {
        "network": network,
        "average": average,
        "criterion": criterion,
        "optimizer": optimizer,
        "rate": rate,
        "sampler": sampler,
        "random": RandomState(random, device),
    }
    done, total, seconds = checkpoint.restore(parts) if checkpoint else (0, 0.0, 0.0)
    started = time.monotonic() - seconds
    for step in range(done + 1, schedule.iterations + 1):
        if cancel.cancelled:
            if checkpoint:
                checkpoint.save(parts, step - 1, total, time.monotonic() - started)
            raise Cancelled
        scale = scales[int(torch.multinomial(shares, 1, generator=random))]
        batch = sampler.batch(scale)
        lst, target, mask = batch.lst.to(device), batch.target.to(device), batch.mask.to(device)
        guidance = batch.guidance.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            fine = network(lst, guidance)
        fine = fine.float()
        # only a coarse pixel that is a box is what the correction takes it for
        corrected = back_project(fine, lst, mask, scale) if batch.box else fine
        loss: Tensor = criterion(corrected, target, lst, mask, scale)
        loss = loss + UNCORRECTED * criterion(fine, target, lst, mask, scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        used_rate = float(rate.get_last_lr()[0])
        rate.step()
        average.update_parameters(network)
        value, seconds = loss.item(), time.monotonic() - started
        total += value
        if step % 50 == 0 or step == schedule.iterations:
            mean, total = total / (step % 50 or 50), 0.0
            on_event(Event("metric", f"Step {step}", values={"step": step, "loss": mean, "seconds": seconds}))
        if step % 5 == 0:
            progress(on_event, step / schedule.iterations, f"Training step {step} of {schedule.iterations}")
        if checkpoint:
            checkpoint.log.write(len(checkpoint.scores) + 1, step, scale, value, used_rate, round(seconds, 3))
            if step % checkpoint.every == 0 or step == schedule.iterations:
                checkpoint.save(parts, step, total, seconds)
    trained: nn.Module = average.module
    return trained.eval()
