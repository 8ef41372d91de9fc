"""Training on the scene: octave by octave, on small scenes and at odd scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasters import cropped, fine, read, run

from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.inputs import LstSource
from groklst_engine.methods.self_scale import prime_factors


def test_the_steps_are_prime_factors() -> None:
    assert [prime_factors(scale) for scale in (2, 3, 6, 8, 20)] == [[2], [3], [2, 3], [2, 2, 2], [2, 2, 5]]


@pytest.mark.parametrize("method", ["self-scale", "self-scale-boosted"])
def test_it_beats_interpolation(method: str, clear: ScenePaths, tmp_path: Path) -> None:
    output = tmp_path / "fine.tif"
    result = run(clear.lst, clear.guidance, output=output, method=method, reference=LstSource(path=str(clear.truth)))
    _, ours, bicubic = result.scores
    assert ours["rmse"] < 0.8 * bicubic["rmse"]
    assert result.scores[0]["rmse"] < 0.01


@pytest.mark.parametrize("scale", [3, 6, 8])
def test_any_scale_and_small_scenes(scale: int, landscape: SyntheticScene, tmp_path: Path) -> None:
    scene = cropped(landscape, 72 if scale != 8 else 64, tmp_path, scale)
    truth = read(scene.truth)
    ours, bicubic = (
        fine(scene.lst, scene.guidance, output=tmp_path / f"{name}.tif", method=name, scale=scale)
        for name in ("self-scale", "bicubic")
    )
    assert np.isfinite(ours).all()
    assert np.sqrt(np.mean((ours - truth) ** 2)) < 0.95 * np.sqrt(np.mean((bicubic - truth) ** 2))
