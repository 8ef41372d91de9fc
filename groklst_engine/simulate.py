"""The simulation experiment: aggregate the LST, downscale it back, compare with what it was.

References:
    Ma et al. (2025), Remote Sensing 17(21):3510: 2000 m back to 1000 m, before 1000 m goes to 500 m and 250 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from groklst_engine.closed_loop import ClosedLoop
from groklst_engine.errors import InputError, ModelError
from groklst_engine.events import CancelToken, OnEvent, ignore, progress, warn
from groklst_engine.jobs import DownscaleJob, SimulateJob
from groklst_engine.metrics import ScoreAccumulator, Scores


@dataclass(frozen=True)
class SimulationRow:
    """One method.

    Attributes:
        method: Its name.
        scores: Against the LST as it was, pooled over its pixels.
        r2: Coefficient of determination, 1 at best.
        ratio: RMSE divided by bicubic's.
    """

    method: str
    scores: Scores
    r2: float
    ratio: float


@dataclass(frozen=True)
class Simulation:
    """What the methods made of the aggregated LST.

    Attributes:
        scale: By which it was aggregated.
        rows: One per method, bicubic first.
    """

    scale: int
    rows: tuple[SimulationRow, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        rows = [
            {"method": row.method, **row.scores.to_json(), "r2": row.r2, "rmse_to_bicubic": row.ratio}
            for row in self.rows
        ]
        return {"scale": self.scale, "protocol": "simulation", "rows": rows}


def simulate(job: SimulateJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> Simulation:
    """Aggregate an LST by a scale, downscale it back with each method, and compare.

    Raises:
        InputError: An input cannot be used, or is too small to be aggregated by the scale.
        Cancelled: ``cancel`` was raised.
    """
    cancel = cancel or CancelToken()
    rows: list[SimulationRow] = []
    inputs = job.model_dump(include={"lst", "guidance", "mask", "scale", "device"})
    with ClosedLoop(DownscaleJob(**inputs, output="unused.tif"), cancel) as loop:
        if loop.scale != job.scale:
            raise InputError(f"The LST is too small to be aggregated by {job.scale}: use a larger extent.")
        methods = tuple(dict.fromkeys(("bicubic", *job.methods)))
        for number, method in enumerate(methods):
            progress(on_event, number / len(methods), f"Simulating {method}")
            try:
                parts = loop.restore(method)
            except (InputError, ModelError) as error:
                warn(on_event, f"{method}: {error}")
                continue
            pooled = ScoreAccumulator()
            for part in parts:
                pooled.update(part.result, part.truth, part.counted)
            truth = np.concatenate([part.truth[part.counted] for part in parts]).astype(np.float64)
            scores = pooled.scores()
            baseline = rows[0].scores.rmse if rows else scores.rmse
            rows.append(SimulationRow(method, scores, float(1 - scores.rmse**2 / truth.var()), scores.rmse / baseline))
    return Simulation(job.scale, tuple(rows))
