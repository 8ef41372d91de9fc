"""Dask workers give what one process gives, whatever happens to them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import coarse_lst, job_for, random_weights, read, write

from groklst_engine.archives.archive import archive
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, GroklstError
from groklst_engine.events import CancelToken, Event
from groklst_engine.jobs import ArchiveJob, DownscaleJob
from groklst_engine.predict import downscale

psutil = pytest.importorskip("psutil")
LocalCluster = pytest.importorskip("distributed").LocalCluster
pytestmark = pytest.mark.slow


def bands_of(scene: ScenePaths, output: Path, method: str, **options: Any) -> DownscaleJob:
    """Three rows of tiles or more."""
    return job_for(scene.lst, scene.guidance, scene.dem, output=output, method=method, tile=32, **options)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a scheduler with two workers."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as local:
        yield local.scheduler_address


def workers() -> list[Any]:
    """Processes that Dask has started."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("count", [2, 4])
def test_bands_have_the_bits_of_one_process(
    count: int, cloudy: ScenePaths, local_network: Path, tmp_path: Path
) -> None:
    fractions: list[float] = []

    def listen(event: Event) -> None:
        if event.fraction is not None:
            fractions.append(event.fraction)

    method = str(local_network)
    alone = downscale(bands_of(cloudy, tmp_path / "alone.tif", method))
    shared = downscale(bands_of(cloudy, tmp_path / "shared.tif", method, cluster=f"local:{count}"), listen)
    np.testing.assert_array_equal(read(shared.output), read(alone.output))
    assert (shared.range, shared.scores) == (alone.range, alone.scores)
    assert fractions == sorted(fractions)
    assert len(set(fractions)) > 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.tif", "shared.tif"]


def test_blended_bands_have_the_bits_of_one_process(cluster: str, clear: ScenePaths, tmp_path: Path) -> None:
    method = random_weights(tmp_path / "global.safetensors", "mocolsk", (4,), head=0.1, preset="small")
    alone = downscale(bands_of(clear, tmp_path / "alone.tif", str(method)))
    shared = downscale(bands_of(clear, tmp_path / "shared.tif", str(method), cluster=cluster))
    np.testing.assert_array_equal(read(shared.output), read(alone.output))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_worker_is_replaced(cluster: str, tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", coarse_lst(128), unit="K")
    options: dict[str, Any] = {"method": "bicubic-ibp", "scale": 8, "tile": 32}
    alone = downscale(job_for(lst, output=tmp_path / "alone.tif", **options))
    killed: list[int] = []

    def listen(event: Event) -> None:
        if not killed and event.message.startswith("Row"):
            killed.append(workers()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    shared = downscale(job_for(lst, output=tmp_path / "shared.tif", cluster=cluster, **options), listen)
    assert killed
    np.testing.assert_array_equal(read(shared.output), read(alone.output))


def test_an_archive_is_shared(cluster: str, clear: ScenePaths, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_text("no raster")
    jobs = [bands_of(clear, tmp_path / f"{name}.tif", "tsharp", seed=name) for name in range(3)]
    jobs.append(job_for(broken, output=tmp_path / "none.tif"))
    result = archive(ArchiveJob(scenes=tuple(jobs), cluster=cluster))
    assert [row.status for row in result.rows] == ["done", "done", "done", "failed"]
    assert "cannot be read as a raster" in result.rows[3].message
    alone = downscale(bands_of(clear, tmp_path / "alone.tif", "tsharp"))
    np.testing.assert_array_equal(read(tmp_path / "2.tif"), read(alone.output))
    assert result.rows[0].consistency_rmse == alone.scores[0]["rmse"]
    again = archive(ArchiveJob(scenes=tuple(jobs[:3]), cluster=cluster))
    assert [row.status for row in again.rows] == ["kept"] * 3


@pytest.mark.parametrize("own", [False, True])
def test_cancelling_stops_the_workers(own: bool, cluster: str, tmp_path: Path) -> None:
    before = {worker.pid for worker in workers()}
    lst = write(tmp_path / "lst.tif", coarse_lst(96), unit="K")
    cancel, moments = CancelToken(), []

    def listen(event: Event) -> None:
        if event.message.startswith("Row") and not moments:
            moments.append(time.monotonic())
            cancel.cancel()

    options: dict[str, Any] = {"method": "bicubic-ibp", "scale": 8, "tile": 32}
    job = job_for(lst, output=tmp_path / "fine.tif", cluster="local:2" if own else cluster, **options)
    with pytest.raises(Cancelled):
        downscale(job, listen, cancel)
    assert time.monotonic() - moments[0] < 5
    assert {worker.pid for worker in workers()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["lst.tif"]


def test_nobody_answers(clear: ScenePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groklst_engine.archives.cluster.ANSWER", 1.0)
    job = bands_of(clear, tmp_path / "fine.tif", "bicubic", cluster="tcp://127.0.0.1:9")
    with pytest.raises(GroklstError, match="No Dask scheduler answers"):
        downscale(job)
    assert list(tmp_path.iterdir()) == []
