from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rasters import cropped, random_weights

from groklst_engine.data.synthetic import ScenePaths, SyntheticScene, synthetic_scene


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The scenes are tiny: sharing them among threads costs more than it gains, on a busy machine many times."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def own_weights(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty registry of weights in place of the developer's own."""
    folder = tmp_path_factory.mktemp("registry") / "weights"
    monkeypatch.setenv("GROKLST_WEIGHTS", str(folder))
    return folder


@pytest.fixture(scope="session")
def landscape() -> SyntheticScene:
    return synthetic_scene(size=192, seed=1)


@pytest.fixture(scope="session")
def clear(landscape: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """24 × 24 coarse pixels, by 4; guidance and truth on the fine grid; no gap anywhere."""
    return cropped(landscape, 96, tmp_path_factory.mktemp("clear"), 4)


@pytest.fixture(scope="session")
def cloudy(landscape: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """The same under clouds, the guidance in degrees and therefore on another grid."""
    return cropped(landscape, 96, tmp_path_factory.mktemp("cloudy"), 4, cloud=0.15, guidance_crs="EPSG:4326")


@pytest.fixture(scope="session")
def local_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a network that looks at a neighbourhood only."""
    file = tmp_path_factory.mktemp("weights") / "random-local.safetensors"
    sizes = {"width": 8, "dilations": (1, 2), "windows": (1, 2)}
    return random_weights(file, "guided-residual", (2, 3, 4, 8), head=0.1, **sizes)
