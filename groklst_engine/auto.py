"""``auto``: the method that does best on the user's own rasters, and bicubic where nothing does.

What the closed loop shows is not quite what happens one scale down. A network trained elsewhere mostly gains as much
there. A method that learns from the scene itself gains less, for guidance and temperature go together best where both
are coarse: it can be ahead in the loop and still be worse than bicubic in the result, so it has to win by far.
docs/accuracy.md says how the figures below were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from groklst_engine.closed_loop import ClosedLoop, Trial, trials
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, log, warn
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.methods.base import MethodKind

MARGIN = 0.02
"""How much smaller the RMSE of a method must be than that of one before it."""

HANDICAP: dict[MethodKind, float] = {"network": 1.1, "sharpener": 2.0, "trained on the scene": 2.0}
"""By what the RMSE of a family counts, because it may do worse beside bicubic one scale down."""

BLOCKS = 1 / 3
"""Share of the scene's blocks in which a method must be better than bicubic."""

FALLBACK = "bicubic-ibp"
"""What is used where nothing else is clearly better."""

SIMPLEST = ("bicubic", FALLBACK)
"""Tried in any case."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        method: Its name.
        trials: The candidates' scores, in the order in which they were tried; empty where none could be.
        scale: Scale of the closed loop; 0 where it could not be run.
        reason: One sentence for people.
    """

    method: str
    trials: tuple[Trial, ...]
    scale: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def choose(job: DownscaleJob, on_event: OnEvent, cancel: CancelToken) -> Choice:
    """Choose a method for a job by the closed loop.

    Raises:
        InputError: An input cannot be used.
        Cancelled: ``cancel`` was raised.
    """
    methods = tuple(dict.fromkeys((*SIMPLEST, *job.candidates)))
    try:
        with ClosedLoop(job, cancel) as loop:
            tried = trials(loop, methods, job.budget, on_event, cancel)
            scale = loop.scale
    except InputError as error:
        warn(on_event, f"No method could be tried on the scene, so {FALLBACK} is used. {error}")
        return Choice(FALLBACK, (), 0, "The scene is too small to try methods on it.")
    best = best_of(tried)
    if best.method == FALLBACK:
        reason = f"No method was clearly better than {best.method} on your rasters, one scale up."
        warn(on_event, f"{reason} The guidance may not help here: look for cloud, another date or misregistration.")
    else:
        reason = f"On your rasters, one scale up, {best.method} had {best.ratio:.2f} times bicubic's RMSE."
        log(on_event, reason)
    return Choice(best.method, tuple(tried), scale, reason)


def best_of(tried: Sequence[Trial]) -> Trial:
    """The trial to go by: better by ``MARGIN`` than the ones before it, and not just in a corner of the scene.

    Args:
        tried: ``SIMPLEST`` first.
    """
    best = next(trial for trial in tried if trial.method == FALLBACK)
    for trial in tried[len(SIMPLEST) :]:
        if _reckoned(trial) < (1 - MARGIN) * _reckoned(best) and trial.blocks > BLOCKS:
            best = trial
    return best


def _reckoned(trial: Trial) -> float:
    """RMSE to reckon with, in kelvin of the closed loop."""
    return trial.rmse * HANDICAP.get(get_method(trial.method).kind, 1.0)
