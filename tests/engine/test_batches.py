"""Several tiles at once: as many as a GPU holds, with the values of each alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rasters import fine

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.inference.device import Transfer
from groklst_engine.inference.footprint import tiles_at_once
from groklst_engine.methods import interpolation
from groklst_engine.tiles import TilePlan


class Heavy(interpolation.Interpolation):
    """Says that a tile takes a gigabyte."""

    def footprint(self, rows: int, columns: int) -> int:
        return 1_000_000_000


@pytest.mark.parametrize(
    ("device", "free", "expected"), [("cuda", 4.5, 3), ("cuda", 0.1, 1), ("cuda", 99.0, 8), ("cpu", 99.0, 1)]
)
def test_a_gpu_computes_as_many_tiles_at_once_as_fit(
    device: str, free: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free * 1e9), 0))
    tiles = TilePlan(100, 100, 50, 4)
    assert tiles_at_once(torch.device(device), Heavy(4, "bicubic"), tiles) == expected
    assert tiles_at_once(torch.device(device), interpolation.Interpolation(4, "bicubic"), tiles) == 1


def test_several_tiles_at_once_give_what_each_gives_alone(
    clear: ScenePaths, local_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {"method": str(local_network), "tile": 32, "precision": "float32"}
    alone = fine(clear.lst, clear.guidance, clear.dem, output=tmp_path / "alone.tif", **job)
    monkeypatch.setattr("groklst_engine.predict.tiles_at_once", lambda *_: 3)
    several = fine(clear.lst, clear.guidance, clear.dem, output=tmp_path / "several.tif", **job)
    np.testing.assert_allclose(several, alone, atol=1e-4)


def test_on_a_processor_nothing_is_transferred() -> None:
    transfer, values = Transfer(torch.device("cpu")), torch.randn(2, 3)
    assert transfer.finish(transfer.start(values)) is values


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_gpu_gets_what_was_read() -> None:
    transfer, values = Transfer(torch.device("cuda")), torch.randn(64, 512, 512)
    there = transfer.finish(transfer.start(values))
    assert there.device.type == "cuda"
    torch.testing.assert_close((there + 1).cpu(), values + 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_gpu_gives_what_a_processor_gives(clear: ScenePaths, local_network: Path, tmp_path: Path) -> None:
    inputs = clear.lst, clear.guidance, clear.dem
    job = {"method": str(local_network), "tile": 32, "precision": "float32"}
    slow = fine(*inputs, output=tmp_path / "cpu.tif", device="cpu", **job)
    quick = fine(*inputs, output=tmp_path / "cuda.tif", device="cuda", **job)
    np.testing.assert_allclose(quick, slow, atol=0.01)
