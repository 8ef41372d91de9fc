from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from osgeo import gdal
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
)

from groklst_qgis import choices
from groklst_qgis.engine import EngineCancelled, EngineError
from groklst_qgis.processing import algorithm as base
from groklst_qgis.processing import run_parameters
from groklst_qgis.processing.colours import Colours
from groklst_qgis.processing.downscale import DownscaleAlgorithm
from groklst_qgis.processing.provider import GroklstProvider
from groklst_qgis.results import thermal_renderer


@pytest.fixture
def algorithm(provider: GroklstProvider) -> QgsProcessingAlgorithm:
    return provider.algorithm("downscale")


@pytest.fixture
def make_raster(tmp_path: Path) -> Callable[..., str]:
    """Write a raster of 6 × 5 pixels with values from 290 on."""

    def make(name: str, bands: int = 1) -> str:
        dataset = gdal.GetDriverByName("GTiff").Create(str(tmp_path / name), 6, 5, bands, gdal.GDT_Float32)
        dataset.SetGeoTransform((500_000, 100, 0, 5_600_000, 0, -100))
        for number in range(1, bands + 1):
            dataset.GetRasterBand(number).WriteRaster(0, 0, 6, 5, b"\0\0\x91C" * 15 + b"\0\0\x9bC" * 15)
        return str(tmp_path / name)

    return make


class Listener(QgsProcessingFeedback):
    """Remembers what an algorithm says."""

    def __init__(self) -> None:
        super().__init__(False)
        self.said: list[tuple[str, str]] = []

    def pushInfo(self, info: str) -> None:  # noqa: N802
        self.said.append(("info", info))

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        self.said.append(("warning", warning))

    def pushDebugInfo(self, info: str) -> None:  # noqa: N802
        self.said.append(("debug", info))

    def setProgressText(self, text: str) -> None:  # noqa: N802
        self.said.append(("progress", text))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, make_raster: Callable[..., str]) -> dict[str, Any]:
    """A stand-in for the engine: the last job it got, and what it says and does."""
    state: dict[str, Any] = {"messages": [], "error": None, "warnings": [], "choice": None}

    def run_job(job: dict[str, Any], on_message: Callable, cancelled: Callable) -> dict[str, Any]:
        state["job"] = job
        for message in state["messages"]:
            on_message(message)
        if state["error"]:
            raise state["error"]
        make_raster(Path(job["output"]).name)
        report_html = f"{job['report']}/report.html" if job["report"] else None
        error = f"{job['output'].removesuffix('.tif')}_uncertainty.tif" if job["uncertainty"] else None
        return {
            "output": job["output"],
            "uncertainty": error,
            "report_html": report_html,
            "range": [290.0, 310.0],
            "choice": state["choice"],
            "warnings": state["warnings"],
        }

    monkeypatch.setattr(base, "run_job", run_job)
    return state


def test_parameters_are_stable(algorithm: QgsProcessingAlgorithm) -> None:
    names = ["LST", "LST_BAND", "GUIDANCE", "SCALE", "METHOD", "MASK", "UNCERTAINTY", "ROLES", "UNIT", "QUALITY"]
    names += ["CROSS_SENSOR", "CONSISTENCY", "STRENGTH", "PSF", "MTF", "DOMAIN", "EMISSIVITY", "DERIVE", "STEPS"]
    names += ["BUDGET", "PRECISION", "MEMORY", "CLUSTER", "COG", "OVERPASS", "RESUME", "OUTPUT", "REPORT"]
    assert [parameter.name() for parameter in algorithm.parameterDefinitions()] == names
    assert [output.name() for output in algorithm.outputDefinitions()] == [
        "OUTPUT",
        "REPORT",
        "REPORT_HTML",
        "STANDARD_ERROR",
    ]
    assert algorithm.parameterDefinition("SCALE").defaultValue() == 4
    assert not algorithm.icon().isNull()


def test_choices_are_the_engines() -> None:
    engine = Path(__file__).resolve().parents[2] / "groklst_engine"
    inputs, physics = (engine / "inputs.py").read_text("utf-8"), (engine / "physics_jobs.py").read_text("utf-8")
    psf = (engine / "physics" / "psf.py").read_text("utf-8")
    assert f'DEFAULT_METHOD = "{run_parameters.DEFAULT_METHOD}"' in inputs
    for name, known, source in (
        ("Precision", choices.PRECISIONS, inputs),
        ("Domain", choices.DOMAINS, physics),
        ("Derived", choices.DERIVED, physics),
        ("PsfShape", choices.PSFS, psf),
    ):
        listed = re.search(rf"^{name} = Literal\[(.*)\]$", source, re.MULTILINE)
        assert listed
        assert set(re.findall(r"[\w-]+", listed[1])) == set(known), name
    indices = (engine / "physics" / "indices.py").read_text("utf-8")
    assert set(re.findall(r'^    "(\w+)": Index\(', indices, re.MULTILINE)) == set(choices.INDICES)
    assert f'Cluster = Annotated[str, Field(pattern=r"{choices.CLUSTER}")]' in inputs


def test_job_takes_everything_from_the_parameters(
    algorithm: QgsProcessingAlgorithm,
    engine: dict[str, Any],
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    lst, bands, dem = make_raster("lst.tif", 2), make_raster("bands.tif", 3), make_raster("dem.tif")
    parameters = {
        "LST": lst,
        "LST_BAND": 2,
        "GUIDANCE": [bands, dem],
        "ROLES": "red, -, NIR;",
        "SCALE": 8,
        "METHOD": "tsharp",
        "CONSISTENCY": False,
        "UNIT": 2,
        "QUALITY": False,
        "PSF": 1,
        "MTF": 0.2,
        "DOMAIN": 1,
        "EMISSIVITY": dem,
        "BUDGET": 60,
        "PRECISION": 1,
        "MEMORY": 2.5,
        "CLUSTER": "local:2",
        "COG": True,
        "RESUME": True,
        "REPORT": str(tmp_path / "report"),
        "OUTPUT": str(tmp_path / "fine.tif"),
    }
    assert algorithm.checkParameterValues(parameters, context) == (True, "")
    results, succeeded = algorithm.run(parameters, context, Listener())
    assert succeeded
    assert engine["job"] == {
        "kind": "downscale",
        "lst": {"path": lst, "band": 2, "unit": "C", "qc": "any"},
        "guidance": [
            {"path": bands, "roles": ["red", None, "nir"], "qc": "any"},
            {"path": dem, "roles": [], "qc": "any"},
        ],
        "scale": 8,
        "method": "tsharp",
        "mask": None,
        "uncertainty": False,
        "consistency": 0.0,
        "cross_sensor": False,
        "steps": [],
        "overpass": None,
        "derive": [],
        "psf": "gaussian",
        "mtf": 0.2,
        "domain": "radiance",
        "emissivity": dem,
        "budget": 60.0,
        "precision": "float32",
        "memory": 2.5,
        "cog": True,
        "cluster": "local:2",
        "resume": True,
        "output": str(tmp_path / "fine.tif"),
        "report": str(tmp_path / "report"),
        "overwrite": True,
    }
    assert results == {
        "OUTPUT": str(tmp_path / "fine.tif"),
        "REPORT": str(tmp_path / "report"),
        "REPORT_HTML": str(tmp_path / "report" / "report.html"),
    }


def test_defaults_are_enough(
    algorithm: QgsProcessingAlgorithm,
    engine: dict[str, Any],
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    parameters = {"LST": make_raster("lst.tif"), "OUTPUT": str(tmp_path / "fine.tif")}
    assert algorithm.checkParameterValues(parameters, context) == (True, "")
    results, succeeded = algorithm.run(parameters, context, Listener())
    assert succeeded
    assert results == {"OUTPUT": str(tmp_path / "fine.tif")}
    job = engine["job"]
    assert job["lst"]["band"] == 1
    assert job["lst"]["unit"] == "auto"
    assert (job["scale"], job["method"], job["consistency"], job["report"]) == (4, "auto", 1.0, None)
    assert (job["psf"], job["domain"], job["precision"], job["lst"]["qc"]) == (
        "box",
        "temperature",
        "auto",
        "recommended",
    )
    assert (job["memory"], job["emissivity"], job["cluster"], job["resume"]) == (None, None, None, False)


def test_wishes_for_mask_steps_and_sensors(
    algorithm: QgsProcessingAlgorithm,
    engine: dict[str, Any],
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    output, mask = str(tmp_path / "fine.tif"), make_raster("clear.tif")
    parameters = {"LST": make_raster("lst.tif"), "OUTPUT": output, "MASK": mask}
    results, _ = algorithm.run({**parameters, "UNCERTAINTY": True, "STRENGTH": 0.5}, context, Listener())
    assert (engine["job"]["mask"], engine["job"]["consistency"]) == (mask, 0.5)
    assert results["STANDARD_ERROR"] == str(tmp_path / "fine_uncertainty.tif")
    wishes = {"CROSS_SENSOR": True, "STEPS": "2,2", "OVERPASS": "2020-07-14T10:45Z", "DERIVE": "slope, hillshade"}
    algorithm.run({**parameters, **wishes}, context, Listener())
    job = engine["job"]
    assert (job["cross_sensor"], job["consistency"], job["steps"]) == (True, 0.0, [2, 2])
    assert (job["overpass"], job["derive"]) == ("2020-07-14T10:45Z", ["slope", "hillshade"])


def test_messages_reach_the_feedback(
    algorithm: QgsProcessingAlgorithm,
    engine: dict[str, Any],
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    engine["messages"] = [
        {"type": "log", "level": "info", "message": "Two layers."},
        {"type": "log", "level": "warning", "message": "A gap."},
        {"type": "log", "level": "debug", "message": "stderr"},
        {"type": "progress", "fraction": 0.25, "message": "Tile 1 of 4"},
        {"type": "metric", "message": "Epoch 3", "values": {"loss": 0.1234567}},
    ]
    engine["choice"] = {"trials": [{"method": "dms", "rmse": 0.51234, "detail": 0.5, "damped": 0.7}]}
    feedback = Listener()
    algorithm.run({"LST": make_raster("lst.tif"), "OUTPUT": str(tmp_path / "fine.tif")}, context, feedback)
    assert feedback.progress() == 25
    assert feedback.said == [
        ("info", "Two layers."),
        ("warning", "A gap."),
        ("debug", "stderr"),
        ("progress", "Tile 1 of 4"),
        ("info", "Epoch 3: loss 0.1235"),
        ("info", "Tried dms: RMSE 0.512 K, 0.700 K with 50% of its detail"),
    ]


@pytest.mark.parametrize(
    "error", [EngineError("LST a.tif has no CRS: set one."), EngineCancelled("Cancelled; nothing was written.")]
)
def test_failure_is_one_sentence(
    error: Exception,
    algorithm: QgsProcessingAlgorithm,
    engine: dict[str, Any],
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    engine["error"] = error
    parameters = {"LST": make_raster("lst.tif"), "OUTPUT": str(tmp_path / "fine.tif")}
    with pytest.raises(QgsProcessingException, match=f"^{error}$"):
        algorithm.run(parameters, context, Listener(), catchExceptions=False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LST": None}, "No LST layer is given: choose the land surface temperature."),
        ({"LST": "/no/lst.tif"}, "LST layer /no/lst.tif cannot be opened: choose a raster that exists."),
        ({"LST": __file__}, f"LST layer {__file__} cannot be opened: choose a raster that exists."),
        ({"LST_BAND": 3}, "LST layer 'lst' has no band 3: choose one from 1 to 1."),
        ({"GUIDANCE": ["/no/g.tif"]}, "Guidance layer /no/g.tif cannot be opened: choose a raster that exists."),
        ({"MASK": "/no/clear.tif"}, "Mask layer /no/clear.tif cannot be opened: choose a raster that exists."),
        ({"STEPS": "2,3"}, "The steps 2,3 make the scale 6, not 4: change one of them."),
        ({"STEPS": "2,2", "UNCERTAINTY": True}, "A standard error is there for a single step only: leave it out"),
        ({"CLUSTER": "two"}, "The workers 'two' are unknown: give a number of processes, such as local:2, or the"),
        ({"SCALE": 2.5}, "Scale 2.5 is no whole number: give the coarse pixel divided by the fine pixel."),
        ({"ROLES": "red;nir"}, "Roles are given for 2 layers, but there are 1 guidance layers: put"),
        ({"DERIVE": "slope, heat"}, "'heat' cannot be derived: choose of slope, northness, eastness, hillshade, ndvi"),
        ({"ROLES": "red"}, "Guidance layer 'bands' has 3 bands, but 1 roles are given: give one"),
        ({"ROLES": "red,nir,heat"}, "'heat' is no role of a guidance band: choose - or one of coastal, blue,"),
    ],
)
def test_bad_parameters_are_refused(
    changes: dict[str, Any],
    sentence: str,
    algorithm: QgsProcessingAlgorithm,
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    parameters = {
        "LST": make_raster("lst.tif"),
        "GUIDANCE": [make_raster("bands.tif", 3)],
        "OUTPUT": str(tmp_path / "fine.tif"),
    }
    accepted, reason = algorithm.checkParameterValues({**parameters, **changes}, context)
    assert not accepted
    assert reason.startswith(sentence)


def test_without_an_engine_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_engine() -> None:
        raise EngineError("There is no engine: choose one.")

    monkeypatch.setattr(base, "find_engine", find_engine)
    assert DownscaleAlgorithm().canExecute() == (False, "There is no engine: choose one.")


def test_loaded_result_has_the_colours_of_its_input(
    algorithm: QgsProcessingAlgorithm,
    engine: dict[str, Any],
    make_raster: Callable[..., str],
    context: QgsProcessingContext,
    tmp_path: Path,
) -> None:
    project = QgsProject.instance()
    lst = QgsRasterLayer(make_raster("lst.tif"), "lst")
    lst.setRenderer(thermal_renderer(lst, 1, 280.0, 320.0))
    project.addMapLayer(lst)
    output = str(tmp_path / "fine.tif")
    details = QgsProcessingContext.LayerDetails("Fine LST", project, "OUTPUT")
    context.setLayersToLoadOnCompletion({output: details})
    make_raster("fine_uncertainty.tif")
    algorithm.run({"LST": lst.id(), "UNCERTAINTY": True, "OUTPUT": output}, context, Listener())
    error = str(tmp_path / "fine_uncertainty.tif")
    layer = QgsRasterLayer(error, "error")
    context.layerToLoadOnCompletionDetails(error).postProcessor().postProcessLayer(layer, context, Listener())
    assert layer.renderer().classificationMin() == 0
    fine = QgsRasterLayer(output, "fine")
    context.layerToLoadOnCompletionDetails(output).postProcessor().postProcessLayer(fine, context, Listener())
    renderer = fine.renderer()
    assert (renderer.classificationMin(), renderer.classificationMax()) == (280.0, 320.0)
    assert renderer.shader().rasterShaderFunction().colorRampItemList()[0].color.name() == "#0b0724"
    assert not Colours.waiting
    project.removeMapLayer(lst)
