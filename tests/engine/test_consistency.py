"""The fine field aggregates back to the coarse one it came from."""

from __future__ import annotations

import pytest
import torch

from groklst_engine.consistency import RADIUS, back_project
from groklst_engine.degrade import masked_block_mean
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
    corrected = back_project(fine, coarse, mask, scale)
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


def test_radius_is_as_far_as_it_looks() -> None:
    fine, coarse, mask = case(2, 0, side=24)
    changed = coarse.clone()
    changed[..., 12, 12] += 10
    difference = (back_project(fine, changed, mask, 2) != back_project(fine, coarse, mask, 2)).nonzero()[:, -2:] // 2
    assert int((difference - 12).abs().max()) <= RADIUS
