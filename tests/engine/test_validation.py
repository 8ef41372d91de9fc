"""Scores while training, early stopping, and the units a network is trained in."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rasters import cropped, read, run

from groklst_engine.data.memory import KEPT, Kept
from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.errors import Cancelled, InputError
from groklst_engine.events import CancelToken, Event
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.training.train import train
from groklst_engine.training_jobs import Normalization as Wish
from groklst_engine.training_jobs import TrainJob
from groklst_engine.weights import ModelCard, load_weights, read_card


@dataclass
class Held:
    values: torch.Tensor


SCORES = {"rmse", "mae", "bias", "cc", "rsd", "rmse_to_bicubic"}


@pytest.fixture(scope="module")
def scenes(landscape: SyntheticScene, clear: ScenePaths, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    small = cropped(landscape, 64, tmp_path_factory.mktemp("second"), 4)
    return tuple(
        SceneSource(
            name=name,
            lst=LstSource(path=str(paths.truth)),
            guidance=(GuidanceSource(path=str(paths.guidance)), GuidanceSource(path=str(paths.dem))),
        )
        for name, paths in (("east", clear), ("west", small))
    )


def job_for(scenes: tuple, output: Path, **options: Any) -> TrainJob:
    output.parent.mkdir(exist_ok=True)
    small = {"arguments": {"width": 8, "dilations": (1,), "windows": (2,)}, "roles": ("ndvi", "dem", "slope")}
    short = {"scales": (2,), "iterations": 6, "batch": 2, "crop": 32, "device": "cpu"}
    return TrainJob(scenes=scenes, output=output, **small | short | options)


def validating(scenes: tuple, output: Path, **options: Any) -> TrainJob:
    return job_for(scenes, output, **{"validate_regions": ("west",), "validate_every": 2} | options)


def rows(output: Path) -> list[dict[str, str]]:
    with output.with_suffix(".training.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["rmse"]]


def test_validations_are_told_logged_and_drawn(scenes: tuple, tmp_path: Path) -> None:
    events: list[Event] = []
    output = tmp_path / "a.safetensors"
    card = train(validating(scenes, output), events.append).card
    seen = [event for event in events if "rmse" in event.values]
    assert [event.values["step"] for event in seen] == [2, 4, 6]
    assert all(set(event.values) == SCORES | {"step"} for event in seen)
    assert [float(row["rmse"]) for row in rows(output)] == [event.values["rmse"] for event in seen]
    assert card.training["scenes"] == ["east"], "what is validated on is not learned from"
    picture = tmp_path / "a.preview.png"
    assert {event.preview for event in seen} == {str(picture)}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in tmp_path.iterdir()} == {"a.safetensors", "a.md", "a.training.csv", "a.preview.png"}


def test_patience_ends_the_training_with_the_best_weights(scenes: tuple, tmp_path: Path) -> None:
    # a rate that wrecks the network: the first validation stays the best
    wild = {"learning_rate": 5.0, "schedule": "constant", "optimizer": "sgd", "average": False, "precision": "float32"}
    best, stopped = tmp_path / "best" / "a.safetensors", tmp_path / "stopped" / "a.safetensors"
    train(validating(scenes, stopped, iterations=20, patience=2, **wild))
    scores = [float(row["rmse"]) for row in rows(stopped)]
    assert len(scores) < 10
    first = 2 * (int(np.argmin(scores)) + 1)
    assert len(scores) == np.argmin(scores) + 3, "two more validations without a better score"
    train(validating(scenes, best, iterations=first, **wild))
    one, other = (load_weights(file, 2)[0].state_dict() for file in (best, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_interrupted_validation_is_made_up_for(scenes: tuple, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole" / "a.safetensors", tmp_path / "parts" / "a.safetensors"
    train(validating(scenes, whole, patience=3))

    class AtValidation(CancelToken):
        """Cancels inside the second validation, at its first tile."""

        def check(self) -> None:
            if len(told) == 1:
                self.cancel()
            super().check()

    told: list[Event] = []
    cancel = AtValidation()
    job = validating(scenes, parts, patience=3)
    with pytest.raises(Cancelled, match="--resume"):
        train(job, lambda event: told.append(event) if "rmse" in event.values else None, cancel)
    assert len(rows(parts)) == 1
    train(job.model_copy(update={"resume": True}))
    assert read_card(parts).sha256 == read_card(whole).sha256
    assert [row["rmse"] for row in rows(parts)] == [row["rmse"] for row in rows(whole)]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"validate_every": 2}, "--validate-regions"),
        ({"patience": 2}, "--validate-every"),
        ({"validate_every": 2, "validate_regions": ("north",)}, "'north'"),
        ({"validate_every": 2, "validate_regions": ("east", "west")}, "none is left"),
        ({"validate_regions": ("west",), "cross_validate": ("west",)}, "at once"),
        ({"precision": "bf16", "normalize_lst": "none"}, "2 K"),
    ],
)
def test_what_cannot_be_done(options: dict[str, Any], word: str, scenes: tuple, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=word):
        train(job_for(scenes, tmp_path / "a.safetensors", **options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lst", "guidance"), [("z-score", "none"), ("min-max", "scene"), ("none", "min-max"), ("scene", "z-score")]
)
def test_normalisation_travels_in_the_card(
    lst: Wish, guidance: Wish, scenes: tuple, clear: ScenePaths, tmp_path: Path
) -> None:
    output = tmp_path / "a.safetensors"
    card = train(job_for(scenes, output, normalize_lst=lst, normalize_guidance=guidance)).card
    assert read_card(output).model_dump(mode="json") == card.model_dump(mode="json")
    units = card.units
    assert (units.lst.mode, units.guidance.mode) == (lst, guidance)
    assert set(units.guidance.bands) == (set() if guidance == "scene" else {"ndvi", "dem"}), "no scene has a slope"
    if lst != "scene":
        values = np.concatenate([read(Path(scene.lst.path)).ravel() for scene in scenes])
        values = values[np.isfinite(values)]
        band = units.lst.bands["lst"]
        assert band.mean == pytest.approx(values.mean(), abs=0.3)
        assert (band.minimum, band.maximum) == pytest.approx((values.min(), values.max()), abs=0.01)
    fine = read(run(clear.lst, clear.guidance, scale=2, output=tmp_path / "f.tif", method=str(output)).output)
    bicubic = read(run(clear.lst, clear.guidance, scale=2, output=tmp_path / "b.tif", method="bicubic").output)
    # Hardly trained, a network on raw guidance makes much of the raster's edges, beyond which it sees zeros.
    limit = 30 if guidance == "none" else 3
    assert np.sqrt(np.nanmean((fine - bicubic) ** 2)) < limit, "kelvin come out, whatever the network's units"


def test_an_untrained_network_is_bicubic_in_any_units(scenes: tuple, clear: ScenePaths, tmp_path: Path) -> None:
    results = []
    for number, mode in enumerate(("scene", "z-score", "min-max", "none")):
        job = job_for(scenes, tmp_path / f"{number}.safetensors", normalize_lst=mode, iterations=1, learning_rate=1e-12)
        train(job)
        output = tmp_path / f"{number}.tif"
        results.append(read(run(clear.lst, scale=2, output=output, method=str(job.output), consistency=False).output))
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=2e-3)


def test_old_cards_load() -> None:
    old = {"name": "a", "architecture": "srcnn", "scales": [2], "normalization": "scene"}
    assert ModelCard.model_validate(old).units.lst.mode == "scene"


def test_scenes_beyond_the_budget_are_read_again() -> None:
    reads: list[int] = []

    def reader(index: int) -> Held:
        reads.append(index)
        return Held(torch.zeros(256))

    count = KEPT + 4
    for budget, expected in ((10**9, count), (0, 2 * count)):
        reads.clear()
        kept = Kept([lambda index=index: reader(index) for index in range(count)], budget)
        assert len(list(kept)) == len(list(kept)) == count
        assert len(reads) == expected


def test_tensorboard_gets_the_curves(scenes: tuple, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(validating(scenes, tmp_path / "a.safetensors", tensorboard=tmp_path / "board"))
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert SCORES | {"loss"} <= set(board.Tags()["scalars"])
    assert [scalar.step for scalar in board.Scalars("rmse")] == [2, 4, 6]


def test_without_tensorboard(scenes: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'groklst\[tensorboard\]'"):
        train(job_for(scenes, tmp_path / "a.safetensors", tensorboard=tmp_path / "board"))
