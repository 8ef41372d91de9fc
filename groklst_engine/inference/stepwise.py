"""Stepwise downscaling: 1000 m to 500 m to 250 m, each step with the guidance at its own resolution."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from groklst_engine.events import CancelToken, OnEvent, part, progress
from groklst_engine.inputs import LstSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.lst_reader import LstReader
from groklst_engine.predict import DownscaleResult, downscale
from groklst_engine.scoring import InputComparison
from groklst_engine.units import offset_to_kelvin

STRIP = 16
"""Coarse rows compared at a time."""


def downscale_stepwise(job: DownscaleJob, on_event: OnEvent, cancel: CancelToken) -> DownscaleResult:
    """Downscale in the job's steps, the result of one being the input of the next.

    Each step is consistent with the one before, so the result is with the original. Scores with the original input
    stand before those of the last step.

    Raises:
        GroklstError: As ``downscale()``.
    """
    steps, lst = job.steps, job.lst
    with tempfile.TemporaryDirectory(dir=job.output.parent, prefix=f".{job.output.stem}-") as folder:
        for number, scale in enumerate(steps):
            step = {"lst": lst, "scale": scale, "steps": ()}
            if number < len(steps) - 1:
                lst = LstSource(path=str(Path(folder) / f"step{number + 1}.tif"))
                step |= {"output": Path(lst.path), "report": None, "reference": None}
            share = part(on_event, number / len(steps), (number + 1) / len(steps))
            progress(share, 0.0, f"Step {number + 1} of {len(steps)}, x{scale}")
            result = downscale(job.model_copy(update=step), share, cancel)
    whole = _with_original(job, cancel)
    return replace(result, scale=job.scale, scores=(whole, *result.scores))


def _with_original(job: DownscaleJob, cancel: CancelToken) -> dict[str, Any]:
    """How well the output, averaged over the original coarse pixels, gives them back."""
    with closing(LstReader(LstSource(path=str(job.output)), "output")) as fine:
        columns = np.arange(fine.grid.width)
        comparison = InputComparison(job.lst, fine.grid, job.scale, fine.unit)
        with closing(comparison):
            for top in range(0, fine.grid.height, STRIP * job.scale):
                cancel.check()
                rows = np.arange(top, min(top + STRIP * job.scale, fine.grid.height))
                values = fine.read(rows, columns) - np.float32(offset_to_kelvin(fine.unit))
                comparison.add(top, 0, values)
            row = comparison.comparison().row
    return {**row, "label": "Result, averaged to the original pixels"}
