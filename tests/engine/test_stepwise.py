"""Stepwise downscaling on generated scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rasters import block_means, read

from groklst_engine.cli import main
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import InputError
from groklst_engine.jobs import parse_job


def test_two_steps_are_those_done_by_hand(
    clear: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(lst: Path, scale: str, name: str) -> dict[str, object]:
        command = ["downscale", "--lst", str(lst), "--guidance", str(clear.guidance), "--scale", scale, "--json"]
        assert main([*command, "--method", "tsharp", "-o", str(tmp_path / name)]) == 0
        result: dict[str, object] = json.loads(capsys.readouterr().out)
        return result

    result = run(clear.lst, "2,2", "both.tif")
    run(clear.lst, "2", "first.tif")
    run(tmp_path / "first.tif", "2", "second.tif")
    np.testing.assert_array_equal(read(tmp_path / "both.tif"), read(tmp_path / "second.tif"))
    assert result["scale"] == 4
    whole, last = result["scores"]
    assert whole["label"] == "Result, averaged to the original pixels"
    assert whole["rmse"] < 0.01
    assert last["n"] == 4 * whole["n"]
    np.testing.assert_allclose(block_means(read(tmp_path / "both.tif"), 4), read(clear.lst), atol=0.01)
    assert {file.name for file in tmp_path.iterdir()} == {"both.tif", "first.tif", "second.tif"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scale": 4, "steps": [2, 4]}, "do not make the scale 4"),
        ({"scale": "2,x"}, "must be a whole number"),
        ({"scale": "2,1"}, "greater than or equal to 2"),
        ({"scale": "2,2", "uncertainty": True}, "for a single step only"),
    ],
)
def test_steps_that_make_no_sense(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_job({"kind": "downscale", "lst": {"path": "a.tif"}, "output": "b.tif", **fields})
