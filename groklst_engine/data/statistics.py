"""Mean, standard deviation and range of each band of a data set or a list of scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groklst_engine.data.groklst import GUIDANCE_CONSTANTS, Constants
from groklst_engine.data.sources import load, sources_of
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, ignore, progress
from groklst_engine.normalize import BandStatistics
from groklst_engine.training_jobs import StatisticsJob


@dataclass(frozen=True)
class Statistics:
    """Statistics of some scenes.

    Attributes:
        bands: Of ``lst`` and each role.
        published: Those published for the data set, to know a copy of it by; empty for other scenes.
    """

    bands: Mapping[str, BandStatistics]
    published: Mapping[str, Constants]

    def to_json(self) -> dict[str, Any]:
        """A row per band."""
        return {"bands": [self._row(name, band) for name, band in self.bands.items()]}

    def _row(self, name: str, band: BandStatistics) -> dict[str, Any]:
        row = {"band": name, "n": band.n, "mean": band.mean, "std": band.std, "min": band.minimum, "max": band.maximum}
        if not self.published:
            return row
        constants = self.published.get(name)
        return row | {
            "published_mean": constants.mean if constants else None,
            "published_std": constants.std if constants else None,
        }


def statistics(job: StatisticsJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> Statistics:
    """Find the statistics of scenes, at the resolution at which they are true.

    Raises:
        InputError: A scene cannot be used, or none has a valid pixel.
        Cancelled: ``cancel`` was raised.
    """
    cancel = cancel or CancelToken()
    found: dict[str, BandStatistics] = {}
    sources = sources_of(job)
    for number, source in enumerate(sources):
        cancel.check()
        progress(on_event, number / len(sources), f"Reading {source.name}")
        scene = load(source)
        for name, values in (("lst", scene.lst[0, 0]), *zip(scene.roles, scene.guidance[0], strict=True)):
            found.setdefault(name, BandStatistics()).add(values)
    bands = {name: band for name, band in found.items() if band.n}
    if not bands:
        raise InputError("The scenes have no valid pixel: check their nodata values and masks.")
    return Statistics(bands, GUIDANCE_CONSTANTS if job.dataset else {})
