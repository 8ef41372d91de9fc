"""Point spread functions, and aggregation through them."""

from __future__ import annotations

import math

import pytest
import torch

from groklst_engine.degrade import aggregate, masked_block_mean
from groklst_engine.physics.psf import BOX, Psf


@pytest.mark.parametrize("mtf", [0.1, 0.2, 0.3, 0.5])
def test_a_gaussian_leaves_that_contrast_at_nyquist(mtf: float) -> None:
    """A wave of two coarse pixels, its crests on pixel centres."""
    scale, side = 32, 16
    position = (torch.arange(side * scale) + 0.5) / scale - 0.5
    wave = (math.pi * position).cos().expand(1, 1, side * scale, -1)
    seen, _ = aggregate(wave, torch.ones_like(wave, dtype=torch.bool), scale, Psf("gaussian", mtf))
    assert float(seen[0, 0, 8, 8]) == pytest.approx(mtf, abs=0.01)


def test_width_and_mtf_are_one() -> None:
    """By hand: MTF 0.3 is a standard deviation of √(2 ln(1 / 0.3)) / π = 0.494 coarse pixels."""
    assert Psf("gaussian", 0.3).sigma == pytest.approx(0.494, abs=5e-4)
    assert Psf.of_width(0.494).mtf == pytest.approx(0.3, abs=1e-3)
    assert Psf.of_width(0.01).mtf == 0.95
    assert Psf.of_width(5.0).mtf == 0.05


def test_the_triangle_lies_along_the_rows() -> None:
    """By hand, scale 2: along the row 1, 3, 3, 1 eighths; across it the pixel's own halves."""
    down, along = Psf("triangular").weights(2)
    assert along == pytest.approx((0, 0.125, 0.375, 0.375, 0.125, 0))
    assert down == pytest.approx((0, 0, 0.5, 0.5, 0, 0))
    point = torch.zeros(1, 1, 6, 6)
    point[..., 2, 1] = 8.0
    seen, _ = aggregate(point, torch.ones_like(point, dtype=torch.bool), 2, Psf("triangular"))
    inside = 1 / (0.125 + 0.75)  # the left pixel sees no farther than the edge
    assert seen[0, 0, 1].tolist() == pytest.approx([8 * 0.5 * 0.375 * inside, 8 * 0.5 * 0.125, 0])


@pytest.mark.parametrize("psf", [BOX, Psf("gaussian", 0.1), Psf("gaussian", 0.4), Psf("triangular")])
def test_a_constant_stays_and_gaps_do_not_count(psf: Psf) -> None:
    random = torch.Generator().manual_seed(0)
    mask = torch.rand(1, 1, 24, 24, generator=random) > 0.3
    mask[..., :12, :12] = False
    field = torch.full((1, 2, 24, 24), 300.0).where(mask, -9999.0)
    seen, share = aggregate(field, mask, 3, psf)
    assert (seen - 300).abs().where(share > 1e-3, 0.0).max() < 1e-3
    assert share[0, 0, 1, 1] < 1e-3
    assert share.max() <= 1 + 1e-6
    everywhere = torch.ones_like(mask)
    torch.testing.assert_close(aggregate(field, everywhere, 3, psf)[1], torch.ones(1, 1, 8, 8))


def test_the_box_is_the_block_mean() -> None:
    field = torch.rand(2, 3, 16, 16)
    mask = torch.rand(2, 1, 16, 16) > 0.4
    for seen, mean in zip(aggregate(field, mask, 4), masked_block_mean(field, mask, 4), strict=True):
        assert torch.equal(seen, mean)


def test_an_impossible_mtf_is_refused() -> None:
    with pytest.raises(ValueError, match=r"MTF of 1\.2"):
        Psf("gaussian", 1.2)
