"""Memory: what a tile takes is known before, tiles shrink to what is allowed, what does not fit is tried smaller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rasters import coarse_lst, cropped, fine, job_for, write
from torch import Tensor, nn

from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.events import CancelToken, Event, ignore
from groklst_engine.inference import plan
from groklst_engine.inference.footprint import peak_bytes
from groklst_engine.inference.pipeline import run_pipeline
from groklst_engine.methods import interpolation
from groklst_engine.methods.base import Batch
from groklst_engine.performance.process import apart
from groklst_engine.performance.runs import measured_run
from groklst_engine.predict import downscale


class Chain(nn.Module):
    """Three layers one after the other, of which two neighbours are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 1), nn.Conv2d(6, 10, 1), nn.Conv2d(10, 1, 1))

    def forward(self, lst: Tensor, guidance: Tensor | None) -> Tensor:
        result: Tensor = self.layers(lst)
        return result


def test_the_peak_is_that_of_the_widest_moment() -> None:
    pixels = 40 * 30 * 4
    assert peak_bytes(Chain(), 40, 30, 2, 0) == pixels * (1 + 6 + 10)  # the input is held by its caller
    assert peak_bytes(Chain(), 40, 30, 2, 3) == pixels * (1 + 6 + 10) + 3 * 4 * pixels


def sizes_said(job: Any) -> list[str]:
    events: list[Event] = []
    downscale(job, events.append)
    return [event.message for event in events if "GB" in event.message]


def test_tiles_shrink_to_the_cap(
    landscape: SyntheticScene, local_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = cropped(landscape, 192, tmp_path, 4)
    inputs, options = (paths.lst, paths.guidance, paths.dem), {"method": str(local_network), "precision": "float32"}
    whole = fine(*inputs, output=tmp_path / "whole.tif", **options)
    monkeypatch.setattr(plan, "SMALLEST_CORE", 4)
    monkeypatch.setattr(plan, "free_bytes", lambda cap: cap * 1e9)
    job = job_for(*inputs, output=tmp_path / "capped.tif", memory=0.015, **options)
    said = sizes_said(job)
    assert said
    assert "tiles are" in said[-1]
    assert np.array_equal(fine(*inputs, output=tmp_path / "c.tif", memory=0.015, **options), whole)


def test_the_smallest_tiles_that_do_not_fit_are_tried_and_said(clear: ScenePaths, tmp_path: Path) -> None:
    said = sizes_said(job_for(clear.lst, output=tmp_path / "fine.tif", method="bicubic", memory=0.2595))
    assert any("smallest tiles" in sentence for sentence in said)


def peak(side: tuple[int, int], folder: Path) -> float:
    """Gigabytes of a process that interpolates so many coarse pixels eight times finer, under a cap."""
    lst = write(folder / f"lst_{side[0]}.tif", np.resize(coarse_lst(256), side), unit="K")
    job = job_for(lst, output=folder / f"fine_{side[0]}.tif", method="bicubic", scale=8, memory=2)
    found = apart(measured_run, {"document": job.model_dump_json(), "threads": 1}, ignore, CancelToken())
    return float(found["peak_gigabytes"])


def test_the_peak_does_not_grow_with_the_raster(tmp_path: Path) -> None:
    small, large = peak((256, 256), tmp_path), peak((2048, 256), tmp_path)  # 17 MB of output, and 134
    assert large < 1.15 * small


class Greedy(interpolation.Interpolation):
    """Bicubic on a machine on which only so many pixels fit into memory."""

    fits = 0
    raised: BaseException = MemoryError()

    def __call__(self, batch: Batch) -> Tensor:
        if batch.mask.numel() > self.fits:
            raise self.raised
        return super().__call__(batch)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
    ids=["Python", "GPU", "CPU"],
)
def test_a_tile_that_does_not_fit_is_halved(
    error: BaseException, clear: ScenePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fine(clear.lst, output=tmp_path / "whole.tif", method="bicubic")
    monkeypatch.setattr(interpolation, "Interpolation", Greedy)
    monkeypatch.setattr(Greedy, "fits", 80**2)  # 12 + 6 coarse pixels do, 24 do not
    monkeypatch.setattr(Greedy, "raised", error)
    monkeypatch.setattr("groklst_engine.predict.SMALLEST_CORE", 4)
    events: list[Event] = []
    downscale(job_for(clear.lst, output=tmp_path / "halved.tif", method="bicubic"), events.append)
    assert sum("beginning again with tiles of 48" in event.message for event in events) == 1
    assert np.array_equal(fine(clear.lst, output=tmp_path / "h.tif", method="bicubic"), whole)


def test_other_errors_are_not_taken_for_a_lack_of_memory(
    clear: ScenePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpolation, "Interpolation", Greedy)
    monkeypatch.setattr(Greedy, "raised", RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        downscale(job_for(clear.lst, output=tmp_path / "fine.tif", method="bicubic"))
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_does_not_fit_is_halved(
    clear: ScenePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fine(clear.lst, output=tmp_path / "whole.tif", method="bicubic", scale=8, tile=32)
    monkeypatch.setattr(interpolation, "Interpolation", Greedy)
    monkeypatch.setattr(Greedy, "fits", 2 * 64**2)  # two tiles of 4 + 2 × 2 coarse pixels
    monkeypatch.setattr("groklst_engine.predict.tiles_at_once", lambda *_: 8)
    events: list[Event] = []
    downscale(job_for(clear.lst, output=tmp_path / "b.tif", method="bicubic", scale=8, tile=32), events.append)
    said = [event.message for event in events if "at once from here on" in event.message]
    assert [sentence.split()[4] for sentence in said] == ["4", "2"]
    assert np.array_equal(fine(clear.lst, output=tmp_path / "c.tif", method="bicubic", scale=8, tile=32), whole)


@pytest.mark.parametrize("where", ["read", "compute", "write"])
def test_the_first_error_of_any_thread_stops_all(where: str) -> None:
    done: list[int] = []

    def fail(stage: str, item: int) -> int:
        if stage == where and item == 5:
            raise ValueError(stage)
        return item

    items = (fail("read", item) for item in range(10_000))
    with pytest.raises(ValueError, match=where):
        run_pipeline(items, lambda i: fail("compute", i), lambda i: done.append(fail("write", i)), CancelToken())
    assert done == list(range(len(done)))
    assert len(done) <= 5
