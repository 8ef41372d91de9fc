"""The five scores, against their formulas in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from groklst_engine.metrics import ScoreAccumulator, Scores, average, score


def pair(n: int = 900, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(300, 6, (n // 30, 30)).astype(np.float32)
    return (truth + random.normal(0.4, 1.5, truth.shape)).astype(np.float32), truth


def by_formula(prediction: np.ndarray, truth: np.ndarray) -> Scores:
    p, t = prediction.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    sigma_p, sigma_t = p.std(ddof=1), t.std(ddof=1)
    return Scores(
        rmse=np.sqrt(((p - t) ** 2).mean()),
        mae=np.abs(p - t).mean(),
        bias=(p - t).mean(),
        cc=np.corrcoef(p, t)[0, 1],
        rsd=abs(sigma_p - sigma_t) / sigma_t,
        n=p.size,
    )


def assert_same(a: Scores, b: Scores) -> None:
    assert a.to_json() == pytest.approx(b.to_json(), rel=1e-10, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_formulas(seed: int) -> None:
    assert_same(score(*pair(seed=seed)), by_formula(*pair(seed=seed)))


@pytest.mark.parametrize("cuts", [[1], [7, 8, 29], range(1, 30)])
def test_tile_by_tile_is_the_whole(cuts: list[int]) -> None:
    prediction, truth = pair()
    accumulator = ScoreAccumulator()
    for p, t in zip(np.split(prediction, cuts, 1), np.split(truth, cuts, 1), strict=True):
        accumulator.update(p, t)
    accumulator.update(np.empty(0), np.empty(0))
    assert_same(accumulator.scores(), score(prediction, truth))


def test_nan_and_mask_take_pixels_out() -> None:
    prediction, truth = pair()
    mask = np.random.default_rng(1).random(truth.shape) < 0.7
    counted = mask.copy()
    prediction[2:5] = np.nan
    truth[:, 9] = np.nan
    prediction[7, 7] = np.inf
    counted[2:5], counted[:, 9], counted[7, 7] = False, False, False
    assert_same(score(prediction, truth, mask), by_formula(prediction[counted], truth[counted]))


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no valid pixel"):
        score(np.full(4, np.nan), np.ones(4))


@pytest.mark.parametrize("constant", [300.0, 300.1, -0.3])
@pytest.mark.parametrize("pieces", [1, 7])
def test_constant_fields_have_no_correlation(constant: float, pieces: int) -> None:
    flat, varied = np.full(1001, constant), pair(1020)[1].ravel()[:1001].astype(np.float64)
    for prediction, truth in [(flat, varied), (varied, flat), (flat, flat)]:
        accumulator = ScoreAccumulator()
        for p, t in zip(np.array_split(prediction, pieces), np.array_split(truth, pieces), strict=True):
            accumulator.update(p, t)
        scores = accumulator.scores()
        assert np.isnan(scores.cc)
        assert np.isnan(scores.rsd) == (truth is flat)
        assert scores.rmse == pytest.approx(np.sqrt(((prediction - truth) ** 2).mean()))


def test_perfect_and_opposite() -> None:
    _, truth = pair()
    assert_same(score(truth, truth), Scores(0, 0, 0, 1, 0, truth.size))
    assert score(600 - truth, truth).cc == pytest.approx(-1)


def test_average_is_not_pooled() -> None:
    small, large = pair(90, 1), pair(900, 2)
    small[0][:] += 3
    rows = [score(*small), score(*large)]
    averaged = average(rows)
    assert averaged.rmse == pytest.approx((rows[0].rmse + rows[1].rmse) / 2)
    assert averaged.n == 990
    pooled = score(*(np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(small, large, strict=True)))
    assert pooled.rmse == pytest.approx(np.sqrt((90 * rows[0].rmse ** 2 + 900 * rows[1].rmse ** 2) / 990))
    assert averaged.rmse - pooled.rmse > 0.3
