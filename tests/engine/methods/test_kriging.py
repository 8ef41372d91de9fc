from __future__ import annotations

import numpy as np
import pytest
import torch

from groklst_engine.degrade import block_mean
from groklst_engine.events import CancelToken
from groklst_engine.methods.kriging import AreaToPoint, deconvolved_length, kriging_weights, variogram


def field(length: float, scale: int, side: int = 32) -> torch.Tensor:
    """A random ``(1, 1, H, W)`` field with an exponential covariance of ``length`` coarse pixels."""
    size = side * scale
    lags = np.minimum(np.arange(size), size - np.arange(size)) / scale
    covariance = np.exp(-np.hypot(lags[:, None], lags) / length)
    spectrum = np.sqrt(np.maximum(np.fft.fft2(covariance).real, 0))
    noise = np.random.default_rng(0).normal(size=(size, size))
    return torch.from_numpy(np.fft.ifft2(spectrum * np.fft.fft2(noise)).real.astype(np.float32))[None, None]


@pytest.mark.parametrize(("scale", "length"), [(2, 1.0), (3, 3.0), (4, 0.5)])
def test_the_fine_pixels_of_a_block_average_to_it(scale: int, length: float) -> None:
    weights = kriging_weights(scale, length)
    assert weights.sum(1) == pytest.approx(1)
    own = np.zeros(25)
    own[12] = 1
    assert weights.mean(0) == pytest.approx(own, abs=1e-9)


def test_the_variogram_of_points_is_found_from_blocks() -> None:
    for length in (1.0, 3.0):
        coarse = block_mean(field(length, 4), 4)
        assert length / 2 <= deconvolved_length(*variogram([coarse])) <= length * 2


def test_gaps_do_not_enter_the_variogram() -> None:
    coarse = block_mean(field(2.0, 2), 2)
    holed = coarse.clone()
    holed[..., 10:20, 10:20] = torch.nan
    _, whole, pairs = variogram([coarse])
    _, gammas, fewer = variogram([holed])
    assert gammas == pytest.approx(whole, rel=0.2)
    assert (fewer < pairs).all()


def test_it_beats_repeating_the_blocks() -> None:
    truth = field(3.0, 4, side=20)
    coarse = block_mean(truth, 4)
    method = AreaToPoint(4)
    method.fit([coarse], CancelToken())
    found = method(coarse)
    torch.testing.assert_close(block_mean(found, 4)[..., 3:-3, 3:-3], coarse[..., 3:-3, 3:-3], atol=1e-4, rtol=0)
    repeated = coarse.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert (found - truth).square().mean() < 0.9 * (repeated - truth).square().mean()


def test_steps_longer_than_the_field_are_left_out() -> None:
    steps, _, pairs = variogram([torch.rand(1, 1, 2, 3)])
    assert steps.max() == 2
    assert (pairs > 0).all()
