"""From scenes to weights: training by Wald's protocol, with honest scores in the card."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from groklst_engine import __version__
from groklst_engine.card import write_card
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.memory import Kept, memory_for_scenes
from groklst_engine.data.sampling import SceneSampler
from groklst_engine.data.sources import Source, load, sources_of
from groklst_engine.data.training_data import training_data
from groklst_engine.errors import Cancelled, InputError, ModelError, OutputError
from groklst_engine.evaluation import Evaluation, evaluate
from groklst_engine.events import CancelToken, OnEvent, ignore, leads, log, part, progress, warn
from groklst_engine.inputs import FineData
from groklst_engine.jobs import EvaluateJob
from groklst_engine.losses import build_loss
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.normalize import BY_SCENE, Normalization, in_units, own_network
from groklst_engine.raster import check_output
from groklst_engine.training.checkpoint import Checkpoint, StepLog
from groklst_engine.training.distribution import Group, joined
from groklst_engine.training.fine_tuning import completed, freeze, take_over
from groklst_engine.training.learning import learn
from groklst_engine.training.schedules import Schedule
from groklst_engine.training.tensorboard import with_tensorboard
from groklst_engine.training.validation import Validation
from groklst_engine.training_jobs import TrainingRecipe, TrainJob
from groklst_engine.weights import SUFFIX, ModelCard, called, fold_file, save_weights


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
    first; the scores stand in the card of the final network, which has seen all scenes. With ``score_test`` it is the
    final network that is scored, on the data set's test split. Beside the weights,
    ``.training.csv`` logs the steps, and ``.checkpoint`` keeps, until the weights are there, what ``resume`` needs.

    Raises:
        GroklstError: A scene, the architecture, the checkpoint or the output cannot be used.
        Cancelled: ``cancel`` was raised; the message says whether the training can be resumed.
    """
    cancel = cancel or CancelToken()
    check_output(job.output, job.overwrite or not leads())
    for held in job.cross_validate if job.keep_folds else ():
        check_output(fold_file(job.output, held), job.overwrite or job.resume or not leads())
    if job.output.suffix != SUFFIX:
        raise InputError(f"The weights '{job.output}' must end in {SUFFIX}: rename the output.")
    job = completed(job)
    _check(job)
    with joined(job.device) as group, with_tensorboard(job.tensorboard if group.leads else None, on_event) as listen:
        checkpoint = _checkpoint(job, group, on_event)
        try:
            return _train(job, checkpoint, group, listen if group.leads else ignore, cancel)
        except Cancelled as cancelled:
            if not checkpoint.path.exists():
                raise
            raise Cancelled("Cancelled; what was learned is kept: run the training again with --resume.") from cancelled


def _check(job: TrainJob) -> None:
    """Refuse what cannot be done before anything is read.

    Raises:
        GroklstError: An option does not serve, alone or beside another.
    """
    regions = {source.region or source.name for source in sources_of(job)}
    held_out = [region for held in job.cross_validate for region in _regions_of(held)]
    for region in (*held_out, *job.validate_regions):
        if region not in regions:
            raise InputError(f"No training scene lies in '{region}': choose of {', '.join(sorted(regions))}.")
    if job.cross_validate and len(regions) == 1:
        raise InputError("Cross-validation leaves a region out, and the scenes have only one: give scenes of another.")
    if job.score_test and (job.dataset is None or job.split == "test" or job.cross_validate):
        raise InputError("Scores on the test split need a data set, training on another split, no cross-validation.")
    if both := set(held_out) & set(job.validate_regions):
        raise InputError(f"'{min(both)}' cannot be for validation and cross-validation at once: name it once.")
    if regions <= set(job.validate_regions):
        raise InputError("Every region is for validation, so none is left to train on: name fewer.")
    if job.validate_every and job.dataset is None and not job.validate_regions:
        raise InputError("There is nothing to validate on: name regions with --validate-regions, or give a data set.")
    if job.patience and not job.validate_every:
        raise InputError("Ending early needs validations: give --validate-every as well.")
    if job.precision == "bf16" and job.normalize_lst == "none":
        raise InputError(
            "Half precision cannot hold kelvin, its steps are 2 K wide: choose float32, or normalise the LST."
        )
    if len(job.scales) > 1 and not isinstance(get_spec(job.model).scales, range):
        raise ModelError(f"The network '{job.model}' is built for one scale: train it once for each.")
    build_loss(job.loss)


def _checkpoint(job: TrainJob, group: Group, on_event: OnEvent) -> Checkpoint:
    """The checkpoint of the earlier training that is to go on, or an empty one.

    Raises:
        InputError: It does not serve this job.
        OutputError: It would be lost.
    """
    recipe = job.model_dump(mode="json", include=set(TrainingRecipe.model_fields))
    options = {**recipe, "engine_version": __version__}
    steps = StepLog(job.output.with_suffix(".training.csv"))
    path = job.output.with_name(job.output.name + ".checkpoint")
    checkpoint = Checkpoint(path, options, job.checkpoint_every, steps)
    if job.resume and path.exists():
        checkpoint.load()
    elif not group.leads:
        pass  # the first process decides what becomes of the file
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


def _train(job: TrainJob, checkpoint: Checkpoint, group: Group, on_event: OnEvent, cancel: CancelToken) -> TrainResult:
    progress(on_event, 0.0, "Reading the scenes")
    sources = sources_of(_training_split(job))
    scenes = Kept([partial(load, source) for source in sources], memory_for_scenes())
    regions = [source.region or source.name for source in sources]
    runs = len(job.cross_validate) + 1
    for number, held in enumerate(job.cross_validate):
        if number < len(checkpoint.scores):
            continue
        step = part(on_event, 0.02 + 0.98 * number / runs, 0.02 + 0.98 * (number + 1) / runs)
        log(on_event, f"Training without {held}")
        chosen = _outside(regions, (*_regions_of(held), *job.validate_regions))
        network, normalization = _learn(job, scenes, chosen, checkpoint, group, part(step, 0, 0.9), cancel)
        scores = []
        if group.leads:
            held_out = tuple(source for source in job.scenes if (source.region or source.name) in _regions_of(held))
            unseen = FineData(scenes=held_out)
            scores = _scores(job, unseen, network, normalization, part(step, 0.9, 1), cancel)
            if job.keep_folds:
                fold = job.model_copy(update={"output": fold_file(job.output, held)})
                save_weights(fold.output, network, _card(fold, scores, normalization, without=_regions_of(held)))
            checkpoint.finish_run(scores)
        else:
            checkpoint.scores.append(scores)
    step = part(on_event, 0.02 + 0.98 * (runs - 1) / runs, 1.0)
    chosen = _outside(regions, job.validate_regions)
    learned = 0.9 if job.score_test else 1.0
    network, normalization = _learn(job, scenes, chosen, checkpoint, group, part(step, 0, learned), cancel)
    metrics = [row for scores in checkpoint.scores for row in scores]
    if job.score_test and group.leads:
        unseen = FineData(dataset=job.dataset, split="test")
        try:
            metrics += _scores(job, unseen, network, normalization, part(step, learned, 1), cancel)
        except InputError as error:  # what was learned must not be lost for it
            warn(on_event, f"The network was not scored. {error}")
    card = _card(job, metrics, normalization)
    if group.leads:
        card = save_weights(job.output, network, card)
        write_card(card, job.output.with_suffix(".md"))
        checkpoint.delete()
    return TrainResult(job.output, card)


def _training_split(job: TrainJob) -> TrainJob:
    """The job on what it may learn from: what is validated on is no part of it."""
    if job.dataset is not None and job.validate_every and job.split == "trainval":
        return job.model_copy(update={"split": "train"})
    return job


def _learned_from(job: TrainJob, without: Sequence[str]) -> list[Source]:
    sources, held = sources_of(_training_split(job)), (*job.validate_regions, *without)
    return [source for source in sources if (source.region or source.name) not in held]


def _regions_of(held: str) -> list[str]:
    """The regions that a cross-validation leaves out together."""
    return held.split("+")


def _outside(regions: Sequence[str], named: Sequence[str]) -> list[int]:
    return [index for index, region in enumerate(regions) if region not in named]


def _learn(
    job: TrainJob,
    scenes: Sequence[FineScene],
    chosen: Sequence[int],
    checkpoint: Checkpoint,
    group: Group,
    on_event: OnEvent,
    cancel: CancelToken,
) -> tuple[nn.Module, Normalization]:
    data, normalization = training_data(scenes, chosen, job, on_event, cancel)
    sampler = SceneSampler(
        data,
        crop=job.crop,
        batch=job.batch * job.accumulate,
        band_dropping=job.band_dropping,
        augment=job.augment,
        seed=job.seed,
        cancel=cancel,
    )
    torch.manual_seed(job.seed)
    network = create_model(
        job.model, scale=job.scales[0], guidance_bands=len(job.roles), preset=job.preset, **job.arguments
    )
    take_over(network, job)
    freeze(network, job.freeze)
    schedule = Schedule(
        iterations=job.iterations,
        learning_rate=job.learning_rate,
        weight_decay=job.weight_decay,
        scale_weights={scale: 1.0 for scale in job.scales},
        seed=job.seed,
        loss=job.loss,
        optimizer=job.optimizer,
        rate=job.schedule,
        accumulate=job.accumulate,
        average=job.average,
        precision="float32" if normalization.in_kelvin else job.precision,
        recompute=job.recompute,
    )
    validation = _validation(job, normalization) if job.validate_every else None
    learner = in_units(network, normalization, job.roles)
    trained = learn(learner, sampler, schedule, group, on_event, cancel, checkpoint, validation)
    return own_network(trained), normalization


def _validation(job: TrainJob, normalization: Normalization) -> Validation:
    """On a data set's validation split, or on the regions named for it."""
    wish = job if job.dataset is None else job.model_copy(update={"split": "val"})
    sources = [
        source
        for source in sources_of(wish)
        if job.dataset is not None or (source.region or source.name) in job.validate_regions
    ]

    def write(file: Path, network: nn.Module) -> None:
        save_weights(file, own_network(network), _card(job, [], normalization))

    scenes = Kept([partial(load, source, job.scales) for source in sources], memory_for_scenes())
    return Validation(scenes, job.scales, job.validate_every, job.patience, job.device, write, job.output)


def _scores(
    job: TrainJob,
    unseen: FineData,
    network: nn.Module,
    normalization: Normalization,
    on_event: OnEvent,
    cancel: CancelToken,
) -> list[dict[str, Any]]:
    """Scores, beside bicubic, on what the network has not seen, through the public ``evaluate()``."""
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, job.output.name)
        save_weights(weights, network, _card(job, [], normalization))
        wish = EvaluateJob(
            **dict(unseen), scales=job.score_scales or job.scales, methods=("bicubic", str(weights)), device=job.device
        )
        evaluation: Evaluation = evaluate(wish, on_event, cancel)
    return [{**row.to_json(), "method": called(row.method)} for row in evaluation.rows]


def _card(
    job: TrainJob, metrics: list[dict[str, Any]], normalization: Normalization, without: Sequence[str] = ()
) -> ModelCard:
    options = job.model_dump(mode="json", include=TrainingRecipe.model_fields.keys() - FineData.model_fields.keys())
    published = {name: value for name, value in job.arguments.items() if name == "reference_compat"}
    own = {name: value for name, value in job.arguments.items() if name not in published}
    return ModelCard(
        name=job.output.stem,
        label=job.label or job.output.stem,
        description=job.description,
        architecture=get_spec(job.model).name,
        arguments=get_spec(job.model).arguments(job.preset, **own) | published,
        scales=job.scales,
        roles=job.roles,
        normalization="scene" if normalization == BY_SCENE else normalization,
        training={
            "protocol": "wald: all block-averaged to the thermal sensor's pixel, the LST degraded by the scale",
            "scenes": [source.name for source in _learned_from(job, without)],
            "options": options,
        },
        metrics=tuple(metrics),
        limitations=job.limitations,
        credits=job.credits,
        engine_version=__version__,
    )
