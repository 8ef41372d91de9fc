"""The Processing algorithms around training: their jobs, and one round with the real engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from rasterfiles import write_raster

from groklst_qgis.processing.provider import GroklstProvider

NAMES = ("preparedataset", "train", "evaluate", "benchmark")
ALL = ("downscale", "downscalearchive", "inspect", *NAMES)


@pytest.fixture
def check(provider: GroklstProvider, context: QgsProcessingContext) -> Callable[..., tuple[bool, str]]:
    """Check the parameters of an algorithm."""

    def check(name: str, **parameters: Any) -> tuple[bool, str]:
        return provider.algorithm(name).checkParameterValues({"OUTPUT": "/no/where", **parameters}, context)

    return check


@pytest.fixture
def run(provider: GroklstProvider, context: QgsProcessingContext) -> Callable[..., dict[str, Any]]:
    """Run an algorithm for real."""

    def run(name: str, **parameters: Any) -> dict[str, Any]:
        algorithm = provider.algorithm(name)
        assert algorithm.checkParameterValues(parameters, context) == (True, "")
        results, _ = algorithm.run(parameters, context, QgsProcessingFeedback(False), catchExceptions=False)
        return results

    return run


@pytest.fixture
def rasters(tmp_path: Path) -> dict[str, str]:
    """A fine LST of 192 × 192 pixels that follows its two bands of guidance."""
    rng = np.random.default_rng(5)
    vegetation = np.kron(rng.uniform(0.1, 0.9, (24, 24)), np.ones((8, 8)))
    kelvin = 312 - 12 * vegetation + rng.normal(0, 0.1, vegetation.shape)
    return {
        "lst": write_raster(tmp_path / "lst.tif", kelvin[None], ("LST",)),
        "guidance": write_raster(
            tmp_path / "bands.tif", np.stack([0.2 - 0.15 * vegetation, 0.5 * vegetation]), ("red", "nir")
        ),
    }


@pytest.mark.parametrize("name", ALL)
def test_each_describes_itself(provider: GroklstProvider, name: str) -> None:
    algorithm = provider.algorithm(name)
    assert algorithm.id() == f"groklst:{name}"
    assert algorithm.displayName()
    assert algorithm.shortDescription().endswith(".")
    assert "<h3>Output</h3>" in algorithm.shortHelpString()
    assert isinstance(algorithm.create(), type(algorithm))
    for parameter in algorithm.parameterDefinitions():
        assert parameter.description()


def test_parameters_are_stable(provider: GroklstProvider) -> None:
    """Models and scripts name them."""
    scenes = ["MANIFEST", "LST", "LST_BAND", "GUIDANCE", "MASK", "NATIVE", "ROLES", "UNIT"]
    parameters = {name: [p.name() for p in provider.algorithm(name).parameterDefinitions()] for name in NAMES}
    for name in NAMES:
        start = 0 if name == "preparedataset" else 1
        assert parameters[name][start : start + len(scenes)] == scenes
    assert parameters["train"][9:] == [
        "MODEL", "PRESET", "SCALES", "ITERATIONS", "SPLIT", "BANDS", "START_FROM", "FREEZE", "BATCH", "CROP",
        "LEARNING_RATE", "LOSS", "VALIDATE_EVERY", "SEED", "DEVICE", "RESUME", "OUTPUT",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("train", {}, "No sources of scenes are given: choose one of a data set, a manifest of scenes or a fine LST"),
        ("preparedataset", {}, "No sources of scenes are given: choose one of a manifest of scenes or a fine LST"),
        ("train", {"DATASET": "/no", "MANIFEST": "/no.json"}, "Several sources of scenes are given: choose one of"),
        ("train", {"DATASET": "/no/folder"}, "The data set /no/folder is no folder"),
        ("train", {"MANIFEST": "/no.json"}, "The manifest /no.json cannot be read: No such file"),
        ("train", {"MANIFEST": __file__}, f"The manifest {__file__} is no JSON list of scenes"),
        ("train", {"LST": "/no.tif"}, "LST layer /no.tif cannot be opened: choose a raster that exists."),
        ("train", {"BANDS": "red,heat"}, "'heat' is no role of a guidance band: choose of coastal, blue,"),
        ("train", {"DATASET": "/", "SCALES": "4, x"}, "'x' is no scale: give whole numbers of 2 or more"),
        ("train", {"DATASET": "/", "SCALES": ","}, "No scale is given: give whole numbers of 2 or more"),
        ("train", {"DATASET": "/", "MODEL": " "}, "No network is named: give one, e.g. guided-residual."),
        ("evaluate", {"DATASET": "/", "METHODS": ","}, "No method is named: give some"),
        (
            "benchmark",
            {"DATASET": "/", "METHODS": ""},
            "Neither a network nor a method is named: give what to compare.",
        ),
    ],
)
def test_bad_parameters_are_refused(
    check: Callable[..., tuple[bool, str]], name: str, parameters: dict[str, Any], sentence: str
) -> None:
    accepted, reason = check(name, **parameters)
    assert not accepted
    assert reason.startswith(sentence)


def test_networks_are_not_trained_on_scenes(check: Callable[..., tuple[bool, str]], rasters: dict[str, str]) -> None:
    accepted, reason = check("benchmark", LST=rasters["lst"], MODELS="edsr")
    assert not accepted
    assert reason.startswith("Networks are trained on a data set's training split")


def test_manifest_paths_start_at_its_folder(
    provider: GroklstProvider, context: QgsProcessingContext, tmp_path: Path
) -> None:
    manifest = tmp_path / "scenes.json"
    scene = {"name": "a", "lst": {"path": "a/lst.tif"}, "guidance": [{"path": "/abs/g.tif"}], "mask": "a/clear.tif"}
    manifest.write_text(json.dumps([scene]))
    algorithm = provider.algorithm("preparedataset").create()
    job = algorithm.job({"MANIFEST": str(manifest), "SCALES": "2,8", "PSF": 1, "FORMAT": 2}, context)
    assert job["scenes"] == [
        {
            "name": "a",
            "lst": {"path": str(tmp_path / "a" / "lst.tif")},
            "guidance": [{"path": "/abs/g.tif"}],
            "mask": str(tmp_path / "a" / "clear.tif"),
        }
    ]
    assert (job["scales"], job["psf"], job["format"]) == ([2, 8], "gaussian", "groklst")


def test_a_round_with_the_real_engine(
    run: Callable[..., dict[str, Any]], rasters: dict[str, str], tmp_path: Path
) -> None:
    """Prepare, train, evaluate, benchmark: each takes what the one before has made."""
    prepared = run(
        "preparedataset",
        LST=rasters["lst"],
        GUIDANCE=[rasters["guidance"]],
        SCALES="4",
        CROP=48,
        OUTPUT=str(tmp_path / "dataset"),
    )
    assert prepared["CHIPS"] > 4
    trained = run(
        "train",
        DATASET=prepared["OUTPUT"],
        MODEL="edsr",
        PRESET="small",
        SCALES="4",
        ITERATIONS=3,
        BATCH=2,
        CROP=48,
        OUTPUT=str(tmp_path / "mine"),
    )
    assert trained["OUTPUT"] == str(tmp_path / "mine.safetensors")
    assert "edsr" in Path(trained["CARD"]).read_text("utf-8")
    tuned = run(
        "train",
        DATASET=prepared["OUTPUT"],
        START_FROM=trained["OUTPUT"],
        FREEZE="head",
        SCALES="4",
        ITERATIONS=1,
        BATCH=2,
        CROP=48,
        OUTPUT=str(tmp_path / "tuned"),
    )
    assert "edsr" in Path(tuned["CARD"]).read_text("utf-8"), "the network is that of the weights"
    evaluated = run(
        "evaluate", DATASET=prepared["OUTPUT"], METHODS=trained["OUTPUT"], SCALES="4", OUTPUT=str(tmp_path / "scores")
    )
    table = Path(evaluated["CSV"]).read_text("utf-8")
    assert "bicubic" in table
    assert "mine" in table
    compared = run(
        "benchmark",
        LST=rasters["lst"],
        GUIDANCE=[rasters["guidance"]],
        METHODS="bicubic,nearest",
        SCALES="4",
        OUTPUT=str(tmp_path / "benchmark"),
    )
    assert "nearest" in Path(compared["TABLE"]).read_text("utf-8").lower()
