"""Training in several processes, as torchrun starts them: together they do the steps that one alone would do.

Gradients are summed by hand instead of by ``DistributedDataParallel``: parameters that a step leaves without a gradient
and processes that a small batch leaves without a sample then need no care.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from groklst_engine.inference.device import choose_device
from groklst_engine.inputs import Device

PATIENCE = timedelta(hours=4)
"""How long a process waits for the others: the first one validates alone."""


@dataclass(frozen=True)
class Group:
    """The processes of a training, seen from one of them.

    Attributes:
        device: Where this one computes.
        rank: Its number; 0 is the one that logs, validates and writes.
        size: How many there are.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that logs, validates and writes."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any of the processes."""
        if self.size == 1:
            return flag
        heard = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(heard)
        return bool(heard > 0)

    def sum_gradients(self, parameters: Sequence[nn.Parameter], values: torch.Tensor) -> torch.Tensor:
        """Sum the gradients over the processes, in place, and return the sum of ``values``, a vector."""
        if self.size == 1:
            return values
        there = torch.tensor([float(parameter.grad is not None) for parameter in parameters], device=self.device)
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        total = torch.cat([values, there, *(gradient.float().flatten() for gradient in gradients)])
        dist.all_reduce(total)
        summed = torch.split(total[len(values) + len(there) :], [each.numel() for each in parameters])
        somewhere = total[len(values) : len(values) + len(there)].tolist()
        for parameter, gradient, count in zip(parameters, summed, somewhere, strict=True):
            # as in a single process, a parameter that nobody used has no gradient and does not decay
            parameter.grad = gradient.view_as(parameter).to(parameter.dtype) if count else None
        return total[: len(values)]


@contextmanager
def joined(wanted: Device) -> Iterator[Group]:
    """The processes that torchrun started, or this one alone: nccl on CUDA, gloo elsewhere.

    Raises:
        InputError: The device is not there.
    """
    device, size = choose_device(wanted), int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Group(device, dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
