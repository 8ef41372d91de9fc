"""The benchmark: networks trained on the same data, methods and weights as they are, all scored alike in one table.

The folder of a benchmark keeps ``results/`` (a JSON file for each network or method at each scale), ``weights/`` and
``crops/`` (what each made of one crop). Whatever is there with the same options is not computed again.

References:
    Dai et al. (2024), arXiv 2409.19835: the networks' training and the table of results.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groklst_engine import __version__
from groklst_engine.benchmarking.figure import Crop, cut, draw_comparison
from groklst_engine.benchmarking.files import write_files
from groklst_engine.benchmarking.results import STUDIED, Result, Unit
from groklst_engine.benchmarking.table import Table
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.sources import Source, load, sources_of
from groklst_engine.errors import Cancelled, GroklstError, InputError, OutputError
from groklst_engine.evaluation import EvaluationRow, evaluate_scene
from groklst_engine.events import CancelToken, Event, OnEvent, ignore, log, part, progress, warn
from groklst_engine.jobs import EvaluateJob
from groklst_engine.methods import get_method
from groklst_engine.metrics import average
from groklst_engine.models.zoo import get_spec, list_models
from groklst_engine.raster import Floats
from groklst_engine.report import require_packages
from groklst_engine.training.train import train
from groklst_engine.training_jobs import BenchmarkJob, TrainJob
from groklst_engine.wald import degrade
from groklst_engine.weights import SUFFIX, load_weights, shipped_weights, user_weights
from groklst_engine.whole_file import whole_file

CACHE_BYTES = 1 << 30
"""Of scenes kept in memory from one method to the next."""

TRAINING_SHARE = 0.9
"""Of a network's time, for progress."""


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark gave.

    Attributes:
        table: All rows.
        files: The tables and the figure.
    """

    table: Table
    files: dict[str, Path]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; the scores of single scenes are in the file ``benchmark.json`` only."""
        return {"files": {name: str(path) for name, path in self.files.items()}, **self.table.to_json()}


def benchmark(job: BenchmarkJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> BenchmarkResult:
    """Train networks, score them and methods, and write the tables and a figure.

    What cannot be done, such as a network at a scale it has not, is left out of the table and named under it.

    Raises:
        GroklstError: The data cannot be used, or the folder holds results made with other options.
        Cancelled: ``cancel`` was raised; what was computed is kept.
    """
    require_packages()
    if job.models and job.dataset is None:
        raise InputError("Networks are trained on a data set: give one, or choose methods and weights only.")
    run = _Run(job, cancel or CancelToken())
    units = list(run.units())
    try:
        for folder in ("results", "weights", "crops"):
            (job.output / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder '{job.output}' cannot be made: choose another one.") from error
    for unit in units:
        run.check(unit)
    try:
        for number, unit in enumerate(units):
            run.complete(unit, part(on_event, 0.98 * number / len(units), 0.98 * (number + 1) / len(units)))
    except Cancelled as cancelled:
        raise Cancelled(
            "Cancelled; what is done is kept: run the benchmark again with the same options to go on."
        ) from cancelled
    progress(on_event, 0.98, "Writing the tables")
    written = run.write()
    progress(on_event, 1.0, "Done")
    return written


class _Run:
    """A job with what its steps have found so far."""

    def __init__(self, job: BenchmarkJob, cancel: CancelToken) -> None:
        self._job = job
        self._cancel = cancel
        self._data = {"scenes": job.scenes, "dataset": job.dataset}
        self._scoring = EvaluateJob(
            **self._data,
            split=job.split,
            scales=job.scales,
            consistency=job.consistency,
            device=job.device,
        )
        self._sources = sources_of(self._scoring)
        self._crop_scale = sorted(job.scales)[len(job.scales) // 2]
        self._results: dict[Unit, Result] = {}
        self._crops: list[tuple[str, Floats]] = []
        self._left_out: list[str] = []
        self._cache: dict[Source, FineScene] = {}

    def units(self) -> Iterator[Unit]:
        """What the job asks for; bicubic comes first at each scale."""
        job = self._job
        networks = [get_spec(name) for name in (list_models() if job.models == ("all",) else job.models)]
        own = job.normalize_lst, job.normalize_guidance
        for scale in job.scales:
            for name in dict.fromkeys(("bicubic", *job.methods)):
                yield Unit(name, get_method(name).label, scale)
            for network in networks:
                if scale not in network.scales:
                    self._left_out.append(f"{network.label} x{scale}: the network has no such scale.")
                    continue
                pairs = [own]
                if job.normalization_study:  # without guidance, a network has only one column of it
                    columns = STUDIED if network.guided else own[1:]
                    pairs += [(lst, guidance) for lst in STUDIED for guidance in columns]
                for pair in dict.fromkeys(pairs):
                    yield Unit(network.name, network.label, scale, pair, main=pair == own)

    def check(self, unit: Unit) -> None:
        """Refuse to mix results of different options; with ``overwrite``, forget those that differ.

        Raises:
            OutputError: The folder holds such results, and they may not be replaced.
        """
        result = self._kept(unit)
        other_training = _difference(result.training, self._training_options(unit))
        other_scoring = _difference(result.scoring, self._scoring_options(unit))
        other = other_training or other_scoring
        if other and not self._job.overwrite:
            raise OutputError(
                f"The folder '{self._job.output}' holds results with another '{other}': choose another folder, or "
                "replace them with --overwrite."
            )
        if other:
            self._crop_file(unit).unlink(missing_ok=True)
            result.forget_scores()
        if other_training:
            _checkpoint(self._weights(unit)).unlink(missing_ok=True)
            result.path.unlink()  # and with it all that is known of the weights

    def complete(self, unit: Unit, on_event: OnEvent) -> None:
        """Train and score a unit, as far as that is not done yet, and keep the result."""
        result = self._kept(unit)
        try:
            if unit.normalize and result.seconds is None:
                self._train(unit, result, part(on_event, 0, TRAINING_SHARE))
            if not result.scoring:
                self._score(unit, result, part(on_event, TRAINING_SHARE if unit.normalize else 0, 1))
            if result.scenes:
                self._results[unit] = result
                if unit.main and unit.scale == self._crop_scale:
                    self._keep_crop(unit)
        except (Cancelled, OutputError):
            raise
        except (GroklstError, MemoryError, torch.OutOfMemoryError) as error:  # the others go on
            sentence = str(error) if isinstance(error, GroklstError) else "it needs more memory than there is."
            warn(on_event, f"{unit.title}: {sentence}")
            self._left_out.append(f"{unit.title}: {sentence}")
        self._left_out += result.left_out

    def write(self) -> BenchmarkResult:
        """Write the tables and the figure."""
        crop = self._crop
        height, width = crop.scene.lst.shape[-2:]
        shown = (
            f"Of the scene hardest for bicubic, {crop.scene.name}, {width} × {height} pixels at x{crop.scale}: the "
            "crop, the detail framed in it, and the errors in the detail. Temperatures share one colour range, errors "
            "another."
        )
        table = Table.of(self._job, self._results, self._left_out, len(self._sources), shown)
        folder = self._job.output
        figure = folder / "comparison.png"
        draw_comparison(crop, self._crops, figure)
        return BenchmarkResult(table, {"figure": figure, **write_files(table, self._results, folder, figure)})

    def _train(self, unit: Unit, result: Result, on_event: OnEvent) -> None:
        result.training = self._training_options(unit)
        result.save()  # from here on the checkpoint's options are known
        log(on_event, f"Training {unit.title}")
        seconds = 0.0

        def listen(event: Event) -> None:
            nonlocal seconds
            seconds = event.values.get("seconds", seconds)
            on_event(event)

        weights = self._weights(unit)
        train(self._training(unit, resume=_checkpoint(weights).exists()), listen, self._cancel)
        result.seconds = seconds
        result.save()

    def _score(self, unit: Unit, result: Result, on_event: OnEvent) -> None:
        method = self._method(unit)
        left_out: list[str] = []

        def listen(event: Event) -> None:
            if event.level == "warning":
                left_out.append(event.message.replace(method, unit.label))
            on_event(event)

        wish = self._scoring.model_copy(update={"scales": (unit.scale,), "methods": (method,)})
        is_network = get_method(method).kind == "network"
        rows = self._evaluated(wish, part(listen, 0, 0.5) if is_network else listen)
        result.scenes = [{**row.to_json(), "method": unit.name, "cpu_seconds": row.seconds} for row in rows]
        result.left_out = left_out
        if is_network and rows:
            result.parameters = _parameters(method, unit.scale)
            otherwise = wish.model_copy(update={"consistency": not wish.consistency})
            again = self._evaluated(otherwise, part(on_event, 0.5, 1))
            result.rmse_otherwise = average(row.scores for row in again).rmse
        result.scoring = self._scoring_options(unit)
        result.save()

    def _evaluated(self, wish: EvaluateJob, on_event: OnEvent) -> list[EvaluationRow]:
        """What ``evaluate()`` says of a job's one method, its scenes read once for all methods."""
        rows: list[EvaluationRow] = []
        for number, source in enumerate(self._sources):
            step = part(on_event, number / len(self._sources), (number + 1) / len(self._sources))
            rows += evaluate_scene(self._scene(source), wish, step, self._cancel)
        return [row for row in rows if row.method == wish.methods[0]]

    def _scene(self, source: Source) -> FineScene:
        if source in self._cache:
            return self._cache[source]
        scene = load(source, self._job.scales)
        kept = sum(kept.lst.nbytes + kept.guidance.nbytes for kept in self._cache.values())
        if kept + scene.lst.nbytes + scene.guidance.nbytes <= CACHE_BYTES:
            self._cache[source] = scene
        return scene

    def _keep_crop(self, unit: Unit) -> None:
        file = self._crop_file(unit)
        if not file.exists():
            crop = self._crop
            with tempfile.TemporaryDirectory() as folder:
                degraded = degrade(crop.scene, unit.scale, Path(folder))
                options = {"device": self._job.device, "consistency": self._job.consistency}
                values = degraded.downscaled(self._method(unit), self._cancel, **options).values
            with whole_file(file) as part, part.open("wb") as stream:
                np.save(stream, values)
        self._crops.append((unit.label, np.load(file)))

    @cached_property
    def _crop(self) -> Crop:
        """Of the scene that is hardest for bicubic."""
        bicubic = self._results[Unit("bicubic", get_method("bicubic").label, self._crop_scale)]
        hardest = max(bicubic.scenes, key=lambda row: float(row["rmse"]))["scene"]
        source = next(source for source in self._sources if source.name == hardest)
        return cut(self._scene(source), self._crop_scale)

    def _training(self, unit: Unit, **options: Any) -> TrainJob:
        """As published; ``options`` are further fields."""
        job, spec = self._job, get_spec(unit.name)
        lst, guidance = unit.normalize or ("scene", "scene")
        sample = self._training_sample
        return TrainJob(
            **self._data,
            split=job.train_split,
            model=unit.name,
            preset=job.preset if job.preset in spec.presets else None,
            roles=sample.roles if spec.guided else (),
            scales=(unit.scale,),
            loss="l1",
            iterations=job.iterations,
            batch=job.batch,
            crop=min(job.crop, *sample.lst.shape[-2:]),
            optimizer="adamw",
            learning_rate=job.learning_rate,
            weight_decay=job.weight_decay,
            schedule="cosine-restarts",
            average=False,
            band_dropping=0,
            augment=(),
            normalize_lst=lst,
            normalize_guidance=guidance,
            seed=job.seed,
            device=job.device,
            label=unit.label,
            output=self._weights(unit),
            overwrite=True,
            **options,
        )

    def _training_options(self, unit: Unit) -> dict[str, Any]:
        """What a network's weights depend on, as JSON has it; empty for methods."""
        if unit.normalize is None:
            return {}
        elsewhere = {
            "kind",
            "scenes",
            "dataset",
            "output",
            "overwrite",
            "resume",
            "checkpoint_every",
            "device",
            "label",
        }
        options = self._training(unit).model_dump(mode="json", exclude=elsewhere)
        return {**options, "training data": self._training_data, "version of GrokLST": __version__}

    def _scoring_options(self, unit: Unit) -> dict[str, Any]:
        """What the scores of given weights depend on, as JSON has it."""
        return {
            "split": self._job.split,
            "data": _fingerprint(self._sources),
            "consistency": self._job.consistency,
            "weights": get_method(unit.name).sha256 if unit.normalize is None else "",
            "version of GrokLST": __version__,
        }

    @cached_property
    def _training_data(self) -> str:
        return _fingerprint(self._training_sources)

    @cached_property
    def _training_sources(self) -> Sequence[Source]:
        return sources_of(self._scoring.model_copy(update={"split": self._job.train_split}))

    @cached_property
    def _training_sample(self) -> FineScene:
        return load(self._training_sources[0])

    def _method(self, unit: Unit) -> str:
        return unit.name if unit.normalize is None else str(self._weights(unit))

    def _weights(self, unit: Unit) -> Path:
        return self._job.output / "weights" / f"{unit.stem}{SUFFIX}"

    def _crop_file(self, unit: Unit) -> Path:
        return self._job.output / "crops" / f"{unit.stem}.npy"

    def _kept(self, unit: Unit) -> Result:
        return Result.kept(self._job.output / "results" / f"{unit.stem}.json")


def _checkpoint(weights: Path) -> Path:
    return weights.with_name(weights.name + ".checkpoint")


def _difference(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """The name of an option that differs; None if there is none, or nothing is kept."""
    return next((name for name in {**kept, **wanted} if kept and kept.get(name) != wanted.get(name)), None)


def _fingerprint(sources: Sequence[Source]) -> str:
    """Which scenes, whatever folder they lie in."""
    texts = [str({name: value for name, value in vars(source).items() if name != "folder"}) for source in sources]
    return f"{len(sources)} scenes, {hashlib.sha256(chr(10).join(texts).encode()).hexdigest()[:16]}"


def _parameters(method: str, scale: int) -> int:
    """Of a network, by the name or the path of its weights."""
    path = {**user_weights(), **shipped_weights()}.get(method.lower(), Path(method))
    network, _ = load_weights(path, scale)
    return sum(parameter.numel() for parameter in network.parameters())
