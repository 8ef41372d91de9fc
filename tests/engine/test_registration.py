"""The cross-sensor mode on generated scenes whose shift and point spread function are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin
from rasters import CORNER, PIXEL, block_means, read, run, write

from groklst_engine.degrade import aggregate, block_mean
from groklst_engine.evaluation import evaluate
from groklst_engine.events import CancelToken
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.jobs import EvaluateJob
from groklst_engine.methods.base import Batch, Scene
from groklst_engine.physics.psf import Psf
from groklst_engine.physics.registration import Registration, register

SCALE = 4
SIDE = 48


def fields(noise: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    """A fine LST and its NDVI, ``(1, 1, H, W)`` at half the fine pixel: patches of fields, and what NDVI can't tell."""
    random = torch.Generator().manual_seed(3)
    size = 2 * SCALE * SIDE
    patches = torch.rand(1, 1, size // 6, size // 6, generator=random).repeat_interleave(6, -1).repeat_interleave(6, -2)
    unknown = torch.nn.functional.interpolate(
        torch.randn(1, 1, 12, 12, generator=random), size=(size, size), mode="bicubic", align_corners=False
    )
    ndvi = 0.1 + 0.8 * patches[..., :size, :size]
    return 310 - 15 * ndvi + noise * unknown, ndvi


def observed(rows: int, columns: int, psf: Psf) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Coarse LST that saw the scene so many eighths of its pixel below and right; NDVI and LST at the fine pixel."""
    lst, ndvi = fields()
    there = torch.roll(lst, (-rows, -columns), (-2, -1))
    coarse, _ = aggregate(there, torch.ones_like(there, dtype=torch.bool), 2 * SCALE, psf)
    return coarse, block_mean(ndvi, 2), block_mean(lst, 2)


def scene(coarse: torch.Tensor, ndvi: torch.Tensor) -> Scene:
    return Scene((Batch(coarse, ndvi, torch.ones_like(ndvi, dtype=torch.bool)),), ("ndvi",), SCALE)


@pytest.mark.parametrize(("rows", "columns", "sigma"), [(0, 0, 0.5), (2, -3, 0.6), (-1, 1, 0.45), (3, 2, 0.6)])
def test_shift_and_width_are_found(rows: int, columns: int, sigma: float) -> None:
    """Within 0.03 coarse pixels each."""
    coarse, ndvi, _ = observed(rows, columns, Psf.of_width(sigma))
    found = register(scene(coarse, ndvi), CancelToken())
    assert isinstance(found, Registration)
    assert found.rows == pytest.approx(rows / 8, abs=0.03)
    assert found.columns == pytest.approx(columns / 8, abs=0.03)
    assert found.sigma == pytest.approx(sigma, abs=0.03)
    assert found.explained > found.unregistered
    assert not found.nested


def test_a_block_mean_is_seen_to_nest() -> None:
    coarse, ndvi, _ = observed(0, 0, Psf())
    found = register(scene(coarse, ndvi), CancelToken())
    assert isinstance(found, Registration)
    assert found.nested
    assert found.psf == Psf()


def test_without_evidence_there_is_no_registration() -> None:
    coarse, ndvi, _ = observed(0, 0, Psf())
    random = torch.Generator().manual_seed(5)
    assert "too little" in str(register(scene(300 + torch.randn(coarse.shape, generator=random), ndvi), CancelToken()))
    small = scene(coarse[..., :12, :12], ndvi[..., :48, :48])
    assert "too few" in str(register(small, CancelToken()))
    assert "no guidance" in str(register(Scene(small.tiles, (), SCALE), CancelToken()))


def test_guidance_of_another_place_is_not_believed() -> None:
    coarse, ndvi, _ = observed(7, 0, Psf.of_width(0.5))
    assert "which is not believed" in str(register(scene(coarse, ndvi), CancelToken()))


@pytest.fixture
def pair(tmp_path: Path) -> SceneSource:
    """Rasters of a shifted, blurred LST, 0.7 K too warm, with NDVI and a fine truth."""
    coarse, ndvi, lst = observed(2, -2, Psf.of_width(0.6))
    fine = {"pixel": PIXEL / SCALE}
    return SceneSource(
        name="pair",
        lst=LstSource(path=str(write(tmp_path / "truth.tif", lst[0, 0].numpy(), **fine)), unit="K"),
        coarse=LstSource(path=str(write(tmp_path / "coarse.tif", coarse[0, 0].numpy() + 0.7)), unit="K"),
        guidance=(GuidanceSource(path=str(write(tmp_path / "ndvi.tif", ndvi[0, 0].numpy(), **fine)), roles=("ndvi",)),),
    )


def test_a_real_pair_is_scored_without_its_bias_and_the_mode_helps(pair: SceneSource) -> None:
    plain = evaluate(EvaluateJob(scenes=(pair,), scales=(SCALE,), methods=("tsharp",)))
    matched = evaluate(EvaluateJob(scenes=(pair,), scales=(SCALE,), methods=("tsharp",), cross_sensor=True))
    assert plain.to_json()["protocol"] == "cross-sensor"
    assert all(abs(row.scores.bias) < 1e-3 for row in (*plain.rows, *matched.rows))
    assert plain.rows[0].scores.n == (SIDE * SCALE - 16) ** 2
    assert plain.rows[0].scores.rmse == pytest.approx(matched.rows[0].scores.rmse), "bicubic has nothing to go by"
    assert matched.rows[1].ratio < 0.8 * plain.rows[1].ratio


def test_the_result_lies_where_the_scene_is(pair: SceneSource, tmp_path: Path) -> None:
    assert pair.coarse is not None
    out = tmp_path / "fine.tif"
    result = run(
        Path(pair.coarse.path), Path(pair.guidance[0].path), output=out, scale=SCALE, method="tsharp", cross_sensor=True
    )
    found = result.registration
    assert found is not None
    assert (found["rows"], found["columns"]) == pytest.approx((0.25, -0.25), abs=0.04)
    with rasterio.open(out) as dataset:
        moved = from_origin(CORNER[0] + found["columns"] * PIXEL, CORNER[1] - found["rows"] * PIXEL, 1, 1)
        assert (dataset.transform.c, dataset.transform.f) == pytest.approx((moved.c, moved.f), abs=0.01)


def test_auto_tries_methods_where_the_lst_lies_and_reports_it(pair: SceneSource, tmp_path: Path) -> None:
    assert pair.coarse is not None
    inputs = Path(pair.coarse.path), Path(pair.guidance[0].path)
    wish = {"scale": SCALE, "method": "auto", "candidates": ("tsharp",), "cross_sensor": True}
    result = run(*inputs, output=tmp_path / "fine.tif", report=tmp_path / "report", **wish)
    assert result.choice is not None
    assert [trial["method"] for trial in result.choice["trials"]] == ["bicubic", "tsharp"]
    assert result.method == "tsharp"
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert report["registration"] == result.registration
    assert report["parameters"]["lst"]["shift"] == pytest.approx([0.25, -0.25], abs=0.04)
    assert [trial["chosen"] for trial in report["trials"]] == [False, True]
    plain = run(*inputs, output=tmp_path / "plain.tif", **{**wish, "candidates": ("nearest",)})
    assert plain.method == "bicubic", "registered, but there is no guidance in it"


def test_tiles_of_the_mode_have_the_bits_of_the_whole(pair: SceneSource, tmp_path: Path) -> None:
    assert pair.coarse is not None
    inputs = Path(pair.coarse.path), Path(pair.guidance[0].path)
    job = {"scale": SCALE, "method": "tsharp", "cross_sensor": True, "consistency": 0.5}
    run(*inputs, output=tmp_path / "tiled.tif", tile=64, **job)
    run(*inputs, output=tmp_path / "whole.tif", tile=4096, **job)
    assert np.array_equal(read(tmp_path / "tiled.tif"), read(tmp_path / "whole.tif"), equal_nan=True)


def test_a_nested_lst_is_treated_as_without_the_mode(tmp_path: Path) -> None:
    coarse, ndvi, _ = observed(0, 0, Psf())
    inputs = (
        write(tmp_path / "coarse.tif", coarse[0, 0].numpy()),
        write(tmp_path / "ndvi.tif", ndvi[0, 0].numpy(), pixel=PIXEL / SCALE, names=["ndvi"]),
    )
    run(*inputs, output=tmp_path / "with.tif", scale=SCALE, method="tsharp", cross_sensor=True)
    run(*inputs, output=tmp_path / "without.tif", scale=SCALE, method="tsharp")
    np.testing.assert_array_equal(read(tmp_path / "with.tif"), read(tmp_path / "without.tif"))
    assert np.abs(block_means(read(tmp_path / "with.tif"), SCALE) - coarse[0, 0].numpy()).max() < 0.01
