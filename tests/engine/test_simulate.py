"""The simulation experiment on generated scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rasters import block_means, read, write

from groklst_engine.cli import main
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import InputError
from groklst_engine.inputs import LstSource
from groklst_engine.jobs import SimulateJob
from groklst_engine.simulate import simulate


def test_scores_are_those_of_the_aggregated_lst(clear: ScenePaths) -> None:
    result = simulate(SimulateJob(lst=LstSource(path=str(clear.lst)), scale=2, methods=("nearest",), device="cpu"))
    truth = read(clear.lst).astype(np.float64)
    restored = block_means(truth, 2).repeat(2, 0).repeat(2, 1)
    bicubic, nearest = result.rows
    assert (bicubic.method, bicubic.ratio, nearest.method) == ("bicubic", 1.0, "nearest")
    assert nearest.scores.rmse == pytest.approx(np.sqrt(np.mean((restored - truth) ** 2)), rel=1e-3)
    assert nearest.r2 == pytest.approx(1 - np.mean((restored - truth) ** 2) / truth.var(), rel=1e-3)
    assert nearest.ratio == pytest.approx(nearest.scores.rmse / bicubic.scores.rmse)


def test_what_the_mask_hides_does_not_count(clear: ScenePaths, tmp_path: Path) -> None:
    lst, clouds = read(clear.lst), np.s_[:10, :10]
    lst[clouds] -= 40
    mask = np.ones_like(lst)
    mask[clouds] = 0
    files = {name: write(tmp_path / f"{name}.tif", values) for name, values in {"lst": lst, "mask": mask}.items()}
    job = SimulateJob(lst=LstSource(path=str(files["lst"])), methods=("bicubic",), device="cpu")
    (cloudy,) = simulate(job).rows
    (masked,) = simulate(job.model_copy(update={"mask": str(files["mask"])})).rows
    assert masked.scores.rmse < 0.5 * cloudy.scores.rmse


def test_the_command(clear: ScenePaths, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["simulate", "--lst", str(clear.lst), "--guidance", str(clear.guidance), "--methods", "tsharp"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith("Aggregated by 2 and downscaled back:")
    assert "R²" in said
    assert main([*command, "--json"]) == 0
    assert [row["method"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["bicubic", "tsharp"]


def test_too_small_an_lst_is_a_sentence(tmp_path: Path) -> None:
    lst = write(tmp_path / "lst.tif", 300 + np.arange(400, dtype=np.float32).reshape(20, 20) / 40)
    with pytest.raises(InputError, match="too small to be aggregated by 4"):
        simulate(SimulateJob(lst=LstSource(path=str(lst)), scale=4))
