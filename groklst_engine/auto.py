"""``auto``: the method that does best on the user's own rasters, and bicubic where nothing does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from groklst_engine.closed_loop import ClosedLoop, Trial, trials
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, log, warn
from groklst_engine.jobs import DownscaleJob

MARGIN = 0.02
"""How much smaller the RMSE of a method must be than that of a simpler one."""

SIMPLEST = ("bicubic", "bicubic-ibp")
"""Tried in any case, and the fallback."""


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

    A method is preferred to a simpler one only for a clear gain (``MARGIN``) that most of the scene shares.

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
        warn(on_event, f"No method could be tried on the scene, so bicubic-ibp is used. {error}")
        return Choice("bicubic-ibp", (), 0, "The scene is too small to try methods on it.")
    best = tried[0]
    for trial in tried[1:]:
        if trial.rmse < (1 - MARGIN) * best.rmse and trial.blocks > 0.5:
            best = trial
    if best.method in SIMPLEST:
        reason = f"No method was clearly better than {best.method} on your rasters, one scale up."
        warn(on_event, f"{reason} The guidance may not help here: look for cloud, another date or misregistration.")
    else:
        reason = f"On your rasters, one scale up, {best.method} had {best.ratio:.2f} times bicubic's RMSE."
        log(on_event, reason)
    return Choice(best.method, tuple(tried), scale, reason)
