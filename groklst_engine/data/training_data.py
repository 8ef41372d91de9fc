"""From a training's sources to what its sampler draws from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from groklst_engine.bands import Role
from groklst_engine.data.dataset import FineScene, TrainingScene, half_resolution, training_scene
from groklst_engine.data.memory import Kept, memory_for_scenes
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, warn
from groklst_engine.normalize import BandNormalization, BandRange, BandStatistics, Normalization
from groklst_engine.physics.indices import select
from groklst_engine.training_jobs import TrainJob

HALF_FROM = 200
"""Shorter side, in pixels, from which a scene is also used at half its resolution."""

MIN_SIDE = 48
"""Shorter side below which a scene holds no useful crop."""


def training_data(
    scenes: Sequence[FineScene], chosen: Sequence[int], job: TrainJob, on_event: OnEvent, cancel: CancelToken
) -> tuple[Sequence[TrainingScene], Normalization]:
    """The scenes of a training, normalised, and their normalisation.

    Args:
        scenes: In memory, or read when they are wanted.
        chosen: Which of them to train on.
        job: Its bands and normalisation.
        on_event: Gets warnings.
        cancel: Looked at after each scene.

    Raises:
        InputError: No scene is large enough, or one has no valid pixel.
    """
    usable: list[tuple[int, bool]] = []
    statistics: dict[str, BandStatistics] = {}
    fitted = {job.normalize_lst, job.normalize_guidance} != {"scene"}
    for index in chosen:
        cancel.check()
        scene = scenes[index]
        side = min(scene.lst.shape[-2:])
        if side < MIN_SIDE:
            warn(on_event, f"The scene '{scene.name}' is smaller than {MIN_SIDE} pixels and is left out.")
            continue
        usable += [(index, False), (index, True)] if side >= HALF_FROM else [(index, False)]
        if fitted:
            _add(statistics, scene, job.roles)
    if not usable:
        raise InputError(f"No training scene has {MIN_SIDE} pixels a side: give larger scenes.")
    normalization = _normalization(job, {name: BandRange.of(band) for name, band in statistics.items() if band.n})

    def read(index: int, halved: bool) -> TrainingScene:
        scene = half_resolution(scenes[index]) if halved else scenes[index]
        return training_scene(scene, job.roles, normalization)

    return Kept([partial(read, *which) for which in sorted(usable, key=_by_size)], memory_for_scenes()), normalization


def _by_size(which: tuple[int, bool]) -> tuple[bool, int]:
    index, halved = which
    return halved, index


def _add(statistics: dict[str, BandStatistics], scene: FineScene, roles: tuple[Role, ...]) -> None:
    mask = scene.mask
    for name, band in zip(("lst", *roles), (scene.lst, *select(scene.guidance, scene.roles, roles)), strict=True):
        if band is not None:
            statistics.setdefault(name, BandStatistics()).add(band[mask])


def _normalization(job: TrainJob, bands: dict[str, BandRange]) -> Normalization:
    lst = {"lst": bands["lst"]} if "lst" in bands and job.normalize_lst != "scene" else {}
    guidance = {role: bands[role] for role in job.roles if role in bands and job.normalize_guidance != "scene"}
    return Normalization(
        lst=BandNormalization(mode=job.normalize_lst, bands=lst),
        guidance=BandNormalization(mode=job.normalize_guidance, bands=guidance),
    )
