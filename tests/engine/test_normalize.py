"""The normaliser, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from groklst_engine.normalize import Mode, Normalizer


def samples(count: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Bands of very different size, with masks; the masked pixels are wild."""
    random = torch.Generator().manual_seed(0)
    parts = []
    for _ in range(count):
        values = torch.randn(2, 3, 8, 9, generator=random) * torch.tensor([5, 0.1, 900])[:, None, None]
        values = values + torch.tensor([300, 0.3, 1500])[:, None, None]
        mask = torch.rand(2, 1, 8, 9, generator=random) < 0.6
        parts.append((values.where(mask, 1e6), mask))
    return parts


def valid(parts: list[tuple[torch.Tensor, torch.Tensor]]) -> np.ndarray:
    """``(bands, pixels)`` in float64."""
    bands = [values.double().numpy().swapaxes(0, 1)[:, mask.numpy()[:, 0]] for values, mask in parts]
    return np.concatenate(bands, axis=1)


def test_z_scores_are_numpys() -> None:
    fitted, pixels = Normalizer.fit(samples()), valid(samples())
    np.testing.assert_allclose(fitted.shift, pixels.mean(1), rtol=1e-9)
    np.testing.assert_allclose(fitted.scale, pixels.std(1), rtol=1e-6)


def test_min_max_is_numpys() -> None:
    fitted, pixels = Normalizer.fit(samples(), "min-max"), valid(samples())
    np.testing.assert_allclose(fitted.shift, pixels.min(1))
    np.testing.assert_allclose(fitted.scale, np.ptp(pixels, 1))


def test_none_changes_nothing() -> None:
    fitted = Normalizer.fit(samples(), "none")
    assert (fitted.shift, fitted.scale) == ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("mode", ["z-score", "min-max", "none"])
def test_invert_undoes_apply(mode: Mode) -> None:
    fitted = Normalizer.fit(samples(), mode)
    values = samples()[0][0].where(samples()[0][1], 300.0)
    torch.testing.assert_close(fitted.invert(fitted.apply(values)), values, rtol=1e-5, atol=1e-3)


def test_samples_without_a_valid_pixel_do_not_count() -> None:
    nothing = (torch.full((1, 3, 4, 4), 1e6), torch.zeros(1, 1, 4, 4, dtype=torch.bool))
    assert Normalizer.fit([nothing, *samples(), nothing]) == Normalizer.fit(samples())
    with pytest.raises(ValueError, match="no valid value"):
        Normalizer.fit([nothing])


@pytest.mark.parametrize("mode", ["z-score", "min-max"])
def test_a_constant_band_becomes_zero(mode: Mode) -> None:
    constant = torch.full((1, 1, 8, 8), 1234.5)
    fitted = Normalizer.fit([(constant, torch.ones(1, 1, 8, 8, dtype=torch.bool))], mode)
    assert (fitted.apply(constant) == 0).all()


def test_kelvin_are_not_computed_in_half_precision() -> None:
    kelvin = Normalizer((300.0,), (5.0,)).invert(torch.tensor([[[[0.1]]]], dtype=torch.bfloat16))
    assert kelvin.dtype == torch.float32
    assert float(kelvin) == pytest.approx(300.5, abs=0.01)
