"""The jobs that help to choose before a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rasterio

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, GroklstError
from groklst_engine.events import CancelToken, ignore
from groklst_engine.jobs import parse_job
from groklst_engine.worker import run_job


def run(cancel: CancelToken | None = None, **job: Any) -> dict[str, Any]:
    return run_job(parse_job(job), ignore, cancel or CancelToken())


def scene_of(paths: ScenePaths, name: str = "hills", **more: Any) -> dict[str, Any]:
    assert paths.truth
    return {"name": name, "lst": {"path": str(paths.truth)}, "guidance": [{"path": str(paths.guidance)}], **more}


def test_models_come_with_what_a_choice_needs() -> None:
    models = {model["name"]: model for model in run(kind="models")["models"]}
    assert models["mocolsk"]["guided"]
    assert "small" in models["mocolsk"]["presets"]
    assert models["mocolsk"]["costs"]["4"]["parameters"] > 1e6
    assert models["mocolsk"]["paper"]["title"]


def test_a_step_is_really_measured() -> None:
    job = {"kind": "step-time", "model": "mocolsk", "preset": "small", "scale": 4, "guidance_bands": 2, "batch": 1}
    small = run(**job, crop=32)
    assert 0 < small["seconds"] < 60
    assert small["device"] in ("cpu", "cuda", "mps")
    assert run(**job, crop=128)["seconds"] > small["seconds"]


def test_a_single_image_network_needs_no_guidance() -> None:
    assert run(kind="step-time", model="edsr", preset="small", batch=1, crop=32)["parameters"] > 1000
    narrow, wide = (
        run(kind="step-time", model="guided-residual", arguments={"width": width}, batch=1, crop=32)["parameters"]
        for width in (8, 16)
    )
    assert narrow < wide


def test_a_step_that_cannot_be_is_a_sentence() -> None:
    with pytest.raises(GroklstError, match="mocolsk"):
        run(kind="step-time", model="mocolks")
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        run(cancel, kind="step-time", model="edsr", preset="small")


def test_preview_shows_each_scene(clear: ScenePaths, cloudy: ScenePaths, tmp_path: Path) -> None:
    scenes = [scene_of(clear), scene_of(cloudy, "clouds", native=2)]
    seen = run(kind="preview", scenes=scenes, output=str(tmp_path / "new" / "pictures"))
    assert seen["total"] == 2
    first, second = seen["chips"]
    assert (first["name"], first["width"], first["coverage"]) == ("hills", 96, 1.0)
    assert second["width"] == seen["side"] == 48
    assert second["coverage"] < 1
    assert "nir" in seen["roles"]
    for chip in (first, second):
        for picture in (chip["lst"], chip["guidance"]):
            with rasterio.open(picture) as image:
                assert (image.driver, image.count, image.width, image.height) == ("PNG", 3, 96, 96)
                assert image.read().std() > 5
    assert {path.suffix for path in (tmp_path / "new" / "pictures").iterdir()} == {".png"}


def test_preview_warns(clear: ScenePaths, tmp_path: Path) -> None:
    bare = scene_of(clear, "bare")
    bare["guidance"] = []
    seen = run(kind="preview", scenes=[scene_of(clear), bare], output=str(tmp_path))
    assert seen["roles"] == []
    assert seen["chips"][1]["guidance"] is None
    assert seen["warnings"][0].startswith("Not every scene has the bands ")


def test_preview_of_a_missing_file_is_a_sentence(clear: ScenePaths, tmp_path: Path) -> None:
    broken = scene_of(clear) | {"lst": {"path": str(tmp_path / "no.tif")}}
    with pytest.raises(GroklstError, match=r"no\.tif"):
        run(kind="preview", scenes=[broken], output=str(tmp_path))
