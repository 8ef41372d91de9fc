"""Compiled networks: the same result, and a sentence where nothing can compile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rasters import fine, random_weights
from torch._dynamo.utils import counters

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import ModelError


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("compiled") / "x.safetensors"
    return random_weights(file, "edsr", (4,), head=0.1, num_feats=4, n_resblocks=1)


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch._dynamo.reset()  # else what an earlier test compiled is there already
    counters.clear()


def test_a_compiled_network_gives_the_same(cloudy: ScenePaths, network: Path, tmp_path: Path) -> None:
    job = {"method": str(network), "precision": "float32", "tile": 64}
    plain = fine(cloudy.lst, output=tmp_path / "plain.tif", **job)
    assert counters["stats"]["unique_graphs"] == 0
    compiled = fine(cloudy.lst, output=tmp_path / "compiled.tif", compile=True, **job)
    assert counters["stats"]["unique_graphs"] > 0
    np.testing.assert_allclose(compiled, plain, atol=1e-3)


def test_no_compiler_is_a_sentence(clear: ScenePaths, network: Path, tmp_path: Path) -> None:
    without = torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)})
    with without, pytest.raises(ModelError, match=r"can't be compiled on this machine \(.+\): leave out compile"):
        fine(clear.lst, output=tmp_path / "fine.tif", method=str(network), compile=True)
    assert not list(tmp_path.iterdir())
