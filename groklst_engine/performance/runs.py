"""A whole run, as a user starts it, measured in this process; and GDAL's warp beside it."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import rasterio
import torch
from rasterio.warp import Resampling, reproject

from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.grid import CoarseWindow, Grid
from groklst_engine.inference.heap import kept_memory
from groklst_engine.inference.tiled import TiledRun
from groklst_engine.jobs import DownscaleJob
from groklst_engine.methods.base import Batch
from groklst_engine.performance.cost import Cost, cost_of, peak_memory, peak_of_gpu
from groklst_engine.performance.scenes import Inputs
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.predict import downscaling
from groklst_engine.raster import BLOCK, THREADS, profile_of


def job_document(job: BenchJob, inputs: Inputs, method: str, output: Path, date: int = 0, **options: Any) -> str:
    """A downscaling job over generated inputs, as JSON."""
    return DownscaleJob.model_validate(
        {
            "lst": {"path": inputs.lsts[date]},
            "guidance": [{"path": path} for path in inputs.guidance],
            "scale": job.scale,
            "method": method,
            "output": output,
            "overwrite": True,
            "device": job.device,
            "memory": job.memory,
            **options,
        }
    ).model_dump_json()


def measured_run(
    *, document: str, bare: bool = False, threads: int | None = None, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """Do a run.

    Args:
        document: The job, as JSON.
        bare: Whether to measure the computation of its tiles by itself, before the run and after it.
        threads: Of PyTorch; None leaves them.
        on_event: Told about progress.
        cancel: Looked at after every tile.

    Returns:
        ``seconds`` and ``cpu`` of the whole run, ``setup`` seconds before its first tile, ``bare`` seconds of the
        computation of its tiles, ``tiles``, their ``side``, pixels read ``with_halo`` for each that is kept, and
        gigabytes at the highest.

    Raises:
        GroklstError: As ``downscale()``.
    """
    job = DownscaleJob.model_validate_json(document)
    if threads is not None:
        torch.set_num_threads(threads)
    work = downscaling(job, on_event, cancel)
    setup, run = cost_of(lambda: next(work))
    kinds = _kinds(run) if bare else []
    before = _bare(run, kinds, cancel)

    def finish() -> None:
        run.run(cancel)
        next(work, None)

    rest, _ = cost_of(finish)
    computing = before + _bare(run, kinds, cancel)
    pixels = sum(_pixels(tile.read) for tile in run.plan)
    gpu = peak_of_gpu()
    whole = setup + rest
    return {
        "seconds": whole.seconds,
        "cpu": whole.cpu,
        "setup": setup.seconds,
        "bare": computing.seconds / 2 if bare else None,
        "bare_cpu": computing.cpu / 2 if bare else None,
        "tiles": len(run.plan),
        "side": run.plan.core * job.scale,
        "with_halo": pixels / (run.plan.height * run.plan.width),
        "batch": run.settings.batch,
        "peak_gigabytes": peak_memory() / 1e9,
        "gpu_gigabytes": None if gpu is None else gpu / 1e9,
    }


def _kinds(run: TiledRun) -> list[tuple[Batch, int]]:
    """A batch of each shape and margins, and how many there are: tiles at the raster's rim are unlike others."""
    found: dict[Hashable, tuple[Batch, int]] = {}
    for batch in (work.batch for work in run.read() if work.batch is not None):
        kind = batch.lst.shape, batch.spare
        first, count = found.get(kind, (batch, 0))
        found[kind] = first, count + 1
    return list(found.values())


def _bare(run: TiledRun, kinds: list[tuple[Batch, int]], cancel: CancelToken) -> Cost:
    """What computing all batches costs by itself, inputs and memory being at hand."""
    total = Cost(0.0, 0.0)
    for batch, count in kinds:
        cancel.check()
        compute = partial(run.settings.method, batch)
        with kept_memory():
            compute()
            cost, _ = cost_of(compute)
        total += Cost(count * cost.seconds, count * cost.cpu)
    return total


def _pixels(window: CoarseWindow) -> int:
    return (window.bottom - window.top) * (window.right - window.left)


def measured_warp(
    *, source: str, target: str, scale: int, kernel: str, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """Interpolate a raster by GDAL's warp, to a file like those of a run.

    Args:
        source: The raster.
        target: The file.
        scale: Coarse pixel divided by fine pixel.
        kernel: As GDAL calls it.
        on_event: Not told anything.
        cancel: Not looked at: GDAL cannot be stopped.
    """
    with rasterio.open(source) as coarse:
        transform = coarse.transform @ coarse.transform.scale(1 / scale)
        profile = profile_of(Grid(coarse.crs, transform, coarse.height * scale, coarse.width * scale))
        profile |= {"compress": "deflate", "predictor": 3, "zlevel": 1, "num_threads": THREADS, "bigtiff": "if_safer"}
        profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK}

        def warp() -> None:
            with rasterio.open(target, "w", **profile) as fine:
                reproject(
                    rasterio.band(coarse, 1),
                    rasterio.band(fine, 1),
                    resampling=Resampling[kernel],
                    num_threads=torch.get_num_threads(),
                )

        cost, _ = cost_of(warp)
    return {"seconds": cost.seconds, "cpu": cost.cpu, "peak_gigabytes": peak_memory() / 1e9}
