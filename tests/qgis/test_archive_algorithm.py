"""Many scenes, and what files are: the algorithms with the real engine."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qgis.core import QgsProcessingContext, QgsProcessingException, QgsProcessingFeedback, QgsProject, QgsRasterLayer
from rasterfiles import write_raster

from groklst_qgis.processing.colours import Colours
from groklst_qgis.processing.provider import GroklstProvider

DATES = ("20230701", "20230702", "20230703")
Run = Callable[..., dict[str, Any]]


class Listener(QgsProcessingFeedback):
    """Remembers what an algorithm says, and may cancel it."""

    def __init__(self, cancel_at: str = "") -> None:
        super().__init__(False)
        self.said: list[str] = []
        self._cancel_at = cancel_at

    def pushInfo(self, info: str) -> None:  # noqa: N802
        self.said.append(info)

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        self.said.append(f"Warning: {warning}")

    def setProgressText(self, text: str) -> None:  # noqa: N802
        self.said.append(text)
        if self._cancel_at and self._cancel_at in text:
            self.cancel()


@pytest.fixture
def scenes(tmp_path: Path) -> dict[str, Any]:
    """Three dates of 12 × 12 coarse pixels over one guidance of 48 × 48."""
    vegetation = np.kron(np.random.default_rng(3).uniform(0.1, 0.9, (16, 16)), np.ones((3, 3)))
    bands = np.stack([0.2 - 0.15 * vegetation, 0.5 * vegetation])
    folder = tmp_path / "lst"
    folder.mkdir()
    coarse = vegetation.reshape(12, 4, 12, 4).mean((1, 3))
    files = [
        write_raster(folder / f"lst_{date}.tif", (300 + 4 * number - 12 * coarse)[None], ("LST",), 400)
        for number, date in enumerate(DATES)
    ]
    guidance = write_raster(tmp_path / "bands.tif", bands, ("red", "nir"), 100)
    return {"files": files, "folder": folder, "guidance": guidance, "output": tmp_path / "fine"}


@pytest.fixture
def run(provider: GroklstProvider, context: QgsProcessingContext) -> Run:
    """Run an algorithm for real."""

    def run(name: str, feedback: QgsProcessingFeedback, **parameters: Any) -> dict[str, Any]:
        algorithm = provider.algorithm(name)
        assert algorithm.checkParameterValues(parameters, context) == (True, "")
        results, _ = algorithm.run(parameters, context, feedback, catchExceptions=False)
        return results

    return run


def statuses(results: dict[str, Any]) -> list[str]:
    with Path(results["CSV"]).open(encoding="utf-8") as file:
        return [row["status"] for row in csv.DictReader(file)]


def test_a_time_series_over_one_guidance(run: Run, scenes: dict[str, Any], context: QgsProcessingContext) -> None:
    context.setProject(QgsProject.instance())
    parameters = {"LST": scenes["files"], "GUIDANCE": [scenes["guidance"]], "METHOD": "tsharp", "SCALE": 4}
    parameters |= {"TEMPLATE": "{date}.tif", "OUTPUT": str(scenes["output"]), "LOAD": True}
    listener = Listener()
    results = run("downscalearchive", listener, **parameters)
    assert results["DONE"] == 3
    assert statuses(results) == ["done"] * 3
    assert "3 of 3 scenes done; 20230703: done" in listener.said
    assert any(said.startswith("20230703: ") and said.endswith(" K by tsharp") for said in listener.said)
    page = Path(results["REPORT_HTML"]).read_text("utf-8")
    outputs = [str(scenes["output"] / f"{date}.tif") for date in DATES]
    assert all(date in page for date in DATES)
    assert set(context.layersToLoadOnCompletion()) == set(outputs)
    limits = set()
    for output in outputs:
        layer = QgsRasterLayer(output, "fine")
        assert (layer.width(), layer.height()) == (48, 48)
        context.layerToLoadOnCompletionDetails(output).postProcessor().postProcessLayer(layer, context, listener)
        limits.add((layer.renderer().classificationMin(), layer.renderer().classificationMax()))
    assert len(limits) == 1, "dates are compared by eye"
    assert not Colours.waiting


def test_a_list_of_which_one_scene_fails(run: Run, scenes: dict[str, Any]) -> None:
    text = "lst,guidance,name\nlst_20230701.tif,../bands.tif,first\nmissing.tif,../bands.tif,second\n"
    (scenes["folder"] / "scenes.csv").write_text(text)
    listener = Listener()
    with pytest.raises(QgsProcessingException, match=r"1 of 2 scenes failed, the others are done: 'second_x2'"):
        run(
            "downscalearchive",
            listener,
            LIST=str(scenes["folder"] / "scenes.csv"),
            METHOD="bicubic-ibp",
            SCALE=2,
            OUTPUT=str(scenes["output"]),
        )
    assert f"Summary: {scenes['output'] / 'archive.html'}" in listener.said
    assert any(said.startswith("Warning: second_x2 failed: ") for said in listener.said)
    assert [path.name for path in scenes["output"].glob("*.tif")] == ["first_x2.tif"]


def test_an_archive_can_be_cancelled(run: Run, scenes: dict[str, Any]) -> None:
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run(
            "downscalearchive",
            Listener(cancel_at="1 of 3 scenes done"),
            FILES=str(scenes["folder"] / "*.tif"),
            METHOD="auto",  # which goes date by date
            GUIDANCE=[scenes["guidance"]],
            SCALE=2,
            OUTPUT=str(scenes["output"]),
        )
    assert 1 <= len(list(scenes["output"].glob("*.tif"))) < 3
    assert not list(scenes["output"].glob("*.part*"))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "No sources of scenes are given: choose one of a list, LST layers, or LST files with wildcards."),
        ({"FILES": "a*.tif", "LIST": "/no.csv"}, "Several sources of scenes are given"),
        ({"LIST": "/no.csv"}, "The list /no.csv does not exist"),
        ({"LST": ["/no.tif"]}, "LST layer /no.tif cannot be opened"),
        ({"FILES": "a*.tif", "TEMPLATE": "{name}"}, "The names of the results must end in .tif."),
        ({"FILES": "a*.tif", "GUIDANCE": ["/no.tif"]}, "Guidance layer /no.tif cannot be opened"),
        ({"FILES": "a*.tif", "STEPS": "2,3"}, "The steps 2,3 make the scale 6, not 4"),
    ],
)
def test_bad_parameters_are_refused(
    provider: GroklstProvider, context: QgsProcessingContext, parameters: dict[str, Any], sentence: str
) -> None:
    accepted, reason = provider.algorithm("downscalearchive").checkParameterValues(
        {"OUTPUT": "/no/where", **parameters}, context
    )
    assert not accepted
    assert reason.startswith(sentence)


def test_parameters_are_stable(provider: GroklstProvider) -> None:
    """Models and scripts name them."""
    names = [parameter.name() for parameter in provider.algorithm("downscalearchive").parameterDefinitions()]
    assert names[:8] == ["LIST", "LST", "FILES", "GUIDANCE", "SCALE", "METHOD", "MASK", "UNCERTAINTY"]
    assert names[8:11] == ["LST_BAND", "LST_ASSET", "GUIDANCE_ASSETS"]
    assert names[-5:] == ["OUTPUT", "TEMPLATE", "SKIP_EXISTING", "OVERWRITE", "LOAD"]
    names = [parameter.name() for parameter in provider.algorithm("inspect").parameterDefinitions()]
    assert names == ["RASTERS", "FILE", "FOLDER", "QUALITY", "OUTPUT"]


def test_wishes_reach_the_job(provider: GroklstProvider, context: QgsProcessingContext, scenes: dict[str, Any]) -> None:
    parameters = {"LIST": scenes["guidance"], "GUIDANCE": [scenes["guidance"]], "ROLES": "red,nir", "QUALITY": False}
    parameters |= {"LST_ASSET": "lst", "GUIDANCE_ASSETS": "red, nir", "CLUSTER": "local:2", "SKIP_EXISTING": True}
    parameters |= {"LST_BAND": 3, "UNIT": 1, "OVERWRITE": True, "UNCERTAINTY": True, "SCALE": 8}
    job = provider.algorithm("downscalearchive").create().job(parameters, context)
    assert (job["kind"], job["file"], job["lst_asset"]) == ("archive-list", scenes["guidance"], "lst")
    assert (job["guidance_assets"], job["cluster"], job["skip_existing"]) == (["red", "nir"], "local:2", True)
    scene = job["scene"]
    assert scene["lst"] == {"band": 3, "unit": "K", "qc": "any"}
    assert scene["guidance"] == [{"path": scenes["guidance"], "roles": ["red", "nir"], "qc": "any"}]
    assert (scene["overwrite"], scene["uncertainty"], scene["scale"]) == (True, True, 8)
    assert job["guidance_qc"] == "any"


def test_files_are_described(run: Run, scenes: dict[str, Any], tmp_path: Path) -> None:
    listener = Listener()
    results = run(
        "inspect",
        listener,
        RASTERS=[scenes["files"][0]],
        FILE=scenes["guidance"],
        OUTPUT=str(tmp_path / "description.html"),
    )
    page = Path(results["OUTPUT"]).read_text("utf-8")
    for text in ("lst_20230701.tif", "no known product, read as lst", "12 × 12 pixels of 400 × 400 m", "nir"):
        assert text in page
        assert any(text in said for said in listener.said)
    assert any(said.strip().startswith("temperature: 2") and " K (2 to 98 %)" in said for said in listener.said)


def test_something_must_be_given_to_inspect(provider: GroklstProvider, context: QgsProcessingContext) -> None:
    accepted, reason = provider.algorithm("inspect").checkParameterValues({"OUTPUT": "/no/where.html"}, context)
    assert (accepted, reason) == (False, "Nothing to inspect is given: choose raster layers, a file or a folder.")
