"""From scenes to weights: a very short training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from rasters import cropped, groklst_scene, read, run, write_groklst

from groklst_engine.card import card_text
from groklst_engine.data.augment import augment, blurred
from groklst_engine.data.dataset import load_scene, training_scene
from groklst_engine.data.sampling import SceneSampler
from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.degrade import block_mean
from groklst_engine.errors import Cancelled, GroklstError, InputError, ModelError, OutputError
from groklst_engine.evaluation import evaluate
from groklst_engine.events import CancelToken, Event
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.jobs import EvaluateJob
from groklst_engine.training.train import train
from groklst_engine.training_jobs import Augmentation, TrainJob
from groklst_engine.weights import load_weights, read_card

ROLES = ("ndvi", "dem", "slope")  # no scene has a slope


def source(paths: ScenePaths, name: str) -> SceneSource:
    guidance = (GuidanceSource(path=str(paths.guidance)), GuidanceSource(path=str(paths.dem)))
    return SceneSource(name=name, lst=LstSource(path=str(paths.truth)), guidance=guidance)


@pytest.fixture(scope="module")
def scenes(landscape: SyntheticScene, cloudy: ScenePaths, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    small = cropped(landscape, 64, tmp_path_factory.mktemp("second"), 4)
    return source(cloudy, "east"), source(small, "west")


def job_for(scenes: tuple, output: Path, **options: Any) -> TrainJob:
    small = {"arguments": {"width": 8, "dilations": (1,), "windows": (2,)}, "roles": ROLES, "scales": (2, 4)}
    short = {"iterations": 10, "batch": 2, "crop": 32, "device": "cpu"}
    return TrainJob(scenes=scenes, output=output, **small | short | options)


def test_training_writes_weights_that_serve(scenes: tuple, clear: ScenePaths, tmp_path: Path) -> None:
    file, events = tmp_path / "tiny.safetensors", []
    job = job_for(scenes, file, cross_validate=("west",), score_scales=(2,), label="Tiny", limitations="A test.")
    result = train(job, events.append)
    card = read_card(file)
    assert card == result.card
    assert file.with_suffix(".md").read_text("utf-8") == card_text(card)
    assert (card.name, card.label, card.limitations) == ("tiny", "Tiny", "A test.")
    assert (card.architecture, card.roles, card.scales) == ("guided-residual", ROLES, (2, 4))
    assert card.training["scenes"] == ["east", "west"]
    assert card.training["options"]["iterations"] == 10
    rows = {row["method"]: row for row in card.metrics}
    assert set(rows) == {"bicubic", "tiny"}
    assert {(row["scene"], row["scale"]) for row in card.metrics} == {("west", 2)}
    assert rows["bicubic"]["rmse_to_bicubic"] == 1
    assert 0 < rows["tiny"]["rmse_to_bicubic"] < 1.5
    assert not list(tmp_path.glob("*without*"))
    assert not list(tmp_path.glob("*.part"))
    network, _ = load_weights(file, 4)
    assert network.head.weight.abs().sum() > 0, "it has learnt"
    scored = run(clear.lst, clear.guidance, output=tmp_path / "fine.tif", method=str(file))
    assert np.isfinite(read(scored.output)).all()
    fractions = [event.fraction for event in events if event.fraction is not None]
    assert fractions == sorted(fractions)
    losses = [event.values["loss"] for event in events if event.type == "metric"]
    assert losses
    assert np.isfinite(losses).all()


def test_the_networks_of_a_cross_validation_can_be_kept(scenes: tuple, tmp_path: Path) -> None:
    job = job_for(scenes, tmp_path / "a.safetensors", cross_validate=("west",), score_scales=(2,), keep_folds=True)
    whole = train(job).card
    fold = tmp_path / "a.without-west.safetensors"
    card = read_card(fold)
    assert card.training["scenes"] == ["east"], "it has not seen the region"
    assert (card.name, card.metrics) == ("a.without-west", whole.metrics)
    own = str(job.output)
    wish = EvaluateJob(
        scenes=scenes, scales=(2,), methods=(own, "auto"), candidates=(own,), folds=tmp_path, device="cpu"
    )
    scored = {(row.scene, row.method): row for row in evaluate(wish).rows}
    unseen, seen = (EvaluateJob(scenes=scenes, scales=(2,), methods=(str(file),)) for file in (fold, job.output))
    for name, scene in (("west", unseen), ("east", seen)):
        expected = next(row for row in evaluate(scene).rows if row.scene == name and row.method != "bicubic")
        assert scored[name, own].scores == expected.scores, "west is scored by the network that has not seen it"
        assert scored[name, "auto"].chosen in (own, "bicubic-ibp"), "its name is that of the network it stands in for"
    assert scored["west", own].scores.rmse == next(row["rmse"] for row in card.metrics if row["method"] == "a")
    with pytest.raises(InputError, match="--keep-folds"):
        evaluate(wish.model_copy(update={"folds": tmp_path.parent}))
    job.output.unlink()
    with pytest.raises(OutputError, match="without-west"):
        train(job)


def test_scores_on_the_test_split_stand_in_the_card(landscape: SyntheticScene, tmp_path: Path) -> None:
    samples = [groklst_scene(landscape, name, top, 48, 48) for name, top in (("a", 0), ("b", 64))]
    write_groklst(tmp_path / "GrokLST", samples, {"train": ["a"], "test": ["b"]})
    wish = {"dataset": tmp_path / "GrokLST", "split": "train", "score_test": True, "scales": (2,), "iterations": 2}
    wish["roles"] = ("ndvi", "dem")  # of which no slope can be told: the layout of GrokLST has no place on the earth
    events: list[Event] = []
    card = train(job_for((), tmp_path / "a.safetensors", **wish), events.append).card
    assert [(row["scene"], row["method"]) for row in card.metrics] == [("b", "bicubic"), ("b", "a")]
    assert any(event.message == "Scoring a on b at x2" for event in events)
    assert "scored on the test split" in (tmp_path / "a.md").read_text("utf-8")
    assert read_card(tmp_path / "a.safetensors").metrics == card.metrics

    (tmp_path / "GrokLST" / "split" / "test.txt").unlink()
    events.clear()
    assert train(job_for((), tmp_path / "b.safetensors", **wish), events.append).card.metrics == ()
    assert any(event.level == "warning" and "not scored" in event.message for event in events)


def test_one_seed_gives_one_network(scenes: tuple, tmp_path: Path) -> None:
    def hash_of(name: str, seed: int) -> str:
        train(job_for(scenes, tmp_path / name / "a.safetensors", seed=seed, iterations=3))
        network, _ = load_weights(tmp_path / name / "a.safetensors", 2)
        return torch.cat([tensor.flatten() for tensor in network.state_dict().values()]).numpy().tobytes().hex()

    for name in "abc":
        (tmp_path / name).mkdir()
    first = hash_of("a", seed=0)
    assert hash_of("b", seed=0) == first
    assert hash_of("c", seed=1) != first


@pytest.mark.parametrize(
    ("change", "kind", "word"),
    [
        ({"output": "a.pth"}, InputError, "safetensors"),
        ({"output": "no/a.safetensors"}, OutputError, "does not exist"),
        ({"cross_validate": ("north",)}, InputError, "'north'"),
        ({"score_test": True}, InputError, "need a data set"),
        ({"model": "guided-residuel"}, ModelError, "did you mean 'guided-residual'"),
        ({"model": "mocolsk", "arguments": {}}, ModelError, "one scale"),
        ({"arguments": {"widht": 8}}, ModelError, "did you mean 'width'"),
    ],
)
def test_a_job_that_cannot_be_done(
    change: dict[str, Any], kind: type[GroklstError], word: str, scenes: tuple, tmp_path: Path
) -> None:
    output = tmp_path / change.pop("output", "a.safetensors")
    with pytest.raises(kind) as refusal:
        train(job_for(scenes, output, **change))
    message = str(refusal.value)
    assert word in message
    assert "\n" not in message
    assert message.endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_existing_weights_are_kept(scenes: tuple, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        train(job_for(scenes, file))
    assert file.read_text() == "mine"


@pytest.mark.parametrize("moment", ["Training step 5 of 10", "Scoring bicubic on west at x2"])
def test_cancelling_leaves_what_resuming_needs(moment: str, scenes: tuple, tmp_path: Path) -> None:
    cancel = CancelToken()

    def listen(event: Event) -> None:
        if event.message == moment:
            cancel.cancel()

    job = job_for(scenes, tmp_path / "a.safetensors", cross_validate=("west",), score_scales=(2,))
    with pytest.raises(Cancelled, match="--resume"):
        train(job, listen, cancel)
    assert {file.name for file in tmp_path.iterdir()} == {"a.safetensors.checkpoint", "a.training.csv"}


AUGMENTATIONS: tuple[Augmentation, ...] = get_args(Augmentation)


def sampler_of(scene: SceneSource, **options: Any) -> SceneSampler:
    wish = {"crop": 32, "batch": 4, "band_dropping": 0.0, "seed": 0} | options
    return SceneSampler([training_scene(load_scene(scene), ROLES)], **wish)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_samples_follow_walds_protocol(scale: int, clear: ScenePaths) -> None:
    batch = sampler_of(source(clear, "clear")).batch(scale)
    side = batch.lst.shape[-1]
    assert side >= 12
    assert batch.guidance.shape[1:] == (3, side * scale, side * scale)
    assert batch.mask.all()
    torch.testing.assert_close(batch.lst, block_mean(batch.target, scale))
    assert (batch.guidance[:, 2] == 0).all(), "an absent band is 0"


def test_clouds_do_not_reach_the_network(cloudy: ScenePaths) -> None:
    batch = sampler_of(source(cloudy, "cloudy"), batch=8).batch(2)
    assert not batch.mask.all()
    for values in (batch.lst, batch.guidance, batch.target):
        assert torch.isfinite(values).all()
        assert values.abs().max() < 20


@pytest.mark.parametrize("seed", range(6))
def test_augmentation_changes_all_consistently(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    target, guidance = torch.randn(1, 16, 16, generator=random), torch.randn(3, 16, 16, generator=random)
    mask = torch.rand(1, 16, 16, generator=random) < 0.8
    present = torch.tensor([True, True, False])
    sample = (block_mean(target[None], 4)[0], guidance, target, mask)
    lst, changed, fine, moved = augment(sample, present, AUGMENTATIONS, 1.0, np.random.default_rng(seed))
    torch.testing.assert_close(block_mean(fine[None], 4)[0], lst)
    assert moved.sum() == mask.sum()
    assert (changed[2] == 0).all()
    assert lst.shape == (1, 4, 4)


def test_unsharp_optics_blur_what_they_see_and_keep_its_mean() -> None:
    edge = torch.zeros(1, 32, 32)
    edge[..., 16:] = 1.0
    mask = torch.ones(1, 32, 32, dtype=torch.bool)
    mask[0, 3, 5] = False
    soft = blurred(edge.where(mask, 1e6), mask, 2.0)
    assert soft[0, 20, 15] == pytest.approx(0.4, abs=0.05)
    assert soft[0, 20, 16] == pytest.approx(0.6, abs=0.05)
    assert soft[mask].mean() == pytest.approx(0.5, abs=0.01), "what is missing has no say"


def test_augmented_batches_tell_when_a_coarse_pixel_is_no_box(clear: ScenePaths) -> None:
    sampler = sampler_of(source(clear, "clear"), augment=("blur", "shift"))
    batches = [sampler.batch(2, step) for step in range(16)]
    assert {batch.box for batch in batches} == {True, False}
    for batch in batches:
        error = (batch.lst - block_mean(batch.target, 2)).abs().max()
        assert (error < 1e-5) == batch.box


def test_a_shift_moves_the_guidance_by_a_fine_pixel_at_most(clear: ScenePaths) -> None:
    scene = training_scene(load_scene(source(clear, "clear")), ROLES)
    rows = torch.arange(scene.mask.shape[-2], dtype=torch.float32)[:, None].expand_as(scene.lst[0])
    ramps = replace(scene, lst=rows[None], guidance=rows.expand_as(scene.guidance))
    sampler = SceneSampler([ramps], crop=32, batch=32, band_dropping=0.0, augment=("shift",), seed=0)
    batch = sampler.batch(2)
    moved = (batch.guidance[:, 0] - batch.target[:, 0]).flatten(1).mean(1)
    assert set(moved.tolist()) == {-1.0, 0.0, 1.0}
