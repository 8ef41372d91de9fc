"""The training loop, used for weights and by the method that trains on the scene."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from groklst_engine.consistency import back_project
from groklst_engine.data.sampling import SceneSampler, TrainingBatch, ahead
from groklst_engine.errors import Cancelled
from groklst_engine.events import CancelToken, Event, OnEvent, progress
from groklst_engine.losses import build_loss
from groklst_engine.training.checkpoint import Checkpoint, RandomState, Stateful
from groklst_engine.training.distribution import Group
from groklst_engine.training.recompute import recomputed
from groklst_engine.training.schedules import OPTIMIZERS, RATES, Schedule

if TYPE_CHECKING:
    from groklst_engine.training.validation import Validation

UNCORRECTED = 0.2
"""Weight of the loss before the coarse-consistency correction: the network must also serve without it."""

REPORTED = 50
"""Steps over which the reported loss is averaged, in long trainings; short ones report a hundred times."""


def _moving_average(iterations: int) -> Callable[..., None]:
    """An update whose memory is a small part of the training, however short."""
    update: Callable[..., None] = get_ema_multi_avg_fn(min(0.995, 1 - 20 / (20 + iterations)))  # type: ignore[no-untyped-call]
    return update


def learn(
    network: nn.Module,
    sampler: SceneSampler,
    schedule: Schedule,
    group: Group,
    on_event: OnEvent,
    cancel: CancelToken,
    checkpoint: Checkpoint | None = None,
    validation: Validation | None = None,
) -> nn.Module:
    """Train a network on random crops.

    The loss is taken mainly after the coarse-consistency correction, so that the network spends itself on what that
    correction can't do. With a checkpoint, learning goes on where that was saved, and ends in the very weights it
    would have had without a break. Several processes share each step's samples; only the first one reports, validates
    and saves.

    Returns:
        The trained network, in evaluation mode: its moving average unless the schedule has none, at its best
        validation if that ends the training.

    Raises:
        Cancelled: Between two steps; the checkpoint is saved.
        OutputError: The checkpoint or its log cannot be written.
    """
    device = group.device
    network = network.to(device).train()
    average = AveragedModel(network, multi_avg_fn=_moving_average(schedule.iterations)) if schedule.average else None
    result: nn.Module = average.module if average else network
    criterion = build_loss(schedule.loss).to(device)
    learned = [each for each in (*network.parameters(), *criterion.parameters()) if each.requires_grad]
    optimizer = OPTIMIZERS[schedule.optimizer](learned, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    rate = RATES[schedule.rate](optimizer, schedule)
    bf16 = schedule.in_bf16(device)
    parts: dict[str, Stateful] = {
        "network": network,
        "criterion": criterion,
        "optimizer": optimizer,
        "rate": rate,
        "random": RandomState(device),
        **({"average": average} if average else {}),
        **({"validation": validation} if validation else {}),
    }
    done, total, seconds = checkpoint.restore(parts) if checkpoint else (0, 0.0, 0.0)
    started = time.monotonic() - seconds
    run = len(checkpoint.scores) + 1 if checkpoint else 1
    reported = max(1, min(REPORTED, schedule.iterations // 100))

    def save(step: int) -> None:
        if checkpoint and group.leads:
            checkpoint.save(parts, step, total, time.monotonic() - started)

    def validate(step: int) -> bool:
        """Whether the training is over."""
        if validation is None or not validation.due(step):
            return False
        if group.leads:
            try:
                scores, preview = validation.run(result, step, on_event, cancel)
            except Cancelled:
                save(step)
                raise
            values = {"step": step, **scores}
            on_event(Event("metric", f"Validation at step {step}", values=values, preview=preview))
            if checkpoint:
                checkpoint.log.write(run=run, step=step, seconds=round(time.monotonic() - started, 3), **scores)
        return group.any(validation.over)

    over = validate(done) or (validation is not None and validation.over)  # makes up for an interrupted validation
    steps = range(done + 1, 1 if over else schedule.iterations + 1)
    draws = closing(ahead(lambda step: _draw(sampler, schedule, group, step), steps))
    with recomputed(network) if schedule.recompute else nullcontext(), draws as drawn:
        for step, (scale, batches) in drawn:
            if group.any(cancel.cancelled):
                save(step - 1)
                raise Cancelled
            optimizer.zero_grad(set_to_none=True)
            sums = torch.zeros(2, device=device)
            for batch in batches:
                with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                    loss = _loss(network, criterion, batch, scale, device)
                # batches count by their valid pixels, so that their sum is what one large batch would give
                share = batch.mask.sum().item() / batch.mask[0].numel()
                (loss * share).backward()  # type: ignore[no-untyped-call]
                sums += torch.stack([loss.detach() * share, torch.tensor(share, device=device)])
            sums = group.sum_gradients(learned, sums)
            for parameter in learned:
                if parameter.grad is not None:
                    parameter.grad /= sums[1]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            used_rate = float(rate.get_last_lr()[0])
            rate.step()
            if average:
                average.update_parameters(network)
            value, seconds = float(sums[0] / sums[1]), time.monotonic() - started
            total += value
            if group.leads:
                if step % reported == 0 or step == schedule.iterations:
                    mean, total = total / (step % reported or reported), 0.0
                    on_event(Event("metric", f"Step {step}", values={"step": step, "loss": mean, "seconds": seconds}))
                if step % 5 == 0:
                    progress(on_event, step / schedule.iterations, f"Training step {step} of {schedule.iterations}")
                if checkpoint:
                    row = {"scale": scale, "loss": value, "learning_rate": used_rate, "seconds": round(seconds, 3)}
                    checkpoint.log.write(run=run, step=step, **row)
            over = validate(step)
            if checkpoint and (step % checkpoint.every == 0 or step == schedule.iterations or over):
                save(step)
            if over:
                break
    if validation and validation.weights:
        result.load_state_dict(validation.weights)
    return result.eval()


def _draw(sampler: SceneSampler, schedule: Schedule, group: Group, step: int) -> tuple[int, list[TrainingBatch]]:
    """Scale and batches of this process for a step; none if there are fewer samples than batches."""
    scales, weights = zip(*schedule.scale_weights.items(), strict=True)
    random = np.random.default_rng([schedule.seed, step])
    scale = int(random.choice(scales, p=np.array(weights) / sum(weights)))
    count, pieces = sampler.count(scale), group.size * schedule.accumulate
    own: Sequence[int] = range(group.rank * schedule.accumulate, (group.rank + 1) * schedule.accumulate)
    return scale, [sampler.batch(scale, step, range(piece, count, pieces)) for piece in own if piece < max(count, 1)]


def _loss(network: nn.Module, criterion: nn.Module, batch: TrainingBatch, scale: int, device: torch.device) -> Tensor:
    lst, target, mask = batch.lst.to(device), batch.target.to(device), batch.mask.to(device)
    fine = network(lst, batch.guidance.to(device, memory_format=torch.channels_last))
    with torch.autocast(device.type, enabled=False):
        fine = fine.float()
        # only a coarse pixel that is a box is what the correction takes it for
        corrected = back_project(fine, lst, mask, scale) if batch.box else fine
        first: Tensor = criterion(corrected, target, lst, mask, scale)
        second: Tensor = criterion(fine, target, lst, mask, scale)
        return first + UNCORRECTED * second
