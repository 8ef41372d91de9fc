"""bfloat16: used where it was asked for or is fast, given up where it costs accuracy, and no seam between its tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import fine, job_for, random_weights, read

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.events import Event
from groklst_engine.inference import precision
from groklst_engine.predict import downscale


@pytest.fixture(scope="module")
def gentle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that adds some tenths of a kelvin."""
    return network(tmp_path_factory.mktemp("gentle"), head=0.02)


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that adds tens of kelvin, whose rounding therefore shows."""
    return network(tmp_path_factory.mktemp("wild"), head=5.0)


def network(folder: Path, head: float) -> Path:
    sizes: dict[str, Any] = {"width": 8, "dilations": (1, 2), "windows": (1, 2)}
    return random_weights(folder / "x.safetensors", "guided-residual", (4,), head=head, **sizes)


def said(scene: ScenePaths, output: Path, **options: Any) -> str:
    """What the log says of the precision."""
    events: list[Event] = []
    downscale(job_for(scene.lst, scene.guidance, scene.dem, output=output, **options), events.append)
    return " ".join(event.message for event in events if "bfloat16" in event.message)


def test_bfloat16_differs_from_float32_within_the_bound(clear: ScenePaths, gentle: Path, tmp_path: Path) -> None:
    job = {"method": str(gentle), "consistency": False}
    assert "Computing in bfloat16" in said(clear, tmp_path / "half.tif", precision="bf16", **job)
    assert said(clear, tmp_path / "full.tif", precision="float32", **job) == ""
    difference = read(tmp_path / "half.tif") - read(tmp_path / "full.tif")
    assert 0 < np.sqrt((difference**2).mean()) < precision.BOUND
    plain = fine(clear.lst, output=tmp_path / "plain.tif", method="bicubic")
    assert np.std(read(tmp_path / "full.tif") - plain) > 20 * np.std(difference), "the network must do something"


def test_tiles_in_bfloat16_have_the_bits_of_the_whole(cloudy: ScenePaths, gentle: Path, tmp_path: Path) -> None:
    inputs = cloudy.lst, cloudy.guidance, cloudy.dem
    job = {"method": str(gentle), "precision": "bf16"}
    tiled = fine(*inputs, output=tmp_path / "tiled.tif", tile=32, **job)
    assert np.array_equal(tiled, fine(*inputs, output=tmp_path / "whole.tif", **job), equal_nan=True)


def test_a_network_that_rounds_too_much_falls_back(clear: ScenePaths, wild: Path, tmp_path: Path) -> None:
    job = {"method": str(wild)}
    assert "Computing in float32: bfloat16 would differ" in said(clear, tmp_path / "half.tif", precision="bf16", **job)
    assert said(clear, tmp_path / "full.tif", precision="float32", **job) == ""
    np.testing.assert_array_equal(read(tmp_path / "half.tif"), read(tmp_path / "full.tif"))


@pytest.mark.parametrize("fast", [True, False])
def test_auto_asks_the_processor(
    fast: bool, clear: ScenePaths, gentle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "fast_in_bf16", lambda device: fast)
    assert bool(said(clear, tmp_path / "fine.tif", method=str(gentle))) is fast
