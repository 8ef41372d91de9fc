"""Gap filling: no NaN is left, nothing valid changes, nothing far away matters."""

from __future__ import annotations

import pytest
import torch

from groklst_engine.inference.gaps import REACH, fill_gaps


def with_gap(height: int = 30, width: int = 30) -> torch.Tensor:
    values = torch.randn(1, 2, height, width, generator=torch.Generator().manual_seed(0))
    values[:, 0, 8:22, 9:23] = torch.nan
    values[:, 1, 3, 3] = torch.nan
    return values


def test_no_gap_is_left_and_valid_pixels_stay() -> None:
    values = with_gap()
    filled = fill_gaps(values, torch.tensor([7.0, 8.0]))
    assert torch.isfinite(filled).all()
    valid = torch.isfinite(values)
    assert torch.equal(filled[valid], values[valid])


def test_a_single_pixel_gets_its_neighbours_mean() -> None:
    values = with_gap()
    around = torch.cat([values[0, 1, 2:5, 2:5].flatten()[:4], values[0, 1, 2:5, 2:5].flatten()[5:]])
    torch.testing.assert_close(fill_gaps(values, torch.zeros(2))[0, 1, 3, 3], around.mean())


def test_deep_inside_stands_the_fallback() -> None:
    filled = fill_gaps(with_gap(), torch.tensor([7.0, 8.0]))[0, 0]
    deep = filled[8 + REACH : 22 - REACH, 9 + REACH : 23 - REACH]
    assert (deep == 7).all()
    assert not (filled[8 : 8 + REACH, 9:23] == 7).any()


def test_only_what_is_within_reach_matters() -> None:
    """Which is why tiles agree."""
    whole = fill_gaps(with_gap(), torch.zeros(2))
    part = fill_gaps(with_gap()[..., 5:25, 6:21], torch.zeros(2))
    inner = (..., slice(REACH, -REACH), slice(REACH, -REACH))
    assert torch.equal(part[inner], whole[..., 5:25, 6:21][inner])


@pytest.mark.parametrize("bands", [0, 3])
def test_nothing_to_fill(bands: int) -> None:
    values = torch.ones(1, bands, 4, 4)
    assert torch.equal(fill_gaps(values, torch.zeros(bands)), values)
    everything = torch.full((1, 1, 4, 4), torch.nan)
    assert (fill_gaps(everything, torch.tensor([5.0])) == 5).all()
