"""Resuming: a run that was killed at any moment goes on where it was, and gives the bits of one that was not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rasters import fine, job_for, random_weights, read

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, OutputError
from groklst_engine.events import CancelToken, Event
from groklst_engine.inference import resume
from groklst_engine.jobs import DownscaleJob
from groklst_engine.predict import downscale

PROGRAM = """
import json, sys, time
from groklst_engine.inference import resume
from groklst_engine.jobs import parse_job
from groklst_engine.predict import downscale

resume.INTERVAL = 0.0

def tell(event):
    if "tile" in event.message:
        print(event.message, flush=True)
        time.sleep(0.02)  # so that there is a moment to be killed at

downscale(parse_job(json.loads(sys.argv[1])), tell)
"""


@pytest.fixture(autouse=True)
def noted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "INTERVAL", 0.0)


def killed_after(tiles: int, job: DownscaleJob) -> None:
    """Run a job in a process of its own, and kill that once it has announced so many tiles."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(job.model_dump(mode="json"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(tiles):
            assert process.stdout.readline(), "it ended before it could be killed"
        process.kill()


def tiles_computed(job: DownscaleJob) -> list[int]:
    events: list[Event] = []
    downscale(job, events.append)
    said = [event.message.split() for event in events if event.message.startswith("Downscaling tile")]
    return [int(words[2]) for words in said]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("method", "moment"), [("exact", 0.3), ("exact", 0.9), ("blended", 0.9)])
def test_killed_and_resumed(
    method: str, moment: float, cloudy: ScenePaths, local_network: Path, blended: Path, tmp_path: Path
) -> None:
    weights = {"exact": local_network, "blended": blended}[method]
    options = {"method": str(weights), "tile": 32 if method == "exact" else 64, "scale": 4}
    inputs = cloudy.lst, cloudy.guidance, cloudy.dem
    job = job_for(*inputs, output=tmp_path / "fine.tif", resume=True, **options)
    whole = downscale(job_for(*inputs, output=tmp_path / "whole.tif", **options))
    tiles = tiles_computed(job_for(*inputs, output=tmp_path / "again.tif", **options))
    killed_after(int(moment * len(tiles)), job)
    assert not job.output.exists()
    noted = job.output.with_name("fine.tif.part.done")
    done = int(np.load(noted)["pieces"]) if noted.exists() else 0
    assert done > 0 or moment < 0.9, "the queues hold less than what was announced since"
    per_piece = round(len(tiles) ** 0.5)
    assert tiles_computed(job) == tiles[done * per_piece :]
    assert np.array_equal(read(job.output), read(whole.output), equal_nan=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.tif", "fine.tif", "whole.tif"]


@pytest.fixture(scope="module")
def blended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a network with global statistics, whose tiles are blended."""
    return random_weights(tmp_path_factory.mktemp("b") / "x.safetensors", "mocolsk", (4,), head=0.02, preset="small")


def cancelled_at(job: DownscaleJob, tile: int) -> None:
    cancel = CancelToken()

    def listen(event: Event) -> None:
        if event.message.startswith(f"Downscaling tile {tile} "):
            time.sleep(0.3)  # until what came before is written
            cancel.cancel()

    with pytest.raises(Cancelled):
        downscale(job, listen, cancel)


def test_scores_count_what_was_done_before(clear: ScenePaths, tmp_path: Path) -> None:
    options = {"method": "tsharp", "tile": 32}
    whole = downscale(job_for(clear.lst, clear.guidance, output=tmp_path / "whole.tif", **options))
    job = job_for(clear.lst, clear.guidance, output=tmp_path / "fine.tif", resume=True, **options)
    cancelled_at(job, 8)
    assert len(tiles_computed(job_for(clear.lst, output=tmp_path / "other.tif", tile=32))) == 9
    resumed = downscale(job)
    assert resumed.scores[0]["n"] == whole.scores[0]["n"]
    assert resumed.scores[0]["rmse"] == pytest.approx(whole.scores[0]["rmse"], abs=1e-6)
    assert resumed.range == whole.range


def test_another_job_is_refused_and_nothing_is_lost(clear: ScenePaths, tmp_path: Path) -> None:
    options = {"output": tmp_path / "fine.tif", "tile": 32, "resume": True}
    cancelled_at(job_for(clear.lst, clear.guidance, method="tsharp", **options), 8)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["fine.tif.part", "fine.tif.part.done"]
    with pytest.raises(OutputError, match="another job"):
        downscale(job_for(clear.lst, method="bicubic", **options))
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_without_the_wish_nothing_is_kept_or_continued(clear: ScenePaths, tmp_path: Path) -> None:
    options = {"output": tmp_path / "fine.tif", "tile": 32, "method": "tsharp"}
    cancelled_at(job_for(clear.lst, clear.guidance, **options), 8)
    assert list(tmp_path.iterdir()) == []
    cancelled_at(job_for(clear.lst, clear.guidance, resume=True, **options), 8)
    assert len(tiles_computed(job_for(clear.lst, clear.guidance, **options))) == 9
    expected = fine(clear.lst, clear.guidance, output=tmp_path / "b.tif", tile=32, method="tsharp")
    np.testing.assert_array_equal(read(tmp_path / "fine.tif"), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tif", "fine.tif"]
