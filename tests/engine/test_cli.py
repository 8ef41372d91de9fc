"""The command ``groklst``, run as a person or a script would."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from groklst_engine.cli import main
from groklst_engine.commands.console import ProgressPrinter, table
from groklst_engine.commands.options import guidance_source, lst_source
from groklst_engine.data.synthetic import ScenePaths, synthetic_scene, write_scene
from groklst_engine.events import Event
from groklst_engine.training_jobs import TrainJob

COMMANDS = ("downscale", "info", "evaluate", "train", "statistics", "methods", "models", "weights", "demo")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene(synthetic_scene(size=128), tmp_path_factory.mktemp("scene"), 4)


@pytest.fixture
def downscale(scene: ScenePaths, tmp_path: Path) -> list[str]:
    inputs = ["--lst", str(scene.lst), "--guidance", str(scene.guidance), str(scene.dem)]
    return ["downscale", *inputs, "--method", "bicubic", "--output", str(tmp_path / "fine.tif")]


def json_of(capsys: pytest.CaptureFixture[str]) -> Any:
    """Standard output as JSON: it holds nothing else."""
    return json.loads(capsys.readouterr().out)


def test_downscale(downscale: list[str], scene: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*downscale, "--scale", "4", "--reference", str(scene.truth), "--json"]) == 0
    result = json_of(capsys)
    with rasterio.open(result["output"]) as fine, rasterio.open(scene.truth) as truth:
        assert (fine.shape, fine.transform) == (truth.shape, truth.transform)
        rmse = np.sqrt(np.mean((fine.read(1) - truth.read(1)) ** 2, dtype=np.float64))
    assert any(np.isclose(row["rmse"], rmse, atol=1e-3) for row in result["scores"])


def test_downscale_tells_a_person(downscale: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*downscale, "--scale", "4", "--report", str(tmp_path / "report")]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "fine.tif") in said
    assert "128 × 128" in said
    assert str(tmp_path / "report" / "report.html") in said


@pytest.mark.parametrize("scale", ["2.5", "four", "1"])
def test_an_error_is_one_sentence_on_stderr(
    scale: str, downscale: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*downscale, "--scale", scale]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("groklst: ")
    assert "scale" in err
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(downscale: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*downscale, "--scale", "2.5", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [[], ["upscale"], ["downscale", "--scale", "4"], ["evaluate"], ["evaluate", "--lst", "a", "--scenes", "b"],
     ["train", "--scenes", "a", "-o", "b", "--set", "depth"]],
)  # fmt: skip
def test_wrong_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(wrong)
    assert exit_info.value.code == 2
    assert "usage: groklst" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([command, "--help"])
    assert exit_info.value.code == 0
    assert f"example:\n  groklst {command}" in capsys.readouterr().out


def test_help_comes_from_the_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"--iterations N Optimiser steps (default: {TrainJob.model_fields['iterations'].default})" in said
    assert "--no-average Switch off: Keep an exponential moving average" in said


def test_info(scene: ScenePaths, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["info", "--lst", str(scene.lst), "--guidance", f"{scene.dem}:dem", "--scale", "4"]
    assert main([*command, "--json"]) == 0
    assert json_of(capsys)["fine"]["width"] == 128
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "128 × 128" in said
    assert "EPSG:32612" in said
    assert "dem.tif" in said


def test_the_unit_is_passed_on(scene: ScenePaths, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["info", "--lst", str(scene.lst), "--scale", "4", "--lst-unit"]
    assert main([*command, "K"]) == 0
    assert main([*command, "C"]) == 1  # 290 °C is no LST
    assert "unit" in capsys.readouterr().err


def test_methods_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--json"]) == 0
    listed = json_of(capsys)
    assert {"bicubic", "tsharp", listed["default_method"]} <= {method["name"] for method in listed["methods"]}
    assert main(["methods"]) == 0
    assert f"{listed['default_method']} *" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    assert {"edsr", "mocolsk"} <= {model["name"] for model in json_of(capsys)["models"]}


def manifest(scene: ScenePaths, folder: Path) -> Path:
    """Two regions of one scene, with paths relative to the scene's folder."""
    guidance = [{"path": scene.guidance.name}, {"path": scene.dem.name, "roles": ["dem"]}]
    scenes = [{"name": name, "lst": {"path": scene.truth.name}, "guidance": guidance} for name in ("east", "west")]
    file = folder / "scenes.json"
    file.write_text(json.dumps(scenes), "utf-8")
    return file


def test_evaluate_a_manifest(scene: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "--scenes", str(manifest(scene, tmp_path)), "--data-root", str(scene.lst.parent)]
    choice = ["--scales", "2,4", "--methods", "nearest,bicubic", "--regions", "west"]
    assert main([*command, *choice, "--json"]) == 0
    rows = json_of(capsys)["rows"]
    scored = {(row["scene"], row["scale"], row["method"]) for row in rows}
    assert {("west", scale, method) for scale in (2, 4) for method in ("nearest", "bicubic")} <= scored
    assert not any(row["scene"] == "east" for row in rows)
    assert main([*command, "--methods", "bicubic", "--regions", "north"]) == 1
    assert "its regions are: east, west" in capsys.readouterr().err


def test_evaluate_one_scene(scene: ScenePaths, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "--lst", str(scene.truth), "--guidance", str(scene.guidance), "--native", "2"]
    assert main([*command, "--scales", "2", "--methods", "bicubic"]) == 0
    said = capsys.readouterr().out
    assert "lst_truth" in said
    assert "RMSE (K)" in said


@pytest.mark.parametrize(
    ("text", "word"), [("[", "not a list of scenes"), ('[{"name": 1}]', "name"), (None, "cannot be read")]
)
def test_a_bad_manifest(text: str | None, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scenes.json"
    if text is not None:
        file.write_text(text)
    assert main(["train", "--scenes", str(file), "-o", str(tmp_path / "a.safetensors")]) == 1
    said = capsys.readouterr().err
    assert word in said
    assert str(file) in said


def test_train(scene: ScenePaths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "tiny.safetensors"
    command = [
        "train",
        "--scenes",
        str(manifest(scene, tmp_path)),
        "--data-root",
        str(scene.lst.parent),
        "-o",
        str(weights),
    ]
    small = ["--set", "width=8", "--roles", "red,nir,dem", "--scales", "2", "--augment", "none"]
    short = ["--iterations", "2", "--batch", "2", "--crop", "32"]
    assert main([*command, *small, *short, "--cross-validate", "west", "--score-scales", "2", "--json"]) == 0
    result = json_of(capsys)
    assert result["output"] == str(weights)
    assert {row["scene"] for row in result["card"]["metrics"]} == {"west"}
    assert weights.is_file()
    assert main([*command, *small, *short]) == 1
    assert str(weights) in capsys.readouterr().err


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo"), "--scale", "8", "--json"]) == 0
    result = json_of(capsys)
    files = [*result["inputs"].values(), result["output"], result["report_html"]]
    assert all(Path(file).is_file() for file in files)
    rmse = {row["label"]: row["rmse"] for row in result["scores"]}
    assert len(rmse) >= 2  # the default method, and bicubic beside it


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child")
def test_interrupt_cancels(tmp_path: Path) -> None:
    paths = write_scene(synthetic_scene(size=1024), tmp_path, 2)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "groklst_engine", "downscale", "--lst", str(paths.lst), "--scale", "8"]
    command += ["--method", "bicubic", "--tile", "32", "-o", str(out / "fine.tif")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 3, stderr
    assert "%" in first
    assert stdout == ""
    assert stderr.splitlines()[-1] == "groklst: Cancelled; nothing was written."
    assert list(out.iterdir()) == []


def test_sources() -> None:
    assert lst_source("a.tif") == {"path": "a.tif"}
    assert lst_source("a.tif:3") == {"path": "a.tif", "band": "3"}
    assert lst_source(r"C:\a.tif") == {"path": r"C:\a.tif"}
    assert guidance_source(r"C:\a.tif") == {"path": r"C:\a.tif"}
    assert guidance_source("a.tif:blue,-,nir") == {"path": "a.tif", "roles": ["blue", None, "nir"]}


def test_progress_is_sparse_where_nobody_watches() -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(stream)
    for percent in range(101):
        printer(Event("progress", "Working", fraction=percent / 100))
    printer(Event("log", "The unit was guessed.", level="warning"))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "  0 %  Working"
    assert len(lines) == 12
    assert lines[-1] == "warning: The unit was guessed."


def test_progress_is_one_line_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    printer = ProgressPrinter(stream)
    printer(Event("progress", "Working", fraction=0.5))
    printer(Event("metric", "Step 10", values={"loss": 0.125}))
    assert stream.getvalue() == "\r\033[K[##########          ]  50 %  Working\r\033[KStep 10  loss 0.125\n"


def test_table_aligns_numbers_to_the_right() -> None:
    assert table(("name", "value"), [("a", 1.0), ("long name", 10.5), ("none", None)]) == (
        "name        value\na           1.000\nlong name  10.500\nnone            –"
    )
