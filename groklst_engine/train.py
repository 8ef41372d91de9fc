"""From scenes to weights: training by Wald's protocol, with honest scores in the card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from groklst_engine import __version__
from groklst_engine.card import write_card
from groklst_engine.checkpoint import Checkpoint, StepLog
from groklst_engine.data.dataset import FineScene, SceneSampler, half_resolution, training_scene
from groklst_engine.data.sources import load, sources_of
from groklst_engine.device import choose_device
from groklst_engine.errors import Cancelled, InputError, ModelError, OutputError
from groklst_engine.evaluate import Evaluation, evaluate
from groklst_engine.events import CancelToken, OnEvent, ignore, log, part, progress, warn
from groklst_engine.jobs import EvaluateJob
from groklst_engine.learning import Schedule, learn
from groklst_engine.losses import build_loss
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.raster import check_output
from groklst_engine.training_jobs import TrainJob
from groklst_engine.weights import SUFFIX, ModelCard, save_weights

HALF_FROM = 200
"""Shorter side, in pixels, from which a scene is also used at half its resolution."""

MIN_SIDE = 48
"""Shorter side below which a scene holds no useful crop."""

_FOR_THE_CARD = ("label", "description", "limitations", "credits")


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        output: The weights file; the card for people lies beside it, ending in ``.md``.
        card: What is in it.
    """

    output: Path
    card: ModelCard

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"output": str(self.output), "card": self.card.model_dump(mode="json")}


def train(job: TrainJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> TrainResult:
    """Train a network and write its weights.

    With ``cross_validate``, one network per named region, or group of regions, is trained without it and scored on it
    first; the scores stand in the card of the final network, which has seen all scenes. Beside the weights,
    ``.training.csv`` logs the steps, and ``.checkpoint`` keeps, until the weights are there, what ``resume`` needs.

    Raises:
        GroklstError: A scene, the architecture, the checkpoint or the output cannot be used.
        Cancelled: ``cancel`` was raised; the message says whether the training can be resumed.
    """
    cancel = cancel or CancelToken()
    check_output(job.output, job.overwrite)
    if job.output.suffix != SUFFIX:
        raise InputError(f"The weights '{job.output}' must end in {SUFFIX}: rename the output.")
    sources = sources_of(job)
    regions = {source.region or source.name for source in sources}
    if unknown := {region for group in job.cross_validate for region in group.split("+")} - regions:
        raise InputError(f"No training scene lies in '{sorted(unknown)[0]}': choose of {', '.join(sorted(regions))}.")
    if job.cross_validate and len(regions) == 1:
        raise InputError("Cross-validation leaves a region out, and the scenes have only one: give scenes of another.")
    if len(job.scales) > 1 and not isinstance(get_spec(job.model).scales, range):
        raise ModelError(f"The network '{job.model}' is built for one scale: train it once for each.")
    build_loss(job.loss)  # a wrong name shows before the scenes are read
    checkpoint = _checkpoint(job, on_event)
    try:
        return _train(job, checkpoint, on_event, cancel)
    except Cancelled as cancelled:
        if not checkpoint.path.exists():
            raise
        raise Cancelled("Cancelled; what was learned is kept: run the training again with --resume.") from cancelled


def _checkpoint(job: TrainJob, on_event: OnEvent) -> Checkpoint:
    """The checkpoint of the earlier training that is to go on, or an empty one.

    Raises:
        InputError: It does not serve this job.
        OutputError: It would be lost.
    """
    changes_nothing = {"output", "overwrite", "resume", "checkpoint_every", *_FOR_THE_CARD}
    options = {**job.model_dump(mode="json", exclude=changes_nothing), "engine_version": __version__}
    steps = StepLog(job.output.with_suffix(".training.csv"))
    path = job.output.with_name(job.output.name + ".checkpoint")
    checkpoint = Checkpoint(path, options, job.checkpoint_every, steps)
    if job.resume and path.exists():
        checkpoint.load()
    elif job.resume:
        warn(on_event, f"There is no checkpoint '{path}': the training starts at its beginning.")
    elif path.exists() and not job.overwrite:
        raise OutputError(
            f"The checkpoint '{path}' of an interrupted training would be lost: resume it with --resume or "
            "replace it with --overwrite."
        )
    else:
        checkpoint.delete()
    return checkpoint


def _train(job: TrainJob, checkpoint: Checkpoint, on_event: OnEvent, cancel: CancelToken) -> TrainResult:
    progress(on_event, 0.0, "Reading the scenes")
    scenes: list[FineScene] = []
    for source in sources_of(job):
        cancel.check()
        scenes.append(load(source))
    runs = len(job.cross_validate) + 1
    for number, group in enumerate(job.cross_validate):
        if number < len(checkpoint.scores):
            continue
        step = part(on_event, 0.02 + 0.98 * number / runs, 0.02 + 0.98 * (number + 1) / runs)
        log(on_event, f"Training without {group}")
        others = [scene for scene in scenes if scene.region not in group.split("+")]
        network = _learn(job, others, checkpoint, part(step, 0, 0.9), cancel)
        checkpoint.finish_run(_scores(job, group, network, part(step, 0.9, 1), cancel))
    network = _learn(job, scenes, checkpoint, part(on_event, 0.02 + 0.98 * (runs - 1) / runs, 1.0), cancel)
    metrics = [row for scores in checkpoint.scores for row in scores]
    card = save_weights(job.output, network, _card(job, metrics))
    write_card(card, job.output.with_suffix(".md"))
    checkpoint.delete()
    return TrainResult(job.output, card)


def _learn(
    job: TrainJob, scenes: list[FineScene], checkpoint: Checkpoint, on_event: OnEvent, cancel: CancelToken
) -> nn.Module:
    usable = []
    for scene in [*scenes, *(half_resolution(scene) for scene in scenes if min(scene.lst.shape[-2:]) >= HALF_FROM)]:
        if min(scene.lst.shape[-2:]) >= MIN_SIDE:
            usable.append(training_scene(scene, job.roles))
        else:
            warn(on_event, f"The scene '{scene.name}' is smaller than {MIN_SIDE} pixels and is left out.")
    if not usable:
        raise InputError(f"No training scene has {MIN_SIDE} pixels a side: give larger scenes.")
    sampler = SceneSampler(
        usable,
        crop=job.crop,
        batch=job.batch,
        band_dropping=job.band_dropping,
        augment=job.augment,
        seed=job.seed,
    )
    torch.manual_seed(job.seed)
    network = create_model(
        job.model, scale=job.scales[0], guidance_bands=len(job.roles), preset=job.preset, **job.arguments
    )
    weights = {scale: 1.0 for scale in job.scales}
    rates = (job.learning_rate, job.weight_decay)
    schedule = Schedule(job.iterations, *rates, weights, job.seed, job.loss, job.optimizer, job.schedule)
    return learn(network, sampler, schedule, choose_device(job.device), on_event, cancel, checkpoint)


def _scores(
    job: TrainJob, group: str, network: nn.Module, on_event: OnEvent, cancel: CancelToken
) -> list[dict[str, Any]]:
    """Scores, beside bicubic, on regions the network has not seen, through the public ``evaluate()``."""
    held_out = tuple(source for source in job.scenes if (source.region or source.name) in group.split("+"))
    weights = job.output.with_name(f"{job.output.stem}.without-{group}{SUFFIX}")
    try:
        save_weights(weights, network, _card(job, []))
        wish = EvaluateJob(
            scenes=held_out, scales=job.score_scales or job.scales, methods=("bicubic", str(weights)), device=job.device
        )
        evaluation: Evaluation = evaluate(wish, on_event, cancel)
    finally:
        weights.unlink(missing_ok=True)
    return [
        {**row.to_json(), "method": job.output.stem if row.method == str(weights) else row.method}
        for row in evaluation.rows
    ]


def _card(job: TrainJob, metrics: list[dict[str, Any]]) -> ModelCard:
    told_elsewhere = {
        "kind",
        "scenes",
        "dataset",
        "split",
        "output",
        "overwrite",
        "resume",
        "checkpoint_every",
        *_FOR_THE_CARD,
    }
    options = job.model_dump(mode="json", exclude=told_elsewhere)
    return ModelCard(
        name=job.output.stem,
        label=job.label or job.output.stem,
        description=job.description,
        architecture=get_spec(job.model).name,
        arguments=get_spec(job.model).arguments(job.preset, **job.arguments),
        scales=job.scales,
        roles=job.roles,
        training={
            "protocol": "wald: all block-averaged to the thermal sensor's pixel, the LST degraded by the scale",
            "scenes": [source.name for source in sources_of(job)],
            "options": options,
        },
        metrics=tuple(metrics),
        limitations=job.limitations,
        credits=job.credits,
        engine_version=__version__,
    )
