"""Where a job's fine scenes come from: rasters, or a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from groklst_engine.bands import ROLES, Role
from groklst_engine.data.dataset import FineScene, load_scene
from groklst_engine.data.groklst import BANDS, Sample, load_sample, samples
from groklst_engine.data.prepared import Chip, chips, is_prepared, load_chip, read_manifest
from groklst_engine.inputs import FineData, SceneSource
from groklst_engine.physics.indices import available

Source = SceneSource | Sample | Chip


def sources_of(job: FineData) -> tuple[Source, ...]:
    """What a job is to read.

    Raises:
        InputError: The data set has no such split.
    """
    if job.dataset is None:
        return job.scenes
    return chips(job.dataset, job.split) if is_prepared(job.dataset) else samples(job.dataset, job.split)


def roles_in(dataset: Path) -> tuple[Role, ...]:
    """The roles that a network for a data set can take: its bands, and the indices that can be computed from them.

    Raises:
        InputError: Its manifest cannot be read.
    """
    if not is_prepared(dataset):
        return tuple(BANDS.values())
    found = set().union(*(available(scene.roles) for scene in read_manifest(dataset).scenes))
    return tuple(role for role in ROLES if role in found - {"other"})


def load(source: Source, scales: Sequence[int] = ()) -> FineScene:
    """Read a scene, its size cut to a multiple of 8 and of all ``scales``.

    Raises:
        InputError: A file cannot be used.
    """
    multiple = math.lcm(8, *scales)
    if isinstance(source, SceneSource):
        return load_scene(source, multiple)
    return load_chip(source, multiple) if isinstance(source, Chip) else load_sample(source, multiple)
