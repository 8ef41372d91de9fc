"""The benchmark's tables: means over the scenes, ranks, and published figures beside ours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from groklst_engine import __version__
from groklst_engine.benchmarking.results import STUDIED, Result, Unit
from groklst_engine.training_jobs import BenchmarkJob

METRICS = ("rmse", "mae", "bias", "cc", "rsd")
RATIO = "rmse_to_bicubic"
DIGITS = 4
HEADS = {"rmse": "RMSE", "mae": "MAE", "bias": "BIAS", "cc": "CC", "rsd": "RSD", RATIO: "÷ bicubic"}


@dataclass(frozen=True)
class Row:
    """What the table says of a network or method at one scale.

    Attributes:
        unit: Which.
        scores: Means over the scenes, by ``METRICS`` and ``RATIO``; errors in kelvin.
        scenes: Number of them.
        complete: Whether these are all; others are neither ranked nor marked.
        parameters: Of a network.
        training_seconds: Wall time.
        cpu_seconds_per_mpx: Processor time of downscaling a million valid pixels of output.
        rmse_corrected: Of a network's results whose block means equal the coarse LST; None for other methods.
        rmse_uncorrected: Of a network's results as they are; None for other methods.
        published: Figures as printed, by ``METRICS``.
        ranks: 1 is best, by ``METRICS`` and ``RATIO``, among the rows of the main table at this scale.
    """

    unit: Unit
    scores: Mapping[str, float]
    scenes: int
    complete: bool
    parameters: int | None
    training_seconds: float | None
    cpu_seconds_per_mpx: float
    rmse_corrected: float | None
    rmse_uncorrected: float | None
    published: Mapping[str, str] = field(default_factory=dict)
    ranks: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        lst, guidance = self.unit.normalize or (None, None)
        return {
            "name": self.unit.name,
            "label": self.unit.label,
            "scale": self.unit.scale,
            "normalize_lst": lst,
            "normalize_guidance": guidance,
            "main": self.unit.main,
            "scenes": self.scenes,
            "scores": dict(self.scores),
            "published": dict(self.published),
            "ranks": dict(self.ranks),
            "parameters": self.parameters,
            "training_seconds": self.training_seconds,
            "cpu_seconds_per_mpx": self.cpu_seconds_per_mpx,
            "rmse_corrected": self.rmse_corrected,
            "rmse_uncorrected": self.rmse_uncorrected,
        }


@dataclass(frozen=True)
class Cell:
    """A figure of a table.

    Attributes:
        text: The figure; a dash where there is none.
        mark: 1 for the best, 2 for the second best, 0 for others.
        published: The figure as published; empty where there is none.
    """

    text: str = "–"
    mark: int = 0
    published: str = ""


@dataclass(frozen=True)
class Section:
    """A table to print.

    Attributes:
        title: Headline.
        note: What the figures are.
        groups: Heads of groups of columns, and how many each has.
        columns: Heads of the columns, the first of which holds labels.
        lines: Labels and cells.
    """

    title: str
    note: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class Table:
    """All rows of a benchmark.

    Attributes:
        facts: What the rows were made with, for people.
        protocol: Of the job.
        scales: Of the job.
        rows: Of the main table, then of the study.
        studied: Whether there is a study of normalisations.
        by_scene: RMSE divided by bicubic's: scene, scale, name.
        left_out: Sentences about what is missing.
        crop: What the figure shows.
    """

    facts: Mapping[str, str]
    protocol: str
    scales: tuple[int, ...]
    rows: tuple[Row, ...]
    studied: bool
    by_scene: Mapping[tuple[str, int], Mapping[str, float]]
    left_out: tuple[str, ...]
    crop: str

    @classmethod
    def of(
        cls, job: BenchmarkJob, results: Mapping[Unit, Result], left_out: Iterable[str], scenes: int, crop: str
    ) -> Table:
        """Sum up the results of a job on a number of scenes."""
        compares_with_paper = job.protocol == "groklst" and job.dataset is not None
        rows = [_row(unit, result, scenes, job, compares_with_paper) for unit, result in results.items()]
        by_scene: dict[tuple[str, int], dict[str, float]] = {}
        for unit, result in results.items():
            for scores in result.scenes if unit.main else ():
                by_scene.setdefault((scores["scene"], unit.scale), {})[unit.name] = scores[RATIO]
        ranked = tuple(replace(row, ranks=_ranks(row, rows)) for row in rows)
        facts, studied = _facts(job, scenes), job.normalization_study
        return cls(facts, job.protocol, job.scales, ranked, studied, by_scene, tuple(dict.fromkeys(left_out)), crop)

    @property
    def title(self) -> str:
        """Headline."""
        scales = ", ".join(f"x{scale}" for scale in self.scales)
        return f"Benchmark: {len(self.labels)} method{'s' if len(self.labels) > 1 else ''} at {scales}"

    @property
    def main(self) -> dict[tuple[str, int], Row]:
        """Rows of the main table by name and scale."""
        return {(row.unit.name, row.unit.scale): row for row in self.rows if row.unit.main}

    @property
    def labels(self) -> dict[str, str]:
        """Label of each name in the main table."""
        return {row.unit.name: row.unit.label for row in self.rows if row.unit.main}

    def mean_rank(self, name: str) -> float:
        """Over the five metrics and all scales it has; NaN without any."""
        ranks = [
            row.ranks[metric] for (own, _), row in self.main.items() if own == name and row.ranks for metric in METRICS
        ]
        return sum(ranks) / len(ranks) if ranks else math.nan

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "protocol": self.protocol,
            "facts": dict(self.facts),
            "scales": list(self.scales),
            "rows": [{**row.to_json(), "mean_rank": self.mean_rank(row.unit.name)} for row in self.rows],
            "published_source": published()["source"] if any(row.published for row in self.rows) else None,
            "left_out": list(self.left_out),
        }

    def sections(self) -> list[Section]:
        """The tables to print."""
        sections = [self._scores()]
        if self.protocol == "wald":
            sections = [self._ratios(), self._scenes(), *sections]
        sections.append(self._ranks())
        sections.append(self._corrections())
        if self.studied:
            sections += [self._study(scale) for scale in self.scales]
        return [section for section in sections if section.lines]

    def _scores(self) -> Section:
        lines = tuple(
            (label, tuple(_score(self.main.get((name, scale)), metric) for scale in self.scales for metric in METRICS))
            for name, label in self.labels.items()
        )
        note = "RMSE, MAE and BIAS in kelvin."
        if any(row.published for row in self.rows):
            note += f" In small or in brackets: published figures ({published()['source']}); {published()['note']}."
        groups = tuple((f"x{scale}", len(METRICS)) for scale in self.scales)
        heads = tuple(HEADS[metric] for _ in self.scales for metric in METRICS)
        return Section("Scores", note, groups, ("method", *heads), lines)

    def _ratios(self) -> Section:
        lines = []
        for name, label in self.labels.items():
            rows = [self.main.get((name, scale)) for scale in self.scales]
            times = [Cell(f"{row.cpu_seconds_per_mpx:.2f}") if row else Cell() for row in rows]
            lines.append((label, (*(_score(row, RATIO, 3) for row in rows), *times)))
        scales = tuple(f"x{scale}" for scale in self.scales)
        groups = (("RMSE ÷ bicubic", len(scales)), ("CPU s per Mpx", len(scales)))
        note = "Mean over the scenes; below 1 is better than bicubic. Processor time of the whole run, files included."
        return Section("RMSE divided by bicubic's", note, groups, ("method", *scales, *scales), tuple(lines))

    def _scenes(self) -> Section:
        lines = tuple(
            (f"{scene} x{scale}", _marked([ratios.get(name, math.nan) for name in self.labels], 3))
            for (scene, scale), ratios in self.by_scene.items()
        )
        return Section("Scene by scene", "RMSE divided by bicubic's.", (), ("scene", *self.labels.values()), lines)

    def _ranks(self) -> Section:
        names = list(self.labels)
        ranks = _marked([self.mean_rank(name) for name in names], 2)
        lines = []
        for (name, label), rank in zip(self.labels.items(), ranks, strict=True):
            rows = [self.main.get((name, scale)) for scale in self.scales]
            size = [Cell(f"{row.parameters / 1e6:.3f}") if row and row.parameters else Cell() for row in rows]
            time = [
                Cell(f"{row.training_seconds / 60:.1f}") if row and row.training_seconds else Cell() for row in rows
            ]
            speed = [Cell(f"{row.cpu_seconds_per_mpx:.2f}") if row else Cell() for row in rows]
            lines.append((label, (rank, *size, *time, *speed)))
        scales = tuple(f"x{scale}" for scale in self.scales)
        groups = (("", 1), *((head, len(scales)) for head in ("parameters (M)", "training (min)", "CPU s per Mpx")))
        note = (
            "Mean rank over the five metrics and the scales a method has; 1 is best in all. Training is wall time, CPU "
            "the processor's time for downscaling, files included."
        )
        return Section("Ranks, size and time", note, groups, ("method", "mean rank", *scales * 3), tuple(lines))

    def _corrections(self) -> Section:
        lines = []
        for name, label in self.labels.items():
            rows = [self.main.get((name, scale)) for scale in self.scales]
            pairs = [(row.rmse_corrected, row.rmse_uncorrected) if row else (None, None) for row in rows]
            cells = [Cell() if value is None else Cell(_number(value, DIGITS)) for pair in pairs for value in pair]
            if any(value is not None for pair in pairs for value in pair):
                lines.append((label, tuple(cells)))
        groups = tuple((f"x{scale}", 2) for scale in self.scales)
        note = "RMSE (K) of networks: corrected so that block means equal the coarse LST, and as the network gives it."
        columns = ("network", *("corrected", "as it is") * len(self.scales))
        return Section("Coarse consistency", note, groups, columns, tuple(lines))

    def _study(self, scale: int) -> Section:
        used = {mode for row in self.rows for mode in row.unit.normalize or ()}
        modes = tuple(mode for mode in dict.fromkeys((*STUDIED, *sorted(used))) if mode in used)
        pairs = [(lst, guidance) for lst in modes for guidance in modes]
        found = {(row.unit.name, row.unit.normalize): row for row in self.rows if row.unit.scale == scale}
        names = {row.unit.name: row.unit.label for row in self.rows if row.unit.normalize and row.unit.scale == scale}
        lines = []
        for name, label in names.items():
            rows = [found.get((name, pair)) for pair in pairs]
            values = [row.scores["rmse"] if row and row.complete else math.nan for row in rows]
            lines.append((label, _marked(values, DIGITS)))
        groups = tuple((f"LST {lst}", len(modes)) for lst in modes)
        note = (
            "RMSE (K) by how LST and guidance are normalised; the best of each network is marked. Networks without "
            "guidance have one column for each normalisation of the LST."
        )
        columns = ("network", *(f"guidance {guidance}" for _, guidance in pairs))
        return Section(f"Normalisation study, x{scale}", note, groups, columns, tuple(lines))


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    """Published figures, as printed: source, note, and for each name the metrics by scale."""
    document: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_text("utf-8"))
    return document


def _row(unit: Unit, result: Result, scenes: int, job: BenchmarkJob, compares_with_paper: bool) -> Row:
    figures = published()["methods"].get(unit.name, {}).get(str(unit.scale), ()) if compares_with_paper else ()
    scores = {score: result.mean(score) for score in (*METRICS, RATIO)}
    rmse = scores["rmse"], result.rmse_otherwise
    corrected, uncorrected = rmse if job.consistency else rmse[::-1]
    return Row(
        unit,
        scores,
        len(result.scenes),
        len(result.scenes) == scenes,
        result.parameters,
        result.seconds,
        result.cpu_seconds_per_mpx,
        None if result.rmse_otherwise is None else corrected,
        None if result.rmse_otherwise is None else uncorrected,
        dict(zip(METRICS, figures, strict=False)),
    )


def _cost(metric: str, value: float) -> float:
    """Smaller is better."""
    printed = round(value, DIGITS)  # what looks equal is equal: corrected results have a BIAS of rounding errors
    cost = {"cc": -printed, "bias": abs(printed)}.get(metric, printed)
    return math.inf if math.isnan(cost) else cost


def _ranks(row: Row, rows: Sequence[Row]) -> dict[str, int]:
    """1 plus the number of rows that are better."""
    if not (row.unit.main and row.complete):
        return {}
    rivals = [other for other in rows if other.unit.main and other.complete and other.unit.scale == row.unit.scale]
    return {
        metric: 1 + sum(_cost(metric, other.scores[metric]) < _cost(metric, value) for other in rivals)
        for metric, value in row.scores.items()
    }


def _score(row: Row | None, metric: str, digits: int = DIGITS) -> Cell:
    if row is None:
        return Cell()
    text = _number(row.scores[metric], digits) + ("" if row.complete else f" ({row.scenes} scenes)")
    rank = row.ranks.get(metric, 0)
    return Cell(text, rank if rank <= 2 else 0, row.published.get(metric, ""))


def _marked(values: Sequence[float], digits: int) -> tuple[Cell, ...]:
    """Cells of which the two smallest are marked."""
    ranks = [1 + sum(other < value for other in values) for value in values]
    return tuple(
        Cell() if math.isnan(value) else Cell(_number(value, digits), rank if rank <= 2 else 0)
        for value, rank in zip(values, ranks, strict=True)
    )


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # no −0


def _facts(job: BenchmarkJob, scenes: int) -> dict[str, str]:
    protocols = {
        "groklst": f"each metric is averaged over the {scenes} images",
        "wald": f"pixels are pooled by scene and RMSE divided by bicubic's, then averaged over the {scenes} scenes",
    }
    facts = {
        "Protocol": f"{job.protocol}: {protocols[job.protocol]}",
        "Data": f"split '{job.split}' of {job.dataset}" if job.dataset else ", ".join(s.name for s in job.scenes),
        "Results": "corrected so that their block means equal the coarse LST"
        if job.consistency
        else "as the methods give them, without the coarse-consistency correction",
    }
    if job.models:
        facts["Networks"] = (
            f"trained on split '{job.train_split}', {job.iterations} iterations, batch {job.batch}, crops of up to "
            f"{job.crop} pixels, AdamW {job.learning_rate:g} / {job.weight_decay:g}, four cosines, L1 loss, no "
            f"augmentation, seed {job.seed}"
        )
        facts["Preset"] = job.preset or "each network's own size"
        facts["Normalisation"] = f"LST {job.normalize_lst}, guidance {job.normalize_guidance}"
    return {**facts, "Version": f"GrokLST {__version__}"}
