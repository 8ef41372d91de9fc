"""The fine field aggregates back to the coarse one it came from: as means, through a sensor's optics, in radiance."""

from __future__ import annotations

import pytest
import torch

from groklst_engine.consistency import RADIUS, Correction, back_project
from groklst_engine.degrade import aggregate, masked_block_mean
from groklst_engine.physics.psf import Psf, PsfShape
from groklst_engine.physics.radiance import to_kelvin, to_radiance
from groklst_engine.resample import upsample


def case(scale: int, gaps: float, side: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A bad fine guess, the coarse truth, and a mask with some whole blocks missing."""
    random = torch.Generator().manual_seed(scale)
    coarse = 300 + 5 * torch.randn(2, 1, side, side, generator=random)
    fine = 290 + 8 * torch.randn(2, 1, side * scale, side * scale, generator=random)
    mask = torch.rand(fine.shape, generator=random) >= gaps
    mask[:, :, : 2 * scale, :scale] = False
    return fine, coarse, mask


@pytest.mark.parametrize("gaps", [0.0, 0.5])
@pytest.mark.parametrize("scale", [2, 3, 4, 8, 32])
def test_block_means_become_the_coarse_values(scale: int, gaps: float) -> None:
    fine, coarse, mask = case(scale, gaps)
    corrected = Correction()(fine, coarse, mask, scale)
    mean, share = masked_block_mean(corrected.double(), mask, scale)
    assert ((mean - coarse).abs().where(share > 0, 0.0)).max() < 0.005
    assert torch.isfinite(corrected).all()


@pytest.mark.parametrize("scale", [2, 4])
def test_what_is_consistent_stays(scale: int) -> None:
    fine, _, _ = case(scale, 0)
    everywhere = torch.ones_like(fine, dtype=torch.bool)
    coarse, _ = masked_block_mean(fine, everywhere, scale)
    torch.testing.assert_close(back_project(fine, coarse, everywhere, scale), fine, atol=1e-3, rtol=0)


def test_the_correction_is_smooth_where_bicubic_suffices() -> None:
    """Nearest-neighbour blocks are consistent, too; the correction must not turn bicubic into them."""
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    coarse = (300 + torch.sin(y / 2) + torch.cos(x / 2))[None, None]
    everywhere = torch.ones(1, 1, 48, 48, dtype=torch.bool)
    corrected = back_project(upsample(coarse, 4, "bicubic"), coarse, everywhere, 4)
    jumps = corrected.diff(dim=-1)[..., 8:-8, 8:-8].abs()
    assert jumps[..., 3::4].mean() < 2 * jumps[..., 1::4].mean()


def landscape(scale: int, side: int = 40) -> torch.Tensor:
    """A fine field with power at all scales, ``(1, 1, s·side, s·side)`` kelvin."""
    random = torch.Generator().manual_seed(1)
    size = side * scale
    noise = torch.fft.rfft2(torch.randn(size, size, generator=random))
    frequency = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None])
    field = torch.fft.irfft2(noise / (frequency + 1 / size) ** 1.5, s=(size, size))
    return (300 + 5 * field / field.std())[None, None]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("psf", [Psf("gaussian", 0.2), Psf("gaussian", 0.4), Psf("triangular")])
def test_seen_through_the_sensor_it_becomes_the_coarse_lst(psf: Psf, scale: int) -> None:
    """The coarse LST is what the sensor saw of a true field; the fine guess knows nothing but its bicubic."""
    truth = landscape(scale)
    mask = torch.ones_like(truth, dtype=torch.bool)
    mask[..., 30:40, 50:70] = False
    coarse, share = aggregate(truth, mask, scale, psf)
    coarse = coarse.where(share > 0, 300.0)
    guess = upsample(coarse, scale, "bicubic")

    def misfit(fine: torch.Tensor) -> float:
        seen, there = aggregate(fine, mask, scale, psf)
        return float((seen - coarse)[there > 0].square().mean().sqrt())

    corrected = Correction(psf=psf)(guess, coarse, mask, scale)
    assert misfit(corrected) < 0.1 * misfit(guess)
    error, before = ((field - truth)[mask].square().mean().sqrt() for field in (corrected, guess))
    assert error < before, "the correction undoes the blur"


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", ["box", "gaussian"])
def test_strength_is_the_share_of_the_difference_removed(shape: PsfShape, strength: float) -> None:
    fine, coarse, mask = case(4, 0.2)
    psf = Psf(shape)
    corrected = Correction(strength, psf)(fine, coarse, mask, 4)
    whole = Correction(1.0, psf)(fine, coarse, mask, 4)
    torch.testing.assert_close(corrected, fine + strength * (whole - fine), atol=1e-4, rtol=0)
    if shape == "box":
        mean, share = masked_block_mean(corrected, mask, 4)
        before, _ = masked_block_mean(fine, mask, 4)
        left = ((coarse - mean) / (coarse - before))[share > 0]
        torch.testing.assert_close(left, torch.full_like(left, 1 - strength), atol=0.01, rtol=0)


def test_in_radiance_the_emitted_radiance_is_kept() -> None:
    """By hand: halves of 280 and 320 K emit like 301.98 K, not like their mean of 300 K."""
    fine = torch.tensor([[280.0, 320.0], [280.0, 320.0]])[None, None]
    mask = torch.ones_like(fine, dtype=torch.bool)
    emitted = float(to_kelvin(to_radiance(fine).mean()))
    assert emitted == pytest.approx(((280**4 + 320**4) / 2) ** 0.25, abs=1e-3)
    assert emitted == pytest.approx(301.98, abs=0.01)
    coarse = torch.full((1, 1, 1, 1), emitted)
    torch.testing.assert_close(Correction(domain="radiance")(fine, coarse, mask, 2), fine, atol=1e-3, rtol=0)
    assert (Correction()(fine, coarse, mask, 2) - fine).mean() == pytest.approx(emitted - 300, abs=1e-3)


@pytest.mark.parametrize("uniform", [True, False])
def test_radiance_consistency_is_exact_in_radiance(uniform: bool) -> None:
    fine, coarse, mask = case(4, 0.3)
    emissivity = None if uniform else 0.9 + 0.09 * torch.rand(fine.shape, generator=torch.Generator().manual_seed(2))
    corrected = Correction(domain="radiance")(fine, coarse, mask, 4, emissivity)
    emitting = torch.ones_like(fine) if emissivity is None else emissivity
    radiance, share = masked_block_mean(to_radiance(corrected.double(), emitting), mask, 4)
    measured = to_radiance(coarse.double(), masked_block_mean(emitting, mask, 4)[0])
    assert (to_kelvin(radiance) - to_kelvin(measured)).where(share > 0, 0.0).abs().max() < 0.005
    temperature, _ = masked_block_mean(corrected, mask, 4)
    assert (temperature - coarse).abs().where(share > 0, 0.0).max() > 0.05


@pytest.mark.parametrize("psf", [Psf(), Psf("gaussian", 0.1), Psf("gaussian", 0.5), Psf("triangular")])
def test_radius_is_as_far_as_it_looks(psf: Psf) -> None:
    correction = Correction(psf=psf)
    fine, coarse, mask = case(2, 0, side=48)
    changed = coarse.clone()
    changed[..., 24, 24] += 10
    difference = (correction(fine, changed, mask, 2) != correction(fine, coarse, mask, 2)).nonzero()[:, -2:] // 2
    assert 2 < int((difference - 24).abs().max()) <= correction.radius
    assert Correction().radius == RADIUS
