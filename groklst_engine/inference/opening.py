"""The inputs of a run, opened as its method wants them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from groklst_engine.bands import Role
from groklst_engine.inference.scene import SceneReader
from groklst_engine.inference.shared import Shared
from groklst_engine.inputs import GuidanceSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods.base import MethodSpec
from groklst_engine.physics.derive import derivable
from groklst_engine.physics.indices import available
from groklst_engine.reader import AlignedReader


@contextmanager
def opened(job: DownscaleJob, spec: MethodSpec, shared: Shared | None = None) -> Iterator[SceneReader]:
    """The inputs of a job, as its method wants them.

    Raises:
        InputError: One cannot be used.
    """
    with (
        AlignedReader(job.lst, job.guidance if spec.guided else (), job.scale, job.mask) as reader,
        _emissivity(job) as emissivity,
    ):
        overpass = job.overpass or (reader.lst.product.acquired if reader.lst.product else None)
        yield SceneReader(reader, _derived(job, spec, reader, overpass), overpass, emissivity, shared)


@contextmanager
def _emissivity(job: DownscaleJob) -> Iterator[AlignedReader | None]:
    """The LST with the emissivity as its guidance, where the correction wants it."""
    if job.emissivity is None or job.domain == "temperature":
        yield None
        return
    source = GuidanceSource(path=job.emissivity, roles=("other",))
    with AlignedReader(job.lst, (source,), job.scale) as reader:
        yield reader


def _derived(job: DownscaleJob, spec: MethodSpec, reader: AlignedReader, overpass: datetime | None) -> tuple[Role, ...]:
    """Guidance to derive: what the job asks for, and what a network wants and can't make itself."""
    if not spec.guided:
        return ()
    wanted = set(spec.roles) & (derivable(reader.roles, overpass, reader.pair.fine.on_earth) - available(reader.roles))
    return (*job.derive, *sorted(wanted))
