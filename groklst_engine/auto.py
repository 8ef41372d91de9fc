"""``auto``: the method that does best on the user's own rasters, with as much of its detail as they bear out.

One scale up, where the truth is known, least squares say which multiple of the detail that a method adds to
interpolation would have been best. Less of it is best one scale down, for networks as for methods that learn from the
scene, on every sensor tried: temperature and guidance go together best where both are coarse. The less a method
explains one scale up, the more is lost. So much of it is what the result gets, and methods are compared as if they had
got it there. With few pixels much is explained by chance: R² is adjusted for that, and a network's share is drawn to a
cautious one, which is all there is on a tiny scene. docs/accuracy.md has the measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from groklst_engine.closed_loop import MIN_PIXELS, ClosedLoop, Trial, trials
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, log, warn
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods import get_method, network
from groklst_engine.physics.indices import available

MARGIN = 0.02
"""How much smaller the RMSE of a method must be than that of one before it."""

LOST = 0.7
"""How much less of a method's detail is best in a result than in the closed loop at the result's scale, for a method
that explains nothing there; one that explains all keeps all."""

PER_OCTAVE = 0.8
"""By what the share that is kept is multiplied for each octave by which the closed loop's scale is below the result's,
because the scene was too small for that."""

CAUTIOUS = 0.3
"""Share of a network's detail that is kept where nothing could be tried."""

CAUTION = 10
"""Degraded pixels that weigh as much as what is kept without any: ``CAUTIOUS`` of a network, nothing of others."""

LEARNED_HERE = 1.5
"""By what the RMSE of a method that learns from the scene counts beside a network's: it looks better in the loop."""

BASELINE = "bicubic"
"""Tried in any case."""

FALLBACK = "bicubic-ibp"
"""What is used where nothing else is clearly better; the baseline where results need not keep to the coarse LST."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes:
        method: Its name.
        detail: Share of its detail to be kept, 0 to 1.
        trials: The candidates' scores, in the order in which they were tried; empty where none could be.
        scale: Scale of the closed loop; 0 where it could not be run.
        pixels: Degraded pixels it had.
        reason: One sentence for people.
    """

    method: str
    detail: float
    trials: tuple[Trial, ...]
    scale: int
    pixels: int
    reason: str

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the job that it decides."""
        return {"method": self.method, "detail": self.detail}

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self) | {"trials": [asdict(trial) | {"damped": trial.damped} for trial in self.trials]}


def choose(job: DownscaleJob, on_event: OnEvent, cancel: CancelToken) -> Choice:
    """Choose a method for a job by the closed loop.

    Raises:
        InputError: An input cannot be used.
        Cancelled: ``cancel`` was raised.
    """
    fallback = BASELINE if job.consistency == 0 else FALLBACK
    methods = tuple(dict.fromkeys((BASELINE, fallback, *job.candidates)))
    try:
        with ClosedLoop(job, cancel, at_least=0) as loop:
            scale, pixels = loop.scale, loop.pixels
            if pixels < network.MIN_PIXELS:
                return _cautious(job, loop, fallback, on_event)
            if pixels < MIN_PIXELS:  # what learns from so little has learnt nothing
                methods = tuple(name for name in methods if not get_method(name).learns_here)
            tried = trials(loop, methods, job.budget, on_event, cancel)
    except InputError as error:
        return _fall_back(fallback, f"No method could be tried on the scene, so {fallback} is used. {error}", on_event)
    octaves = math.log2(job.scale / scale)
    tried = [replace(trial, detail=share(trial, octaves, pixels)) for trial in tried]
    best = best_of(tried, fallback)
    if best.method == fallback:
        reason = f"No method was clearly better than {best.method} on your rasters, one scale up."
        warn(on_event, f"{reason} The guidance may not help here: look for cloud, another date or misregistration.")
    else:
        kept = "all" if best.detail == 1 else f"{best.detail:.0%}"
        reason = (
            f"On your rasters, one scale up, {best.method} had {best.ratio:.2f} times bicubic's RMSE; {kept} of its"
            " detail is kept."
        )
        log(on_event, reason)
    return Choice(best.method, best.detail, tuple(tried), scale, pixels, reason)


def _cautious(job: DownscaleJob, loop: ClosedLoop, fallback: str, on_event: OnEvent) -> Choice:
    """Where nothing can be tried, the first network that can do the scene, with a cautious share of its detail."""
    small = (
        f"The scene is too small to try methods on it ({loop.pixels} degraded pixels; {network.MIN_PIXELS} are needed)"
    )
    for name in job.candidates:
        spec = get_method(name)
        known = available(loop.roles).intersection(spec.roles)
        if spec.kind == "network" and job.scale in (spec.scales or ()) and known and loop.whole >= network.MIN_PIXELS:
            reason = f"{small}: {CAUTIOUS:.0%} of the detail of {name} is kept."
            warn(on_event, reason)
            return Choice(name, CAUTIOUS, (), 0, loop.pixels, reason)
    return _fall_back(fallback, f"{small}, so {fallback} is used.", on_event)


def _fall_back(fallback: str, reason: str, on_event: OnEvent) -> Choice:
    """What is used where nothing was tried, and why, as a warning."""
    warn(on_event, reason)
    return Choice(fallback, 1.0, (), 0, 0, reason)


def share(trial: Trial, octaves: float, pixels: int) -> float:
    """Share of a method's detail that is to be kept in a result, 0 to 1.

    Args:
        trial: What the closed loop says.
        octaves: By which the result's scale is larger than the loop's.
        pixels: Degraded pixels the loop had.
    """
    spec = get_method(trial.method)
    if spec.kind == "interpolation":
        return 1.0
    explained = 1 - trial.unexplained**2
    real = adjusted(explained, pixels)
    gain = trial.gain * real / explained if explained > 0 else 0.0
    expected = (1 - LOST * math.sqrt(1 - real)) * math.pow(PER_OCTAVE, octaves) * gain
    prior = CAUTIOUS if spec.kind == "network" else 0.0
    wanted = (pixels * expected + CAUTION * prior) / (pixels + CAUTION)
    return min(1.0, max(0.0, wanted))


def adjusted(explained: float, pixels: int) -> float:
    """What is left of an explained share of the variance, 0 to 1, without what any factor explains by chance."""
    return max(0.0, 1 - (1 - explained) * (pixels - 1) / (pixels - 2)) if pixels > 2 else 0.0


def best_of(tried: Sequence[Trial], fallback: str = FALLBACK) -> Trial:
    """The trial to go by: better by ``MARGIN`` than the ones before it, and a learner here by far than a network.

    Args:
        tried: In order, the fallback among them.
        fallback: Name of what is used where nothing else is.
    """
    best = next(trial for trial in tried if trial.method == fallback)
    for trial in tried:
        handicap = 1.0 if best.method == fallback else LEARNED_HERE ** (_learns(trial) - _learns(best))
        if trial.method != BASELINE and trial.damped * handicap < (1 - MARGIN) * best.damped:
            best = trial
    return best


def _learns(trial: Trial) -> bool:
    return get_method(trial.method).learns_here
