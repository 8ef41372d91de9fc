"""Beyond one process: Dask workers share the scenes of an archive, or the rows of tiles of one raster.

The workers read the inputs themselves, so paths must mean the same on all machines. Work that is lost with a worker is
done again by another one.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from groklst_engine.archives.archive import ArchiveProgress
from groklst_engine.errors import GroklstError, OutputError
from groklst_engine.events import CancelToken, ignore, progress
from groklst_engine.inference.fingerprint import is_done
from groklst_engine.inference.opening import opened
from groklst_engine.inference.series import downscale_series
from groklst_engine.inference.tiled import Settings, TiledRun, TileRun
from groklst_engine.jobs import ArchiveJob, DownscaleJob
from groklst_engine.methods import get_method
from groklst_engine.predict import DownscaleResult
from groklst_engine.raster import Floats
from groklst_engine.tiles import TilePlan
from groklst_engine.worker import describe

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

BANDS_PER_WORKER = 4
"""Parts into which a raster is cut for each worker: enough to share evenly, few enough to open files seldom."""

POLL = 0.1
"""Seconds after which it is looked whether something is done, or is to be stopped."""

PATIENCE = 10.0
"""Seconds that cancelled work may take to tidy up."""

HURRY = 0.5
"""Seconds in which workers that this process has started must end when their work is not wanted any more."""

ANSWER = 20.0
"""Seconds in which a scheduler must answer."""

LOCAL = "local:"

ONE_HEAP = "MALLOC_ARENA_MAX"
"""Set to 1, before a worker starts, it lets the thread of the tasks keep memory as a main thread does (``heap``)."""


class Pool:
    """Workers at hand.

    Args:
        client: Connected to them.
        own: Whether they end with the pool.

    Attributes:
        own: As above.
        size: How many.
    """

    def __init__(self, client: Client, own: bool) -> None:
        from distributed import Event

        self._client = client
        self._name = f"groklst-{uuid.uuid4()}"
        self._stop = Event(self._name, client=client)
        self.own = own
        self.size = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        """Have a function called with these arguments, and a ``CancelToken`` after them."""
        return self._client.submit(_stoppable, self._name, function, *arguments, pure=False)

    def finished(
        self, futures: Sequence[Future[Any]], cancel: CancelToken, patience: float = PATIENCE
    ) -> Iterator[Future[Any]]:
        """Futures as they finish.

        Args:
            futures: Of what was submitted.
            cancel: Stops them.
            patience: Seconds that cancelled work may take to tidy up.

        Raises:
            Cancelled: ``cancel`` was raised; what has tidied up in time runs no more.
        """
        waiting = list(futures)
        try:
            while waiting:
                cancel.check()
                done = [future for future in waiting if future.done()]
                waiting = [future for future in waiting if future not in done]
                yield from done
                if not done:
                    time.sleep(POLL)
        finally:
            if waiting:
                self._stop.set()
                end = time.monotonic() + patience
                while not all(future.done() for future in waiting) and time.monotonic() < end:
                    time.sleep(POLL)


@contextmanager
def pool(address: str) -> Iterator[Pool]:
    """Start workers here, or connect to those of a scheduler.

    Args:
        address: ``local:N`` or a scheduler's.

    Raises:
        GroklstError: Dask is missing, or no scheduler answers.
    """
    try:
        import dask.config
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise GroklstError("Workers need Dask: install it with `pip install 'groklst[distributed]'`.") from error
    if address.startswith(LOCAL):
        count = int(address.removeprefix(LOCAL))
        threads = threads_of(count)
        with (
            dask.config.set({f"distributed.nanny.pre-spawn-environ.{ONE_HEAP}": "1"}),
            LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=40,
                env={"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
            ) as local,
            Client(local) as client,
        ):
            try:
                yield Pool(client, own=True)
            except BaseException:
                local.sync(_end_workers, local)
                raise
        return
    try:
        client = Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise GroklstError(f"No Dask scheduler answers at '{address}': start one, or use local:2.") from error
    with client:
        yield Pool(client, own=False)


async def _end_workers(local: LocalCluster) -> None:
    """End the workers in the midst of their work; closing the cluster alone lets them work on for seconds."""
    await asyncio.gather(*(worker.close(timeout=HURRY) for worker in local.workers.values()))


def threads_of(count: int) -> int:
    """Threads that each of so many workers computes with here: together they take the processor's cores."""
    return max(1, (os.cpu_count() or 1) // count)


def _stoppable(name: str, function: Any, *arguments: Any) -> Any:
    """In a worker: call a function with a token that the client's stop cancels."""
    from distributed import Event, get_client

    cancel, ended = CancelToken(), threading.Event()
    stop = Event(name, client=get_client())

    def watch() -> None:
        with suppress(AttributeError, OSError):  # Dask's, once the scheduler is gone
            while not ended.wait(5 * POLL):
                if stop.is_set():
                    cancel.cancel()

    threading.Thread(target=watch, daemon=True).start()
    try:
        return function(*arguments, cancel)
    finally:
        ended.set()


# An archive, scene by scene.


def archive_on_cluster(
    job: ArchiveJob, groups: Sequence[Sequence[int]], told: ArchiveProgress, cancel: CancelToken
) -> Iterator[tuple[int, Mapping[str, Any] | Exception]]:
    """Downscale groups of scenes, each in a worker.

    Args:
        job: The archive.
        groups: Numbers of its scenes that one worker shall do.
        told: Told when a scene is done.
        cancel: Stops all workers.

    Yields:
        Number of a scene, and its result as a JSON object or its error.

    Raises:
        Cancelled: ``cancel`` was raised; finished outputs stay.
    """
    assert job.cluster is not None
    with pool(job.cluster) as workers:
        share = max(1, -(-sum(map(len, groups)) // workers.size))
        parts = [group[start : start + share] for group in groups for start in range(0, len(group), share)]
        futures = {
            workers.submit(_scenes, [job.scenes[number].model_dump_json() for number in part]): part for part in parts
        }
        for future in workers.finished(list(futures), cancel):
            outcomes = _result(future)
            for place, number in enumerate(futures[future]):
                outcome = outcomes if isinstance(outcomes, Exception) else outcomes[place]
                yield number, outcome
                told.reached(number, 1.0, "failed" if isinstance(outcome, Exception) else "done")


def _scenes(documents: list[str], cancel: CancelToken) -> list[dict[str, Any] | GroklstError]:
    """In a worker: downscale some scenes."""
    jobs = [DownscaleJob.model_validate_json(document) for document in documents]
    # what a lost worker had finished, but could not tell of any more, is done again
    again = [is_done(job, get_method(job.method).sha256) for job in jobs]
    jobs = [job.model_copy(update={"overwrite": job.overwrite or done}) for job, done in zip(jobs, again, strict=True)]
    outcomes = downscale_series(jobs, [ignore] * len(jobs), cancel)
    return [
        outcome.to_json() if isinstance(outcome, DownscaleResult) else GroklstError(describe(outcome)[1])
        for outcome in outcomes
    ]


def _result(future: Future[Any]) -> Any:
    """What a worker gave, or the error it met."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        return GroklstError("Several workers died of it, probably for lack of memory: choose a smaller tile.")
    except Exception as error:
        return error


# One raster, band by band.


@dataclass(frozen=True)
class _Band:
    """Some rows of tiles of a raster, and all that a worker needs to compute them.

    Attributes:
        job: Of the raster, as JSON.
        settings: With the method, fitted to the whole scene.
        plan: Of the whole raster.
        guidance_means: Of the whole scene.
        pieces: Of the plan.
        folder: Where to put the results.
    """

    job: str
    settings: Settings
    plan: TilePlan
    guidance_means: torch.Tensor
    pieces: range
    folder: Path

    def part(self, piece: int) -> Path:
        """The file of a piece."""
        return self.folder / f"{piece}.npy"


class ClusterRun(TiledRun):
    """A run whose tiles Dask workers compute; this process puts their parts together and writes them.

    Args:
        job: Of the run.
        arguments: As of ``TiledRun``.
    """

    def __init__(self, job: DownscaleJob, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._job = job

    def run(self, cancel: CancelToken) -> None:
        """Compute what is not done yet.

        Raises:
            GroklstError: Dask is missing, or no scheduler answers.
            OutputError: The disk is full or gone.
            Cancelled: ``cancel`` was raised.
            MemoryError: Not even one tile fits into a worker's memory.
        """
        assert self._job.cluster is not None
        output = self._job.output.absolute()
        self.take_up(cancel)
        progress(self._on_event, self.pieces.start / self.plan.pieces, "Waiting for the workers")
        cancel.check()
        with (
            tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.parts-") as folder,
            pool(self._job.cluster) as workers,
        ):
            bands = {workers.submit(_compute, band): band for band in self._bands(workers.size, Path(folder))}
            computed: dict[int, Path] = {}
            following = self.pieces.start
            # workers that end with the pool write nothing after it, so there is nothing to wait for
            for future in workers.finished(list(bands), cancel, 0.0 if workers.own else PATIENCE):
                failure = _result(future)
                if isinstance(failure, Exception):
                    raise failure
                band = bands[future]
                computed |= {piece: band.part(piece) for piece in band.pieces}
                while following in computed:
                    cancel.check()
                    self.finish(following, np.load(computed[following], allow_pickle=False))
                    computed.pop(following).unlink()
                    following += 1
                    progress(self._on_event, following / self.plan.pieces, f"Row {following} of {self.plan.pieces}")

    def _bands(self, workers: int, folder: Path) -> Iterator[_Band]:
        pieces = self.pieces
        each = max(1, -(-len(pieces) // (BANDS_PER_WORKER * workers)))
        job = self._job.model_dump_json()
        for first in range(pieces.start, pieces.stop, each):
            some = range(first, min(first + each, pieces.stop))
            yield _Band(job, self.settings, self.plan, self._scene.guidance_means, some, folder)


class _BandRun(TileRun):
    """A band in a worker."""

    def __init__(self, band: _Band, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._band = band

    def finish(self, piece: int, rows: Floats) -> None:
        """Keep a piece of the band in a file, whole or not at all."""
        if piece not in self._band.pieces:
            return
        path = self._band.part(piece)
        fresh = path.with_suffix(f".{uuid.uuid4()}")
        try:
            with fresh.open("wb") as file:
                np.save(file, rows)
            fresh.replace(path)
        except OSError as error:
            raise OutputError(f"Writing '{path}' failed: check that the disk has room.") from error


def _compute(band: _Band, cancel: CancelToken) -> None:
    """In a worker: compute a band."""
    first, plan = band.pieces.start, band.plan
    if plan.ramp and first % plan.rows:
        first -= 1  # its lower edge is blended into the band
    job = DownscaleJob.model_validate_json(band.job)
    with opened(job, get_method(job.method)) as scene:
        scene.guidance_means = band.guidance_means
        pieces = range(first, band.pieces.stop)
        _BandRun(band, band.settings, plan, scene, scene.reader.lst.unit, pieces, None, ignore).run(cancel)
