"""Several processes do together what one does alone."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.weights import load_weights, read_card

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun's processes meet through gloo on Unix")

STEPS = 20


@pytest.fixture
def manifest(cloudy: ScenePaths, tmp_path: Path) -> Path:
    scene = {
        "name": "east",
        "lst": {"path": str(cloudy.truth)},
        "guidance": [{"path": str(cloudy.guidance)}, {"path": str(cloudy.dem)}],
    }
    path = tmp_path / "scenes.json"
    path.write_text(json.dumps([scene]), "utf-8")
    return path


def command(manifest: Path, output: Path, processes: int, *options: str) -> list[str]:
    output.parent.mkdir(exist_ok=True)
    small = ("--set", "width=8", "--set", "dilations=[1]", "--set", "windows=[2]", "--roles", "ndvi,dem")
    short = ("--scales", "2,4", "--iterations", str(STEPS), "--batch", "4", "--crop", "32", "--device", "cpu")
    wish = ("train", "--scenes", str(manifest), *small, *short, "--precision", "float32", *options, "-o", str(output))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return [sys.executable, *(launcher if processes > 1 else ()), "-m", "groklst_engine", *wish]


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command(*arguments), env=environment, capture_output=True, text=True, timeout=240)


def losses(output: Path) -> list[float]:
    with output.with_suffix(".training.csv").open(encoding="utf-8", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


@pytest.mark.slow
def test_two_processes_equal_one(manifest: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "a.safetensors", tmp_path / "two" / "a.safetensors"
    for output, processes in ((one, 1), (two, 2)):
        done = run(manifest, output, processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(str(output)) == 1, "only the first process speaks"
    assert len(losses(one)) == len(losses(two)) == STEPS
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    first, second = (load_weights(output, 2)[0].state_dict() for output in (one, two))
    # AdamW turns rounding in tiny gradients into steps of their own
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-4
    assert {file.name for file in two.parent.iterdir()} == {"a.safetensors", "a.md", "a.training.csv"}


@pytest.mark.slow
def test_processes_are_cancelled_together_and_resume(manifest: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole" / "a.safetensors", tmp_path / "parts" / "a.safetensors"
    options = ("--iterations", "60")
    assert run(manifest, whole, 2, *options).returncode == 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command(manifest, parts, 2, *options),
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    table, deadline = parts.with_suffix(".training.csv"), time.monotonic() + 120
    while time.monotonic() < deadline and not (table.exists() and len(table.read_bytes().splitlines()) > 5):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C in a terminal does
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.count("--resume") == 1, said
    assert not parts.exists()
    done = run(manifest, parts, 2, *options, "--resume")
    assert done.returncode == 0, done.stderr
    assert read_card(parts).sha256 == read_card(whole).sha256, "over card and tensors"


@pytest.mark.slow
def test_more_processes_than_samples_and_unused_parameters(manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "few" / "a.safetensors"
    done = run(manifest, output, 3, "--iterations", "3", "--batch", "2", "--scales", "2", "--loss", "l1")
    assert done.returncode == 0, done.stderr
    assert len(losses(output)) == 3
