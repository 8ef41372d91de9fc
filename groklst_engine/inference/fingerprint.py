"""Telling whether an output is already what a job asks for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from groklst_engine.jobs import DownscaleJob

NOT_OF_THE_RESULT = ("output", "report", "reference", "overwrite", "resume", "memory", "cluster")
"""Fields of a job on which neither the values of its output depend, nor which rasters it writes."""

TAG = "GROKLST_FINGERPRINT"
"""Of an output: the fingerprint of the job that made it."""


def fingerprint(job: DownscaleJob, weights: str) -> str:
    """The same for jobs with the same result: options, state of the input files, and the SHA-256 of the weights."""
    names = [job.lst.path, *(source.path for source in job.guidance), *([job.mask] if job.mask else [])]
    files = [Path(name) for name in names if Path(name).is_file()]
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    text = f"{job.model_dump_json(exclude=set(NOT_OF_THE_RESULT))} {weights} {states}"
    return hashlib.sha256(text.encode()).hexdigest()


def is_done(job: DownscaleJob, weights: str) -> bool:
    """Whether the output is there, and was made by this job from these inputs."""
    try:
        with rasterio.open(job.output) as dataset:
            return bool(dataset.tags().get(TAG) == fingerprint(job, weights))
    except RasterioError:
        return False
