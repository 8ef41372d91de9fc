"""Interpolation, against torch's own and against what any interpolation must do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from groklst_engine.resample import REACH, Kernel, upsample

KERNELS: tuple[Kernel, ...] = ("nearest", "bilinear", "bicubic")


def coarse(height: int = 9, width: int = 7) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8, 13])
@pytest.mark.parametrize("kernel", KERNELS)
def test_it_is_torchs_interpolation(kernel: Kernel, scale: int) -> None:
    options = {} if kernel == "nearest" else {"align_corners": False}
    theirs = F.interpolate(coarse(), scale_factor=scale, mode=kernel, **options)
    torch.testing.assert_close(upsample(coarse(), scale, kernel), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 8])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_part_has_the_bits_of_the_whole(kernel: Kernel, scale: int) -> None:
    whole, reach = coarse(20, 17), REACH[kernel]
    part = whole[..., 5 - reach : 12 + reach, 3 - reach : 9 + reach]
    inner = upsample(part, scale, kernel)[..., reach * scale :, reach * scale :][..., : 7 * scale, : 6 * scale]
    assert torch.equal(inner, upsample(whole, scale, kernel)[..., 5 * scale : 12 * scale, 3 * scale : 9 * scale])


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_constant_stays_constant(kernel: Kernel) -> None:
    constant = torch.full((1, 1, 4, 4), 300.1)
    torch.testing.assert_close(upsample(constant, 3, kernel), torch.full((1, 1, 12, 12), 300.1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_a_plane_stays_a_plane_within(kernel: Kernel) -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    plane = (2 * y - 3 * x)[None, None]
    blocks = F.avg_pool2d(plane, 4)
    tolerance = 1e-3 if kernel == "bilinear" else 1.0  # A = −0.75 gives up straight lines for sharpness
    torch.testing.assert_close(
        upsample(blocks, 4, kernel)[..., 8:-8, 8:-8], plane[..., 8:-8, 8:-8], atol=tolerance, rtol=0
    )


def test_reach_is_what_the_kernels_look_at() -> None:
    for kernel in KERNELS:
        impulse = torch.zeros(1, 1, 11, 11)
        impulse[..., 5, 5] = 1
        touched = upsample(impulse, 3, kernel)[0, 0].abs().sum(0).nonzero().flatten() // 3
        assert 5 - int(touched.min()) <= REACH[kernel]
        assert int(touched.max()) - 5 <= REACH[kernel]
