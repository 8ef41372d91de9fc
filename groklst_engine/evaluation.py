"""Scoring methods on fine scenes: by Wald's protocol, or on real pairs of two sensors.

By Wald's protocol a scene is degraded, downscaled back and compared with itself. A scene that comes with a coarse LST
of another sensor is a real pair: that LST is downscaled and compared with the fine one.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeGuard

import numpy as np

from groklst_engine.coverage import Coverage, ErrorSample, coverage
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.sources import Source, load, sources_of
from groklst_engine.errors import InputError, OutputError
from groklst_engine.events import CancelToken, OnEvent, ignore, log, part, progress, warn
from groklst_engine.inputs import SceneSource
from groklst_engine.jobs import EvaluateJob
from groklst_engine.methods.automatic import AUTO
from groklst_engine.metrics import Scores, average, score
from groklst_engine.real_pairs import real_pair
from groklst_engine.wald import degrade
from groklst_engine.weights import called, unseen_by

Protocol = Literal["wald", "cross-sensor", "mixed"]


@dataclass(frozen=True)
class EvaluationRow:
    """One method on one scene at one scale.

    Attributes:
        scene: Name.
        region: Region.
        scale: Coarse pixel divided by fine pixel.
        method: Name.
        scores: Against the scene itself.
        ratio: RMSE divided by bicubic's.
        seconds: Processor time of the run, reading and writing included.
        chosen: What ``auto`` chose; None for other methods.
        coverage: Of the real errors by the standard errors; None where there are none.
        sample: Some of both, equally many from every scene that is large enough; likewise.
    """

    scene: str
    region: str
    scale: int
    method: str
    scores: Scores
    ratio: float
    seconds: float
    chosen: str | None = None
    coverage: Coverage | None = None
    sample: ErrorSample | None = None

    def to_json(self) -> dict[str, Any]:
        """As a flat JSON object; the time is left out, because equal runs give equal rows."""
        return {
            "scene": self.scene,
            "region": self.region,
            "scale": self.scale,
            "method": self.method,
            **({} if self.chosen is None else {"chosen": self.chosen}),
            **self.scores.to_json(),
            "rmse_to_bicubic": self.ratio,
            **({} if self.coverage is None else self.coverage.to_json()),
        }


@dataclass(frozen=True)
class Evaluation:
    """All rows of an evaluation, and how they came about.

    Attributes:
        rows: Scene by scene.
        protocol: What the scenes were scored by.
        uncertainty: Whether standard errors were asked for.
    """

    rows: tuple[EvaluationRow, ...]
    protocol: Protocol = "wald"
    uncertainty: bool = False

    def mean(self, method: str, scale: int | None) -> dict[str, Any]:
        """Scores averaged over the scenes, at one scale or at all, RMSE divided by bicubic's, and the coverage pooled.

        That quotient stands there averaged over the scenes, averaged over the regions' means, at worst, and as the
        number of cases in which it is over 1.
        """
        rows = [row for row in self.rows if row.method == method and scale in (row.scale, None)]
        samples = [row.sample for row in rows if row.sample is not None]
        regions: dict[str, list[float]] = {}
        for row in rows:
            regions.setdefault(row.region, []).append(row.ratio)
        return {
            "method": method,
            "scale": scale or "all",
            "scenes": len({row.scene for row in rows}),
            **average(row.scores for row in rows).to_json(),
            "rmse_to_bicubic": float(np.mean([row.ratio for row in rows])),
            "regions_to_bicubic": float(np.mean([np.mean(ratios) for ratios in regions.values()])),
            "worst_to_bicubic": max(row.ratio for row in rows),
            "worse_than_bicubic": sum(row.ratio > 1 for row in rows),
            **(coverage(samples).to_json() if samples else {}),
            **({"with_sigma": len(samples)} if self.uncertainty else {}),
        }

    def to_json(self) -> dict[str, Any]:
        """Rows, the means per method for each scale and for all, and what was too small for a standard error."""
        keys: dict[tuple[str, int | None], None] = dict.fromkeys((row.method, row.scale) for row in self.rows)
        if len({scale for _, scale in keys}) > 1:
            keys |= dict.fromkeys((method, None) for method, _ in keys)
        without = [f"{row.scene} x{row.scale}" for row in self.rows if self.uncertainty and row.coverage is None]
        return {
            "protocol": self.protocol,
            "rows": _alike([row.to_json() for row in self.rows]),
            "means": _alike([self.mean(method, scale) for method, scale in keys]),
            "without_sigma": list(dict.fromkeys(without)),
        }


def _alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with the same keys in all rows, None where one has no such value."""
    longest = max(rows, key=lambda row: len(row), default={})
    keys = dict.fromkeys([*longest, *(key for row in rows for key in row)])
    return [{key: row.get(key) for key in keys} for row in rows]


def evaluate(job: EvaluateJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> Evaluation:
    """Score methods on scenes; bicubic is always among them.

    What a method can't do, for instance a scene too small for it, is left out with a warning.

    Raises:
        GroklstError: A scene or a method cannot be used.
        Cancelled: ``cancel`` was raised.
    """
    cancel = cancel or CancelToken()
    rows: list[EvaluationRow] = []
    sources = sources_of(job)
    for number, source in enumerate(sources):
        step = part(on_event, number / len(sources), (number + 1) / len(sources))
        scene = source if _is_pair(source) else load(source, job.scales)
        rows += evaluate_scene(scene, job, step, cancel)
    pairs = {_is_pair(source) for source in sources}
    protocol: Protocol = "mixed" if len(pairs) > 1 else "cross-sensor" if True in pairs else "wald"
    evaluation = Evaluation(tuple(rows), protocol, job.uncertainty)
    if job.report is not None:
        _write(evaluation, job.report)
    return evaluation


def _is_pair(source: Source) -> TypeGuard[SceneSource]:
    """Whether a scene comes with the coarse LST of another sensor."""
    return isinstance(source, SceneSource) and source.coarse is not None


def evaluate_scene(
    scene: FineScene | SceneSource, job: EvaluateJob, on_event: OnEvent, cancel: CancelToken
) -> list[EvaluationRow]:
    """Score all methods of a job at all its scales on one scene.

    Args:
        scene: A fine scene, or a real pair.
        job: Methods, scales and options.
        on_event: Gets this scene's progress.
        cancel: Looked at after every tile.
    """
    rows: list[EvaluationRow] = []
    region = scene.region or scene.name
    options = job.model_dump(include={"device", "consistency", "cross_sensor", "uncertainty", "budget"})
    methods = list(dict.fromkeys(("bicubic", *job.methods)))
    named = (*methods, *job.candidates)
    stands_in = {name: unseen_by(name, region, job.folds) if job.folds else name for name in named}
    options["candidates"] = tuple(stands_in[name] for name in job.candidates)
    with tempfile.TemporaryDirectory() as folder:
        for at, scale in enumerate(job.scales):
            degraded = (
                real_pair(scene, scale, Path(folder))
                if isinstance(scene, SceneSource)
                else degrade(scene, scale, Path(folder))
            )
            baseline = float("nan")  # bicubic comes first
            for index, method in enumerate(methods):
                done = (at + index / len(methods)) / len(job.scales)
                shown = called(method)
                progress(on_event, done, f"Scoring {shown} on {scene.name} at x{scale}")
                started = time.process_time()
                try:
                    result = degraded.downscaled(stands_in[method], cancel, **options)
                except InputError as error:  # the scene is not for this method; others go on
                    warn(on_event, f"{scene.name} x{scale} {shown}: {error}")
                    continue
                seconds = time.process_time() - started
                scores = score(result.values, degraded.truth, degraded.counted)
                baseline = scores.rmse if method == "bicubic" else baseline
                ratio = scores.rmse / baseline
                row = EvaluationRow(scene.name, region, scale, method, scores, ratio, seconds)
                if method == AUTO:  # which chose among the networks that stand in for its candidates
                    names = {used: name for name, used in stands_in.items()}
                    row = replace(row, chosen=names.get(result.method, result.method))
                if result.sigma is not None:
                    sample = ErrorSample.of(result.values, result.sigma, degraded.truth, degraded.counted)
                    row = replace(row, coverage=coverage([sample]), sample=sample.drawn())
                rows.append(row)
                log(on_event, f"{scene.name} x{scale} {shown}: RMSE {scores.rmse:.3f} K")
    return rows


def _write(evaluation: Evaluation, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        document = evaluation.to_json()
        (folder / "scores.json").write_text(json.dumps(document, indent=1), "utf-8")
        with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(document["rows"][0]))
            table.writeheader()
            table.writerows(document["rows"])
    except OSError as error:
        raise OutputError(f"The scores cannot be written to '{folder}': choose another folder.") from error
