"""How long and how fast to learn: the optimisers and the courses of the learning rate, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingWarmRestarts, LRScheduler, OneCycleLR

from groklst_engine.inference.device import fast_in_bf16
from groklst_engine.losses import DEFAULT_LOSS


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
        accumulate: Batches into which a step's samples are split, to take less memory.
        average: Whether the result is the exponential moving average of the weights.
        precision: Of the network's forward pass.
        recompute: Whether activations are computed again on the way back.
    """

    iterations: int
    learning_rate: float
    weight_decay: float
    scale_weights: Mapping[int, float]
    seed: int
    loss: str = DEFAULT_LOSS
    optimizer: str = "adamw"
    rate: str = "one-cycle"
    accumulate: int = 1
    average: bool = True
    precision: Literal["auto", "bf16", "float32"] = "auto"
    recompute: bool = False

    def in_bf16(self, device: torch.device) -> bool:
        """Whether the network computes in bfloat16 there."""
        return self.precision == "bf16" or (self.precision == "auto" and fast_in_bf16(device))


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
