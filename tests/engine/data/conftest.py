"""Data sets that several tests look at."""

from __future__ import annotations

from typing import Any

import pytest
from cutting import job, scene

from groklst_engine.data.prepare import Prepared, prepare
from groklst_engine.data.synthetic import SyntheticScene
from groklst_engine.inputs import SceneSource


@pytest.fixture(scope="session")
def scenes(landscape: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> tuple[SceneSource, ...]:
    """Two dates of one place, the second moved by a part of a block and under a cloud."""
    folder = tmp_path_factory.mktemp("scenes")
    second = scene(folder, "autumn", landscape, west=11, south=7, cloud=True)
    return scene(folder, "spring", landscape), second


@pytest.fixture(scope="session", params=["geotiff", "zarr", "groklst"])
def made(request: pytest.FixtureRequest, scenes: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    if request.param == "zarr":
        pytest.importorskip("zarr")
    return prepare(job(scenes, tmp_path_factory.mktemp("made") / "set", format=request.param))


@pytest.fixture(scope="session")
def tiffs(scenes: Any, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(job(scenes, tmp_path_factory.mktemp("tiffs") / "set"))
