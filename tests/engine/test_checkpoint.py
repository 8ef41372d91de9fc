"""An interrupted training goes on as if it had not been interrupted."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, InputError, OutputError
from groklst_engine.events import CancelToken, Event, OnEvent
from groklst_engine.inputs import FineData, GuidanceSource, LstSource, SceneSource
from groklst_engine.training.train import train
from groklst_engine.training_jobs import TrainingRecipe, TrainJob
from groklst_engine.weights import read_card

SMALL = {"arguments": {"width": 8, "dilations": (1,), "windows": (2,)}}
OTHER_WAYS = (
    SMALL | {"loss": "adaptive"},
    SMALL | {"optimizer": "adam", "schedule": "constant"},
    # swinir draws random numbers of its own
    {"model": "swinir", "preset": "small", "scales": (2,), "optimizer": "sgd", "schedule": "cosine-restarts"},
)


@pytest.fixture
def scene(clear: ScenePaths) -> SceneSource:
    guidance = (GuidanceSource(path=str(clear.guidance)), GuidanceSource(path=str(clear.dem)))
    return SceneSource(name="east", lst=LstSource(path=str(clear.truth)), guidance=guidance)


def job_for(scene: SceneSource, folder: Path, **options: Any) -> TrainJob:
    folder.mkdir(exist_ok=True)
    short = {"roles": ("ndvi", "dem"), "scales": (2, 4), "iterations": 12, "batch": 2, "crop": 32, "device": "cpu"}
    chosen = options if "model" in options else SMALL | options
    return TrainJob(scenes=(scene,), output=folder / "a.safetensors", **short | chosen)


def again(job: TrainJob, **options: Any) -> TrainJob:
    return job.model_copy(update={"resume": True, **options})


def cancelling_at(message: str) -> tuple[OnEvent, CancelToken]:
    cancel = CancelToken()
    return lambda event: cancel.cancel() if event.message == message else None, cancel


def interrupt(job: TrainJob, message: str = "Training step 5 of 12") -> None:
    with pytest.raises(Cancelled, match="--resume"):
        train(job, *cancelling_at(message))


def logged(folder: Path) -> list[dict[str, str]]:
    """The log, but for the time."""
    with (folder / "a.training.csv").open(encoding="utf-8", newline="") as file:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def assert_same(one: Path, other: Path) -> None:
    assert read_card(one / "a.safetensors") == read_card(other / "a.safetensors"), "its SHA-256 covers all weights"
    assert logged(one) == logged(other)
    assert {file.name for file in other.iterdir()} == {"a.safetensors", "a.md", "a.training.csv"}


@pytest.mark.parametrize("options", OTHER_WAYS, ids=lambda options: options.get("schedule", "default"))
def test_cancelled_and_resumed(options: dict[str, Any], scene: SceneSource, tmp_path: Path) -> None:
    train(job_for(scene, tmp_path / "whole", **options))
    job = job_for(scene, tmp_path / "parts", **options)
    interrupt(job)
    torch.manual_seed(99)
    train(again(job))
    assert_same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_and_resumed(scene: SceneSource, tmp_path: Path) -> None:
    options = {"iterations": 60, "checkpoint_every": 4}
    train(job_for(scene, tmp_path / "whole", **options))
    job = job_for(scene, tmp_path / "parts", **options)
    (tmp_path / "job.json").write_text(job.model_dump_json(), "utf-8")
    steps = random.randint(1, 40)
    process = subprocess.Popen(
        [sys.executable, "-m", "groklst_engine.worker", str(tmp_path / "job.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    table, deadline = tmp_path / "parts" / "a.training.csv", time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if table.exists() and len(table.read_bytes().splitlines()) > steps:
            break
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -9
    assert not job.output.exists()
    train(again(job))
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_cancelling_is_quick(scene: SceneSource, tmp_path: Path) -> None:
    job = job_for(scene, tmp_path, iterations=10_000)
    cancel, asked = CancelToken(), []

    def listen(event: Event) -> None:
        if event.message.startswith("Training step 10 "):
            asked.append(time.monotonic())
            cancel.cancel()

    with pytest.raises(Cancelled):
        train(job, listen, cancel)
    assert time.monotonic() - asked[0] < 2
    assert logged(tmp_path)[-1]["step"] == "10"


def test_finished_runs_are_not_repeated(scene: SceneSource, tmp_path: Path) -> None:
    other = scene.model_copy(update={"name": "west"})
    options = {"cross_validate": ("east", "west"), "score_scales": (2,)}
    whole, parts = (
        job_for(scene, tmp_path / name, **options).model_copy(update={"scenes": (scene, other)})
        for name in ("whole", "parts")
    )
    expected = train(whole).card
    interrupt(parts, "Scoring bicubic on west at x2")
    events: list[Event] = []
    card = train(again(parts), events.append).card
    said = [event.message for event in events]
    assert "Training without east" not in said
    assert said.count("Training step 5 of 12") == 1, "only the network of all scenes was still to be trained"
    assert card.metrics == expected.metrics
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert [row["run"] for row in logged(tmp_path / "parts")] == [run for run in "123" for _ in range(12)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit to a file's size")
def test_a_full_disk_leaves_the_last_checkpoint(scene: SceneSource, tmp_path: Path) -> None:
    import resource

    train(job_for(scene, tmp_path / "whole", checkpoint_every=3))
    job = job_for(scene, tmp_path / "parts", checkpoint_every=3)
    checkpoint = tmp_path / "parts" / "a.safetensors.checkpoint"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_disk(event: Event) -> None:
        if event.message == "Training step 5 of 12":
            resource.setrlimit(resource.RLIMIT_FSIZE, (checkpoint.stat().st_size // 2, hard))

    try:
        with pytest.raises(OutputError, match=r"^The checkpoint '.*' cannot be written: .*disk space.*\.$"):
            train(job, fill_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob("*.part"))
    assert torch.load(checkpoint, weights_only=True)["learning"]["step"] == 3
    train(again(job))
    assert_same(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("change", "word"), [({"learning_rate": 1e-4}, "'learning_rate'"), ({"arguments": {"width": 16}}, "'arguments'")]
)
def test_other_options_are_refused(change: dict[str, Any], word: str, scene: SceneSource, tmp_path: Path) -> None:
    job = job_for(scene, tmp_path)
    interrupt(job)
    before = (tmp_path / "a.safetensors.checkpoint").read_bytes()
    with pytest.raises(InputError, match=word):
        train(again(job, **change))
    assert (tmp_path / "a.safetensors.checkpoint").read_bytes() == before


def test_what_is_no_part_of_the_recipe_may_change(scene: SceneSource, tmp_path: Path) -> None:
    job = job_for(scene, tmp_path)
    interrupt(job)
    around = {"label": "Mine", "description": "D", "limitations": "L", "credits": "C", "checkpoint_every": 5}
    others = {"kind", "output", "overwrite", "resume", "keep_folds", "tensorboard"}  # an extra brings the last
    assert TrainJob.model_fields.keys() - TrainingRecipe.model_fields.keys() == around.keys() | others
    card = train(again(job, **around, overwrite=True, keep_folds=True)).card
    assert (card.label, card.description, card.limitations, card.credits) == ("Mine", "D", "L", "C")
    assert card.training["options"].keys() == TrainingRecipe.model_fields.keys() - FineData.model_fields.keys()


def test_a_checkpoint_is_not_lost_by_accident(scene: SceneSource, tmp_path: Path) -> None:
    job = job_for(scene, tmp_path)
    interrupt(job)
    with pytest.raises(OutputError, match="--resume"):
        train(job)
    train(job.model_copy(update={"overwrite": True}))
    assert [row["step"] for row in logged(tmp_path)] == [str(step) for step in range(1, 13)]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x02}q\x00."])
def test_a_damaged_checkpoint(content: bytes, scene: SceneSource, tmp_path: Path) -> None:
    job = job_for(scene, tmp_path)
    (tmp_path / "a.safetensors.checkpoint").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        train(again(job))


def test_without_a_checkpoint_training_begins(scene: SceneSource, tmp_path: Path) -> None:
    events: list[Event] = []
    train(again(job_for(scene, tmp_path)), events.append)
    assert any("no checkpoint" in event.message for event in events if event.level == "warning")
    row = logged(tmp_path)[0]
    assert json.loads(row["loss"]) > 0
    assert row["scale"] in ("2", "4")
    assert float(row["learning_rate"]) < 2e-3
