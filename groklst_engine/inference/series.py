"""Many dates over one guidance, side by side: what the guidance alone determines is read and computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from groklst_engine.errors import Cancelled
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.inference.shared import Shared
from groklst_engine.inference.tiled import TiledRun, run_together
from groklst_engine.jobs import DownscaleJob
from groklst_engine.predict import DownscaleResult, downscale, downscaling

TOGETHER = 8
"""Dates side by side: each holds a row of tiles in memory."""

OF_A_DATE = ("lst", "output", "report", "reference", "overpass")
"""Fields of a job that may differ from date to date."""

Outcome = DownscaleResult | Exception
"""What a job gave, or why it failed."""


def series(jobs: Sequence[DownscaleJob]) -> list[list[int]]:
    """Group the numbers of jobs that share a guidance; the others stand alone."""
    groups: dict[str, list[list[int]]] = {}
    for number, job in enumerate(jobs):
        alike = job.model_dump_json(exclude=set(OF_A_DATE)) if _can_share(job) else str(number)
        runs = groups.setdefault(alike, [[]])
        if len(runs[-1]) == TOGETHER:
            runs.append([])
        runs[-1].append(number)
    return [run for runs in groups.values() for run in runs]


def _can_share(job: DownscaleJob) -> bool:
    """Whether anything is common to several dates, and runs side by side are not more than was asked for."""
    by_itself = job.steps or job.resume or job.cross_sensor or job.cluster or job.method == "auto"
    return bool(job.guidance) and not by_itself


def downscale_series(jobs: Sequence[DownscaleJob], listeners: Sequence[OnEvent], cancel: CancelToken) -> list[Outcome]:
    """Downscale a group of ``series``.

    Args:
        jobs: The group.
        listeners: Who is told of each of them.
        cancel: Looked at after every tile.

    Returns:
        For each job its result, with its share of the group's time, or its error: one that fails stops no other.

    Raises:
        Cancelled: ``cancel`` was raised; what is finished stays.
    """
    started = time.monotonic()
    done = _together(jobs, listeners, cancel) if len(jobs) > 1 else {}
    share = (time.monotonic() - started) / max(1, len(done))
    return [
        _timed(done[number], share)
        if number in done
        else _outcome(lambda job=job, told=told: downscale(job, told, cancel))  # type: ignore[misc]
        for number, (job, told) in enumerate(zip(jobs, listeners, strict=True))
    ]


def _together(jobs: Sequence[DownscaleJob], listeners: Sequence[OnEvent], cancel: CancelToken) -> dict[int, Outcome]:
    """By number those that could be done side by side, or not at all; the others want to be tried by themselves."""
    outcomes: dict[int, Outcome] = {}
    ready: dict[int, tuple[Generator[TiledRun, None, DownscaleResult], TiledRun]] = {}
    shared = Shared()
    with ExitStack() as stack:
        for number, (job, told) in enumerate(zip(jobs, listeners, strict=True)):
            work = stack.enter_context(closing(downscaling(job, told, cancel, shared)))
            try:
                ready[number] = work, next(work)
            except Cancelled:
                raise
            except Exception as error:
                outcomes[number] = error
        plans = [run.plan for _, run in ready.values()]
        alike = [number for number, (_, run) in ready.items() if run.plan == plans[0]]
        try:
            run_together([ready[number][1] for number in alike], cancel)
        except Cancelled:
            raise
        except Exception:
            return outcomes  # by itself each says what is wrong with it, or finds that smaller tiles will do
        for number in alike:
            outcomes[number] = _outcome(lambda work=ready[number][0]: _finished(work))  # type: ignore[misc]
    return outcomes


def _finished(work: Generator[TiledRun, None, DownscaleResult]) -> DownscaleResult:
    """What a run gives once its tiles are computed."""
    try:
        next(work)
    except StopIteration as done:
        result: DownscaleResult = done.value
        return result
    raise AssertionError("a run whose tiles are computed has no more of them")


def _outcome(work: Callable[[], DownscaleResult]) -> Outcome:
    try:
        return work()
    except Cancelled:
        raise
    except Exception as error:
        return error


def _timed(outcome: Outcome, seconds: float) -> Outcome:
    return outcome if isinstance(outcome, Exception) else replace(outcome, seconds=seconds)
