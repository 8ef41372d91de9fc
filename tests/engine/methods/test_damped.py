"""A share of a method's detail: between interpolation and the method, and as consistent as both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rasters import block_means, read, run

from groklst_engine.data.synthetic import ScenePaths, synthetic_scene, write_scene
from groklst_engine.events import CancelToken, ignore
from groklst_engine.methods.base import Batch, Scene
from groklst_engine.methods.damped import DampedDownscaler

SCALE = 4


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """32 × 32 coarse pixels."""
    return write_scene(synthetic_scene(size=128, seed=4), tmp_path_factory.mktemp("scene"), SCALE)


def fine(paths: ScenePaths, folder: Path, **options: Any) -> np.ndarray:
    run(paths.lst, paths.guidance, output=folder / "fine.tif", overwrite=True, scale=SCALE, **options)
    return read(folder / "fine.tif")


def test_half_the_detail_is_half_way_and_consistent(paths: ScenePaths, tmp_path: Path) -> None:
    full, half, none = (fine(paths, tmp_path, method="tsharp", detail=detail) for detail in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(none, fine(paths, tmp_path, method="bicubic-ibp"), atol=2e-4)
    assert np.abs(full - none).max() > 1
    np.testing.assert_allclose(half, (full + none) / 2, atol=2e-4)
    np.testing.assert_allclose(block_means(half, SCALE), read(paths.lst), atol=0.01)


def test_tiles_have_the_bits_of_the_whole(paths: ScenePaths, tmp_path: Path) -> None:
    wish = {"method": "groklst-small", "detail": 0.3, "precision": "float32", "device": "cpu"}
    small, whole = fine(paths, tmp_path, tile=64, **wish), fine(paths, tmp_path, tile=4096, **wish)
    np.testing.assert_allclose(small, whole, atol=1e-3)


class Recording:
    """A method of which just one thing is known: whether it was asked."""

    radius = 1

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fit(self, *_: object) -> None:
        self.asked.append("fit")

    def __call__(self, batch: Batch) -> torch.Tensor:
        self.asked.append("call")
        return torch.zeros_like(batch.mask, dtype=torch.float32)

    def footprint(self, rows: int, columns: int) -> int:
        return rows * columns


def test_without_detail_the_method_has_nothing_to_do() -> None:
    batch = Batch(torch.full((1, 1, 4, 4), 300.0), torch.zeros(1, 0, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool))
    for detail, asked, value in ((0.0, [], 300.0), (0.25, ["fit", "call"], 225.0)):
        method = Recording()
        damped = DampedDownscaler(method, detail, 2)
        damped.fit(Scene((batch,), (), 2), ignore, CancelToken())
        assert damped(batch).mean().item() == pytest.approx(value)
        assert method.asked == asked
        assert damped.radius == 2, "bicubic looks at two pixels"
        assert damped.footprint is not None
        assert damped.footprint(3, 4) == 12
