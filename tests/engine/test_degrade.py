"""Wald's block means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groklst_engine.degrade import block_mean, masked_block_mean


def kelvin(side: int, bands: int = 1) -> torch.Tensor:
    return 300 + 5 * torch.randn(2, bands, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_block_means_are_numpys(scale: int) -> None:
    fine = kelvin(24, 2)
    expected = fine.double().numpy().reshape(2, 2, 24 // scale, scale, 24 // scale, scale).mean((3, 5))
    np.testing.assert_allclose(block_mean(fine, scale).numpy(), expected, atol=2e-4)


def test_no_bands_have_block_means_too() -> None:
    assert block_mean(torch.empty(2, 0, 12, 8), 4).shape == (2, 0, 3, 2)


@pytest.mark.parametrize("scale", [2, 4])
def test_masked_block_means(scale: int) -> None:
    fine = kelvin(16, 3)
    mask = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1)) < 0.4
    mask[:, :, : 2 * scale, :scale] = False
    mean, share = masked_block_mean(fine, mask, scale)
    holes = fine.double().where(mask, torch.nan).numpy().reshape(2, 3, 16 // scale, scale, 16 // scale, scale)
    counts = np.isfinite(holes[:, :1]).sum((3, 5))
    np.testing.assert_allclose(share.numpy(), counts / scale**2, atol=1e-6)
    expected = np.nansum(holes, (3, 5)) / np.maximum(counts, 1)
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-3)
    assert (mean[:, :, :2, :1] == 0).all()
