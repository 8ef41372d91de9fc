"""Where a job's fine scenes come from: rasters, or a data set."""

from __future__ import annotations

from groklst_engine.data.dataset import FineScene, load_scene
from groklst_engine.data.groklst import Sample, load_sample, samples
from groklst_engine.inputs import FineData, SceneSource

Source = SceneSource | Sample


def sources_of(job: FineData) -> tuple[Source, ...]:
    """What a job is to read.

    Raises:
        InputError: The data set has no such split.
    """
    return job.scenes if job.dataset is None else samples(job.dataset, job.split)


def load(source: Source, multiple: int = 8) -> FineScene:
    """Read a scene, its size cut to a multiple of ``multiple``.

    Raises:
        InputError: A file cannot be used.
    """
    return load_scene(source, multiple) if isinstance(source, SceneSource) else load_sample(source, multiple)
