"""The loop: what its options change, and what they must not change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.data.dataset import TrainingScene
from groklst_engine.data.sampling import SceneSampler, ahead
from groklst_engine.degrade import block_mean
from groklst_engine.events import CancelToken
from groklst_engine.models.zoo import create_model
from groklst_engine.physics.psf import Psf
from groklst_engine.training.distribution import Group
from groklst_engine.training.learning import learn
from groklst_engine.training.recompute import blocks, recomputed
from groklst_engine.training.schedules import Schedule

CPU = Group(torch.device("cpu"))


def scene(seed: int = 0, gaps: bool = True, **facts: Any) -> TrainingScene:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 3, 16, 16, generator=random)
    fields = nn.functional.interpolate(coarse, scale_factor=6.0, mode="bicubic")[0]
    mask = torch.ones(1, 96, 96, dtype=torch.bool)
    if gaps:
        mask[:, 10:20, 30:60] = False
    return TrainingScene("here", fields[:1] * mask, fields[1:] * mask, mask, torch.ones(2, dtype=torch.bool), **facts)


def sampler(batch: int, **options: Any) -> SceneSampler:
    wish = {"crop": 32, "band_dropping": 0.25, "augment": ("flips", "gains"), "seed": 3} | options
    return SceneSampler([scene()], batch=batch, **wish)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return create_model("guided-residual", scale=2, guidance_bands=2, width=8, dilations=(1, 2), windows=(1,))


def learned(batch: int = 4, network: nn.Module | None = None, **options: Any) -> tuple[dict[str, Tensor], list[float]]:
    losses: list[float] = []
    wish = {"iterations": 8, "precision": "float32"} | options
    schedule = Schedule(learning_rate=1e-3, weight_decay=1e-4, scale_weights={2: 1.0, 4: 1.0}, seed=3, **wish)
    network = learn(
        network or small_network(),
        sampler(batch),
        schedule,
        CPU,
        lambda event: losses.extend([event.values["loss"]] if event.values else []),
        CancelToken(),
    )
    return network.state_dict(), losses


def test_short_trainings_report_their_loss_more_often() -> None:
    assert len(learned()[1]) == 8
    assert len(learned(iterations=210, batch=1)[1]) == 105


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_accumulated_batches_equal_one_large_batch() -> None:
    whole, loss = learned(accumulate=1)
    parts, same_loss = learned(accumulate=4)
    assert same_loss == pytest.approx(loss, rel=1e-5)
    assert largest_difference(whole, parts) < 1e-5
    fewer, _ = learned(batch=2)
    assert largest_difference(whole, fewer) > 1e-4, "the test would see a difference"


def test_recomputed_activations_give_the_same_weights() -> None:
    kept, _ = learned()
    recomputed_, _ = learned(recompute=True)
    assert largest_difference(kept, recomputed_) < 1e-6


@pytest.mark.parametrize("name", ["mocolsk", "swinir", "sgnet", "rcan"])
def test_recomputing_keeps_gradients(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name, scale=2, guidance_bands=2, preset="small").train()
    lst, guidance = torch.randn(1, 1, 16, 16), torch.randn(1, 2, 32, 32)
    saved: list[dict[str, Tensor]] = []
    sizes: list[int] = []
    for again in (False, True):
        network.zero_grad(set_to_none=True)
        held: list[int] = []

        def pack(tensor: Tensor, held: list[int] = held) -> Tensor:
            held.append(tensor.nbytes)
            return tensor

        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            if again:
                with recomputed(network):
                    loss = network(lst, guidance).square().mean()
                    sizes.append(sum(held))
                    loss.backward()
            else:
                loss = network(lst, guidance).square().mean()
                sizes.append(sum(held))
                loss.backward()
        gradients = {key: value.grad for key, value in network.named_parameters() if value.grad is not None}
        saved.append({key: value.clone() for key, value in gradients.items()})
    assert saved[0].keys() == saved[1].keys()
    for key, expected in saved[0].items():
        torch.testing.assert_close(saved[1][key], expected, rtol=1e-4, atol=1e-6)
    assert sizes[1] < 0.7 * sizes[0], "fewer activations wait for the way back"
    assert all("forward" not in vars(block) for block in blocks(network)), "the network is left as it was"


def test_without_an_average_the_last_weights_are_the_result() -> None:
    network = small_network()
    last, _ = learned(network=network, average=False)
    assert largest_difference(last, network.state_dict()) == 0
    averaged, _ = learned(average=True)
    assert largest_difference(last, averaged) > 1e-5


class _Spy(nn.Module):
    """Notes the type of what a convolution under autocast gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 1)
        self.seen: set[torch.dtype] = set()

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        fine = self.layer(guidance[:, :1])
        self.seen.add(fine.dtype)
        return fine.float()


@pytest.mark.parametrize(("precision", "expected"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_precision(precision: str, expected: torch.dtype) -> None:
    network = _Spy()
    learned(network=network, precision=precision, iterations=2)
    assert network.seen == {expected}


def test_frozen_parameters_stay() -> None:
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for parameter in network.stem.parameters():
        parameter.requires_grad_(False)
    after, _ = learned(network=network)
    assert torch.equal(after["stem.weight"], before["stem.weight"])
    assert not torch.equal(after["head.weight"], before["head.weight"])


def test_samples_are_functions_of_seed_step_and_number() -> None:
    whole = sampler(4).batch(2, 7)
    parts = [sampler(4).batch(2, 7, range(piece, 4, 2)) for piece in range(2)]
    torch.testing.assert_close(torch.cat([part.target for part in parts]), whole.target[[0, 2, 1, 3]])
    assert not torch.equal(sampler(4).batch(2, 8).target, whole.target)
    assert not torch.equal(sampler(4, seed=4).batch(2, 7).target, whole.target)


def test_a_sensor_with_a_point_spread_function_is_no_box() -> None:
    blurry = SceneSampler([scene(gaps=False, psf=Psf("gaussian"))], crop=32, batch=2, band_dropping=0.0, seed=0)
    batch = blurry.batch(4)
    assert not batch.box
    assert float((batch.lst - block_mean(batch.target, 4)).abs().max()) > 1e-3


def test_the_next_step_is_drawn_while_the_present_one_is_used() -> None:
    drawn: list[int] = []
    with_next = []
    for step, value in ahead(lambda step: drawn.append(step) or 10 * step, range(1, 5)):
        assert value == 10 * step
        with_next.append(step)
    assert drawn == with_next == [1, 2, 3, 4]


def test_what_fails_ahead_fails_in_its_step() -> None:
    def draw(step: int) -> int:
        if step == 3:
            raise ValueError("three")
        return step

    drawn = ahead(draw, range(1, 6))
    assert [next(drawn), next(drawn)] == [(1, 1), (2, 2)]
    with pytest.raises(ValueError, match="three"):
        next(drawn)
