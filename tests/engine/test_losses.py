"""Losses are what they are called, ignore what the mask leaves out, and train."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from groklst_engine import losses
from groklst_engine.consistency import back_project
from groklst_engine.data.dataset import TrainingScene
from groklst_engine.data.sampling import SceneSampler
from groklst_engine.degrade import block_mean
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, ignore
from groklst_engine.losses import LOSSES, LearnedWeights, build_loss
from groklst_engine.models.zoo import create_model
from groklst_engine.training.distribution import Group
from groklst_engine.training.learning import UNCORRECTED, learn
from groklst_engine.training.schedules import Schedule
from groklst_engine.training_jobs import TrainingRecipe, TrainJob

SCALE = 4


def example(side: int = 48, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
    """A result near the truth, the truth, its block means, a mask without the blocks on the diagonal, and the scale."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(2, 1, side, side, generator=generator)
    fine = target + 0.3 * torch.randn(2, 1, side, side, generator=generator)
    valid = ~torch.eye(side // SCALE, dtype=torch.bool)
    mask = valid.repeat_interleave(SCALE, 0).repeat_interleave(SCALE, 1).expand(2, 1, -1, -1)
    return fine, target, block_mean(target, SCALE), mask, SCALE


def scene() -> TrainingScene:
    generator = torch.Generator().manual_seed(0)
    guidance = torch.randn(2, 12, 12, generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    guidance = guidance + 0.5 * torch.randn(2, 96, 96, generator=generator)
    lst = guidance[:1] - 0.5 * guidance[1:]
    return TrainingScene(
        "here", lst, guidance, torch.ones(1, 96, 96, dtype=torch.bool), torch.ones(2, dtype=torch.bool)
    )


def sampler(crop: int = 32) -> SceneSampler:
    return SceneSampler([scene()], crop=crop, batch=4, band_dropping=0.0, seed=0)


EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)


@EVERY_LOSS
def test_the_truth_is_the_best_result(name: str) -> None:
    fine, target, coarse, mask, scale = example()
    loss = build_loss(name)

    at_truth = loss(target, target, coarse, mask, scale).item()

    assert loss(fine, target, coarse, mask, scale).item() > at_truth + 0.01
    assert at_truth == pytest.approx(0, abs=2e-3)


@EVERY_LOSS
@pytest.mark.parametrize("side", [16, 32, 48, 64, 192])
def test_crops_of_any_size_give_a_scalar_with_gradient_where_the_mask_is(name: str, side: int) -> None:
    fine, target, coarse, mask, scale = example(side)
    fine.requires_grad_()

    loss = build_loss(name)(fine, target, coarse, mask, scale)
    loss.backward()

    assert loss.shape == ()
    assert fine.grad is not None
    assert fine.grad.isfinite().all()
    assert not fine.grad[~mask].any()
    assert (fine.grad[mask] != 0).double().mean() > 0.7  # the kinks of several differences can cancel


@EVERY_LOSS
def test_what_the_mask_leaves_out_does_not_count(name: str) -> None:
    fine, target, coarse, mask, scale = example()
    loss = build_loss(name)

    elsewhere = loss(fine.where(mask, 1000.0), target, coarse, mask, scale)

    torch.testing.assert_close(elsewhere, loss(fine, target, coarse, mask, scale))


@EVERY_LOSS
def test_losses_survive_a_result_of_the_opposite_sign(name: str) -> None:
    fine, target, coarse, mask, scale = example()
    fine = (-target).requires_grad_()

    build_loss(name)(fine, target, coarse, mask, scale).backward()

    assert fine.grad is not None
    assert fine.grad.isfinite().all()


def test_pixel_losses_by_hand() -> None:
    target = torch.zeros(1, 1, 2, 2)
    fine = torch.tensor([[0.05, -0.4], [2.0, 7.0]])[None, None]
    mask = torch.tensor([[True, True], [True, False]])[None, None]
    arguments = fine, target, torch.zeros(1, 1, 1, 1), mask, 2

    assert losses.l1(*arguments).item() == pytest.approx(2.45 / 3)
    assert losses.smooth_l1(*arguments).item() == pytest.approx((0.05**2 / 0.2 + 0.35 + 1.95) / 3)
    assert losses.charbonnier(*arguments).item() == pytest.approx(
        sum(math.sqrt(error**2 + 1e-6) for error in (0.05, 0.4, 2.0)) / 3
    )
    assert losses.gradient(*arguments).item() == pytest.approx((0.45 + 1.95) / 2)


def test_degradation_compares_whole_blocks_with_the_coarse_input() -> None:
    fine = torch.arange(16.0).reshape(1, 1, 4, 4)
    coarse = torch.tensor([[2.5, 5.0], [9.5, 13.5]])[None, None]  # the block means are 2.5, 4.5, 10.5, 12.5
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    mask[..., 3, 3] = False

    loss = losses.degradation(fine, torch.full_like(fine, torch.nan), coarse, mask, 2)

    assert loss.item() == pytest.approx((0 + 0.5 + 1.0) / 3)


def test_degradation_vanishes_behind_the_consistency_correction() -> None:
    fine, target, coarse, mask, scale = example()

    corrected = back_project(fine, coarse, mask, scale)

    assert losses.degradation(corrected, target, coarse, mask, scale).item() < 1e-5


def test_structure_is_compared_at_five_scales_with_the_published_window() -> None:
    fine, target, coarse, _, scale = example(192)
    everywhere = torch.ones_like(target, dtype=torch.bool)
    half = losses.SSIM_RANGE / 2

    loss = losses.multi_scale_ssim(fine, target, coarse, everywhere, scale)

    expected = 1 - ms_ssim(fine + half, target + half, data_range=losses.SSIM_RANGE, win_size=11)
    torch.testing.assert_close(loss, expected)


def test_structure_is_about_pattern_more_than_about_level() -> None:
    _, target, coarse, mask, scale = example(64)

    shifted = losses.multi_scale_ssim(target + 0.3, target, coarse, mask, scale)
    blurred = losses.multi_scale_ssim(target.mean((2, 3), keepdim=True).expand_as(target), target, coarse, mask, scale)

    assert shifted < 0.2 * blurred


def test_learned_weights_settle_where_every_measure_weighs_the_same() -> None:
    values = (0.01, 1.0, 30.0)
    loss = LearnedWeights(*(lambda *_, value=value: torch.tensor(value) for value in values))
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    nothing = torch.zeros(1)

    for _ in range(400):
        optimizer.zero_grad()
        loss(nothing, nothing, nothing, nothing, 1).backward()
        optimizer.step()

    weighted = torch.tensor(values) * torch.exp(-loss.uncertainties)
    torch.testing.assert_close(weighted, torch.ones(3), rtol=0.01, atol=0)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"Unknown loss 'smooth-l2': did you mean 'smooth-l1'\?"):
        build_loss("smooth-l2")
    with pytest.raises(InputError, match="Unknown loss 'zzz': choose of l1, smooth-l1, charbonnier"):
        build_loss("zzz")


def test_the_job_names_every_loss_and_the_same_default() -> None:
    assert all(name in str(TrainingRecipe.__doc__) for name in LOSSES)
    assert TrainJob.model_fields["loss"].default == Schedule(1, 1e-3, 0.0, {2: 1.0}, 0).loss == "smooth-l1"


class _Constant(torch.nn.Module):
    """A network that has not learned anything, and cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.zeros(()))

    def forward(self, lst: Tensor, guidance: Tensor) -> Tensor:
        return self.value.expand(len(lst), 1, *guidance.shape[-2:])


def test_the_default_is_smooth_l1_mainly_behind_the_consistency_correction() -> None:
    batch = sampler().batch(2, step=1)
    fine = torch.zeros_like(batch.target)
    corrected = back_project(fine, batch.lst, batch.mask, 2)
    expected = sum(
        weight * torch.nn.functional.smooth_l1_loss(result[batch.mask], batch.target[batch.mask], beta=0.1).item()
        for result, weight in ((corrected, 1.0), (fine, UNCORRECTED))
    )
    seen: list[float] = []

    learn(
        _Constant(),
        sampler(),
        Schedule(1, 1e-3, 0.0, {2: 1.0}, 0),
        Group(torch.device("cpu")),
        lambda event: seen.extend([event.values["loss"]] if event.values else []),
        CancelToken(),
    )

    assert seen == pytest.approx([expected])


def test_the_parameters_of_a_loss_are_learned_along(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = build_loss("adaptive")
    monkeypatch.setattr("groklst_engine.losses.LOSSES", {"adaptive": lambda: loss})
    schedule = Schedule(5, 1e-2, 0.0, {2: 1.0}, 0, "adaptive")

    learn(_Constant(), sampler(), schedule, Group(torch.device("cpu")), ignore, CancelToken())

    assert isinstance(loss, LearnedWeights)
    assert (loss.uncertainties != 0).all()


@EVERY_LOSS
def test_training_makes_every_loss_smaller(name: str) -> None:
    torch.manual_seed(0)
    network = create_model("guided-residual", scale=2, guidance_bands=2, width=8, dilations=(1,), windows=(1,))
    batch = sampler().batch(2)
    measure = build_loss(name)

    def value() -> float:
        with torch.no_grad():
            fine = network(batch.lst, batch.guidance)
            return float(measure(fine, batch.target, batch.lst, batch.mask, 2))

    before = value()
    schedule = Schedule(30, 3e-3, 0.0, {2: 1.0}, 0, name)
    network = learn(network, sampler(), schedule, Group(torch.device("cpu")), ignore, CancelToken())

    assert value() < 0.97 * before
