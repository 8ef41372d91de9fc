"""A whole run, as a user starts it, measured in this process; and GDAL's warp beside it."""

from __future__ import annotations

import statistics
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
    *, document: str, forwards: int = 0, threads: int | None = None, on_event: OnEvent, cancel: CancelToken
) -> dict[str, Any]:
    """Do a run.

    Args:
        document: The job, as JSON.
        forwards: How often one batch of its tiles is computed by itself before, and how often after the run.
        threads: Of PyTorch; None leaves them.
        on_event: Told about progress.
        cancel: Looked at after every tile.

    Returns:
        ``seconds`` and ``cpu`` of the whole run, ``setup`` seconds before its first tile, ``bare`` seconds of the
        computation of as many pixels, ``tiles``, their ``side``, pixels read ``with_halo`` for each that is kept,
        and gigabytes at the highest.

    Raises:
        GroklstError: As ``downscale()``.
    """
    job = DownscaleJob.model_validate_json(document)
    if threads is not None:
        torch.set_num_threads(threads)
    work = downscaling(job, on_event, cancel)
    setup, run = cost_of(lambda: next(work))
    batch = _inner(run) if forwards else None
    times = _forwards(run, batch, forwards, cancel)

    def finish() -> None:
        run.run(cancel)
        next(work, None)

    rest, _ = cost_of(finish)
    times += _forwards(run, batch, forwards, cancel)
    pixels = sum(_pixels(tile.read) for tile in run.plan)
    batches = 0.0 if batch is None else pixels / batch.lst.numel()  # tiles at the raster's rim are smaller
    gpu = peak_of_gpu()
    whole = setup + rest
    return {
        "seconds": whole.seconds,
        "cpu": whole.cpu,
        "setup": setup.seconds,
        "bare": batches * statistics.median(cost.seconds for cost in times) if times else None,
        "bare_cpu": batches * statistics.median(cost.cpu for cost in times) if times else None,
        "tiles": len(run.plan),
        "side": run.plan.core * job.scale,
        "with_halo": pixels / (run.plan.height * run.plan.width),
        "batch": run.settings.batch,
        "peak_gigabytes": peak_memory() / 1e9,
        "gpu_gigabytes": None if gpu is None else gpu / 1e9,
    }


def _inner(run: TiledRun) -> Batch | None:
    """A batch of the largest tiles: those with a halo on all sides, if there are any."""
    largest: Batch | None = None
    for batch in (work.batch for work in run.read() if work.batch is not None):
        if largest is None or batch.lst.numel() > largest.lst.numel():
            largest = batch
        if largest.lst.shape[-2:] == run.plan.side:
            break
    return largest


def _forwards(run: TiledRun, batch: Batch | None, times: int, cancel: CancelToken) -> list[Cost]:
    """What the bare computation of a batch costs, again and again, with the memory of the one before."""
    if batch is None:
        return []
    costs: list[Cost] = []
    compute = partial(run.settings.method, batch)
    with kept_memory():
        compute()
        while len(costs) < times:
            cancel.check()
            costs.append(cost_of(compute)[0])
    return costs


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
