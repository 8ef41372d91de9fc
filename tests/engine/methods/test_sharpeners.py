"""What all sharpeners promise, and what each is made for, on scenes whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rasters import PIXEL, block_means, fine, job_for, read, write

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, InputError
from groklst_engine.events import CancelToken, Event, ignore
from groklst_engine.methods import METHODS, get_method
from groklst_engine.methods.base import Batch, BuildOptions, Scene
from groklst_engine.predict import downscale

SCALE = 4
SIDE = 96
SHARPENERS = [spec.name for spec in METHODS.values() if spec.kind in ("sharpener", "trained on the scene")]
QUICK = [name for name in SHARPENERS if name != "self-scale-boosted"]
"""Without the slowest, which is made of parts of ``self-scale`` and ``gradient-boosting``."""

EXACT = ["linear", "atprk", "dms", "dms-global", "local-linear", "gwr", "self-scale"]
Field = NDArray[np.float64]


def patches(seed: int, side: int = SIDE, grain: int = 3) -> Field:
    """A field of square patches, 0 to 1."""
    coarse = np.random.default_rng(seed).uniform(0, 1, (-(-side // grain), -(-side // grain)))
    return coarse.repeat(grain, 0).repeat(grain, 1)[:side, :side]


def world(folder: Path, relation: Callable[[Field, Field], Field], side: int = SIDE) -> tuple[Path, Path, Field]:
    """LST file, guidance file and true fine LST that follows from two bands."""
    ndvi, dem = patches(1, side), patches(2, side, 5)
    truth = relation(ndvi, dem)
    lst = write(folder / "lst.tif", block_means(truth, SCALE).astype(np.float32), nodata=-1.0)
    names = ["ndvi", "dem"]
    bands = np.stack([ndvi, 1000 * dem]).astype(np.float32)
    return lst, write(folder / "g.tif", bands, pixel=PIXEL / SCALE, names=names, nodata=-9.0), truth


def linear(ndvi: Field, dem: Field) -> Field:
    return 310 - 12 * ndvi - 6 * dem


def bent(ndvi: Field, dem: Field) -> Field:
    return np.where(ndvi > 0.5, 300 - 4 * dem, 312 - 10 * ndvi)


def rmse(values: Field, truth: Field) -> float:
    return float(np.sqrt(np.mean((values - truth) ** 2)))


def as_scene(lst: Field, guidance: Field, mask: Field | None = None) -> tuple[Scene, BuildOptions]:
    """A scene of one tile, without files."""
    one = torch.from_numpy(guidance.astype(np.float32))[None]
    valid = torch.ones(1, 1, *one.shape[-2:], dtype=torch.bool) if mask is None else torch.from_numpy(mask)[None, None]
    batch = Batch(torch.from_numpy(lst.astype(np.float32))[None, None], one, valid)
    roles = ("ndvi", "dem")[: one.shape[1]]
    return Scene((batch,), roles, SCALE), BuildOptions(SCALE, roles, torch.device("cpu"), seed=1)


# --- what each is made for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EXACT)
def test_a_linear_world_is_restored(method: str, tmp_path: Path) -> None:
    lst, guidance, truth = world(tmp_path, linear)
    bicubic = rmse(fine(lst, guidance, output=tmp_path / "b.tif", method="bicubic"), truth)
    ours = rmse(fine(lst, guidance, output=tmp_path / "o.tif", method=method), truth)
    share = 0.02 if method in ("linear", "atprk") else 0.35
    assert bicubic > 1
    assert ours < share * bicubic


@pytest.mark.parametrize("method", ["dms", "dms-global", "random-forest", "gradient-boosting"])
def test_trees_restore_a_bent_world_better_than_a_line(method: str, tmp_path: Path) -> None:
    lst, guidance, truth = world(tmp_path, bent)
    straight = rmse(fine(lst, guidance, output=tmp_path / "b.tif", method="linear"), truth)
    assert rmse(fine(lst, guidance, output=tmp_path / "o.tif", method=method), truth) < straight


def test_local_methods_follow_a_relation_that_changes_its_sign(tmp_path: Path) -> None:
    sign = np.where(np.arange(SIDE) < SIDE // 2, 1.0, -1.0)
    lst, guidance, truth = world(tmp_path, lambda ndvi, dem: 300 + sign * 10 * ndvi)
    everywhere = rmse(fine(lst, guidance, output=tmp_path / "b.tif", method="linear"), truth)
    for method in ("local-linear", "gwr"):
        assert rmse(fine(lst, guidance, output=tmp_path / f"{method}.tif", method=method), truth) < 0.7 * everywhere


def test_fractional_cover_restores_a_world_of_vegetation(tmp_path: Path) -> None:
    """Where the LST is linear in the cover, and the patches are whole coarse pixels or finer."""
    lst, guidance, truth = world(tmp_path, lambda ndvi, dem: 315 - 20 * (1 - (1 - ndvi) ** 0.625))
    values = {
        name: fine(lst, guidance, output=tmp_path / f"{name}.tif", method=name) for name in ("bicubic", "tsharp-cover")
    }
    assert rmse(values["tsharp-cover"], truth) < 0.3 * rmse(values["bicubic"], truth)


# --- what all promise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", QUICK)
def test_gaps_stay_gaps_and_spoil_nothing_else(method: str, tmp_path: Path) -> None:
    lst, guidance, truth = world(tmp_path, linear)
    coarse = read(lst)
    coarse[5:8, 5:9] = -1
    bands = np.stack([read(guidance), (1000 * patches(2, SIDE, 5)).astype(np.float32)])
    bands[0, 60:70, 60:80] = -9
    write(lst, coarse, nodata=-1.0)
    write(guidance, bands, pixel=PIXEL / SCALE, names=["ndvi", "dem"], nodata=-9.0)
    values = fine(lst, guidance, output=tmp_path / "o.tif", method=method)
    expected = np.zeros((SIDE, SIDE), bool)
    expected[20:32, 20:36] = True
    if method not in ("tsharp", "tsharp-cover"):
        expected[60:70, 60:80] = True
    missing = ~np.isfinite(values)
    assert missing[expected].all()
    assert not missing[0:20].any()
    assert np.abs(values - truth)[~missing].max() < 15


@pytest.mark.parametrize("method", QUICK)
def test_the_same_seed_gives_the_same_result(method: str, clear: ScenePaths, tmp_path: Path) -> None:
    one, other = (
        fine(clear.lst, clear.guidance, output=tmp_path / f"{run}.tif", method=method, seed=7) for run in range(2)
    )
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", [name for name in QUICK if name != "dms"])
def test_tiles_give_what_the_whole_gives(method: str, clear: ScenePaths, tmp_path: Path) -> None:
    whole = fine(clear.lst, clear.guidance, output=tmp_path / "w.tif", method=method)
    tiled = fine(clear.lst, clear.guidance, output=tmp_path / "t.tif", method=method, tile=32)
    np.testing.assert_allclose(tiled, whole, atol=2e-3)


@pytest.mark.parametrize("method", SHARPENERS)
def test_too_few_pixels_to_learn_from(method: str) -> None:
    ndvi = patches(1, 12)
    scene, options = as_scene(block_means(300 - 10 * ndvi, SCALE), ndvi[None])
    with pytest.raises(InputError, match="use a larger extent"):
        get_method(method).build(options).fit(scene, ignore, CancelToken())


@pytest.mark.parametrize("method", ["linear", "dms", "random-forest", "gradient-boosting", "gwr", "self-scale-boosted"])
def test_learning_stops_when_asked_to(method: str, clear: ScenePaths, tmp_path: Path) -> None:
    cancel = CancelToken()

    def stop(event: Event) -> None:
        if event.message.startswith(("Learning", "Growing", "Choosing")):
            cancel.cancel()

    with pytest.raises(Cancelled):
        downscale(job_for(clear.lst, clear.guidance, output=tmp_path / "o.tif", method=method), stop, cancel)
    assert list(tmp_path.iterdir()) == []


def test_the_windows_of_a_tile_stop_when_asked_to() -> None:
    ndvi = patches(1)
    scene, options = as_scene(block_means(310 - 12 * ndvi, SCALE), ndvi[None])
    cancel = CancelToken()
    method = get_method("dms").build(options)
    method.fit(scene, ignore, cancel)
    cancel.cancel()
    with pytest.raises(Cancelled):
        method(scene.tiles[0])


def test_masked_pixels_teach_nothing() -> None:
    ndvi = patches(1)
    truth = 310 - 12 * ndvi
    lst = block_means(truth, SCALE)
    lst[:6] += 40  # a hot band that the mask takes out
    mask = np.ones((SIDE, SIDE), bool)
    mask[:24] = False
    scene, options = as_scene(lst, ndvi[None], mask)
    method = get_method("linear").build(options)
    method.fit(scene, ignore, CancelToken())
    values = method(scene.tiles[0])[0, 0].numpy()
    np.testing.assert_allclose(values[40:], truth[40:], atol=0.02)
