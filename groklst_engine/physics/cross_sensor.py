"""The cross-sensor mode: an LST of one satellite brought to the guidance of another before and after downscaling."""

from __future__ import annotations

from groklst_engine.events import CancelToken, OnEvent, log, warn
from groklst_engine.inference.scene import SceneReader
from groklst_engine.jobs import DownscaleJob
from groklst_engine.physics.registration import Registration, register
from groklst_engine.reader import AlignedReader

STRENGTH = 0.0
"""Of the coarse-consistency correction unless the job says otherwise: what two sensors disagree on is mostly noise and
calibration, which a stricter correction copies into the result."""


def registered(
    job: DownscaleJob, guided: bool, on_event: OnEvent, cancel: CancelToken
) -> tuple[DownscaleJob, Registration | None]:
    """Register the LST of a job to its guidance.

    Args:
        job: In cross-sensor mode.
        guided: Whether the method looks at the guidance; without it there is nothing to register to.
        on_event: Told what was found.
        cancel: Looked at now and then.

    Returns:
        The job with the LST in its place, the point spread function found, and the mode's strength of the correction;
        and what was found, or None. An LST that turns out to be nested in the guidance stays as it is.

    Raises:
        InputError: An input cannot be used.
    """
    strength = STRENGTH if job.consistency is None else job.consistency
    with AlignedReader(job.lst, job.guidance if guided else (), job.scale, job.mask) as reader:
        found = (
            "The method does not use the guidance."
            if not guided
            else register(SceneReader(reader).sample(cancel), cancel)
        )
    if isinstance(found, str):
        warn(on_event, f"The LST was not registered. {found}")
        return job.model_copy(update={"consistency": strength}), None
    log(on_event, found.sentence)
    if found.nested:
        log(on_event, "The LST nests in the guidance and is averaged like a box: nothing needs to be corrected.")
        return job, found
    rows, columns = job.lst.shift
    moved = job.lst.model_copy(update={"shift": (rows + found.rows, columns + found.columns)})
    seen = {"psf": found.psf.shape, "mtf": found.psf.mtf}
    return job.model_copy(update={"lst": moved, "consistency": strength, **seen}), found
