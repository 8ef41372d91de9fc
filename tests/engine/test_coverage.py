"""Real errors and standard errors, held against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from groklst_engine.coverage import SAMPLE, ErrorSample, coverage


def sample(count: int, seed: int, factor: float = 1.0) -> ErrorSample:
    random = np.random.default_rng(seed)
    sigmas = random.uniform(0.2, 3, count)
    return ErrorSample(random.normal(0, sigmas), factor * sigmas)


def test_right_standard_errors_cover_what_a_normal_distribution_says() -> None:
    found = coverage([sample(50_000, 1)])
    assert found.within_1_sigma == pytest.approx(0.683, abs=0.01)
    assert found.within_2_sigma == pytest.approx(0.954, abs=0.01)
    assert found.sigma_correlation > 0.3


def test_standard_errors_of_half_the_size_cover_less() -> None:
    assert coverage([sample(50_000, 1, 0.5)]).within_2_sigma == pytest.approx(0.683, abs=0.01)


def test_standard_errors_at_random_say_nothing() -> None:
    random = np.random.default_rng(2)
    shuffled = ErrorSample(sample(10_000, 3).errors, random.uniform(0.2, 3, 10_000))
    assert abs(coverage([shuffled]).sigma_correlation) < 0.05
    assert math.isnan(coverage([ErrorSample(np.ones(9), np.ones(9))]).sigma_correlation)


def test_scenes_are_pooled_by_the_same_number_of_pixels() -> None:
    honest, bold = sample(100_000, 4).drawn(), sample(5000, 5, 0.5).drawn()
    assert honest.errors.size == bold.errors.size == SAMPLE
    expected = (coverage([honest]).within_1_sigma + coverage([bold]).within_1_sigma) / 2
    assert coverage([honest, bold]).within_1_sigma == pytest.approx(expected)


def test_only_pixels_that_count_are_taken() -> None:
    result = np.array([[300.0, 301.0, np.nan, 303.0]])
    sigma = np.array([[1.0, np.nan, 1.0, 2.0]])
    taken = ErrorSample.of(result, sigma, np.full((1, 4), 300.0), np.array([[True, True, True, True]]))
    assert taken.errors.tolist() == [0.0, 3.0]
    assert taken.sigmas.tolist() == [1.0, 2.0]
