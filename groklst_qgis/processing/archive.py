"""The Processing algorithm ``groklst:downscalearchive``: many scenes, or many dates over one guidance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..engine import EngineError
from ..layers import raster_path
from ..results import show_temperature
from . import run_parameters
from .algorithm import EngineAlgorithm, run
from .colours import Colours
from .rasters import UNITS, guidance_sources, layers

SUMMARY_PAGE = "archive.html"

HELP = f"""\
Downscales many scenes, or many dates over one guidance. A scene that fails stops no other. Run it again, and only \
what is missing is done.

<h3>Scenes</h3>
Give one of the first three:
<b>List</b>: a CSV file whose first line names its columns: lst, and any of guidance (several separated by ;), mask, \
overpass (or date), output, name and other options. What a line leaves empty is as said here. Paths start at the \
list's folder. A STAC item collection (JSON) is a list, too: name its assets below.
<b>LST layers</b>: several dates or places. Dates over one and the same guidance are faster together.
<b>LST files</b>: a name with wildcards, e.g. /data/modis/*.tif; ** stands for any folders.
<b>Guidance layers</b>: of all scenes for which the list names none.
{run_parameters.HELP}\
<b>Assets</b>: of a STAC item, the one that is the LST, and with commas those that are guidance.

<h3>Output</h3>
<b>Folder</b>: takes the results, and a summary of all scenes as archive.html, archive.csv and archive.json.
<b>Names</b>: of the results, with {{stem}} for the LST's file name, {{name}} for the list's (else the stem), \
{{date}}, {{scale}} and {{method}}.
<b>Keep outputs that exist</b>, whatever made them; otherwise only those that this very job made from these files.
<b>Replace outputs that are out of date</b>: made from other inputs or by another job; otherwise such a scene fails.
"""


class ArchiveAlgorithm(EngineAlgorithm):
    """Runs the engine's archive-list job."""

    NAME = "downscalearchive"
    TITLE = "Downscale many scenes"
    SUMMARY = "Downscales a list or folder of land surface temperature scenes, or a time series over one guidance."
    HELP = HELP
    TAGS = ("archive", "batch", "time series", "stac", "cluster", "dask", "sharpening")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        raster, number = QgsProcessing.SourceType.TypeRaster, QgsProcessingParameterNumber.Type.Integer
        file = QgsProcessingParameterFile.Behavior.File
        lists = "Lists of scenes (*.csv *.json *.geojson)"
        for parameter in (
            QgsProcessingParameterFile("LIST", "List of scenes", file, optional=True, fileFilter=lists),
            QgsProcessingParameterMultipleLayers("LST", "LST layers", raster, optional=True),
            QgsProcessingParameterString("FILES", "LST files, with wildcards", optional=True),
            QgsProcessingParameterMultipleLayers("GUIDANCE", "Guidance layers", raster, optional=True),
        ):
            self.addParameter(parameter)
        run_parameters.add_parameters(self)
        self.add_advanced(
            QgsProcessingParameterNumber("LST_BAND", "LST band", number, 1, minValue=1),
            QgsProcessingParameterString("LST_ASSET", "Asset that is the LST", optional=True),
            QgsProcessingParameterString("GUIDANCE_ASSETS", "Assets that are guidance", optional=True),
        )
        run_parameters.add_advanced_parameters(self)
        for parameter in (
            QgsProcessingParameterFolderDestination("OUTPUT", "Folder of the results"),
            QgsProcessingParameterString("TEMPLATE", "Names of the results", "{name}_x{scale}.tif"),
            QgsProcessingParameterBoolean("SKIP_EXISTING", "Keep outputs that exist", False),
            QgsProcessingParameterBoolean("OVERWRITE", "Replace outputs that are out of date", False),
            QgsProcessingParameterBoolean("LOAD", "Load the results", False),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputHtml("REPORT_HTML", "Summary"))
        self.addOutput(QgsProcessingOutputFile("CSV", "Table of the scenes"))
        self.addOutput(QgsProcessingOutputNumber("DONE", "Number of scenes that were done now"))

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job; the output is a template without its folder.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        qc = run_parameters.quality(self, parameters, context)
        template = self.parameterAsString(parameters, "TEMPLATE", context).strip()
        if not template.lower().endswith((".tif", ".tiff")):
            raise EngineError("The names of the results must end in .tif.")
        scene = {
            **run_parameters.run_fields(self, parameters, context),
            "lst": {
                "band": self.parameterAsInt(parameters, "LST_BAND", context),
                "unit": self.choice(parameters, "UNIT", context, tuple(UNITS)),
                "qc": qc,
            },
            "guidance": [{**source, "qc": qc} for source in guidance_sources(self, parameters, context)],
            "output": template,
            "overwrite": self.parameterAsBoolean(parameters, "OVERWRITE", context),
        }
        return {
            "kind": "archive-list",
            **self._scenes(parameters, context),
            "lst_asset": self.parameterAsString(parameters, "LST_ASSET", context).strip() or None,
            "guidance_assets": self.words(parameters, "GUIDANCE_ASSETS", context),
            "guidance_qc": qc,
            "scene": scene,
            "skip_existing": self.parameterAsBoolean(parameters, "SKIP_EXISTING", context),
            "cluster": run_parameters.cluster(self, parameters, context),
        }

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result, or which scenes failed.
        """
        output = Path(self.parameterAsString(parameters, "OUTPUT", context))
        page = output / SUMMARY_PAGE
        try:
            output.mkdir(parents=True, exist_ok=True)
            page.unlink(missing_ok=True)  # an earlier one would tell of other scenes
        except OSError as error:
            raise QgsProcessingException(f"The folder {output} cannot be written to: choose another.") from error
        scene = {**self.prepared["scene"], "output": str(output / self.prepared["scene"]["output"])}
        try:
            result = run({**self.prepared, "scene": scene, "summary": str(output)}, feedback)
        except QgsProcessingException:
            if page.exists():
                feedback.pushInfo(f"Summary: {page}")
            raise
        for row in result["rows"]:
            feedback.pushInfo(_outcome(row))
            for warning in row["warnings"]:
                feedback.pushWarning(f"{row['scene']}: {warning}")
        if self.parameterAsBoolean(parameters, "LOAD", context):
            _load(result["rows"], context)
        done = sum(row["status"] == "done" for row in result["rows"])
        return {"OUTPUT": str(output), "REPORT_HTML": str(page), "CSV": result["files"]["csv"], "DONE": done}

    def _scenes(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The list or the LST files of a job.

        Raises:
            EngineError: None or several are given, or one cannot be used.
        """
        given = [name for name in ("LIST", "LST", "FILES") if parameters.get(name)]
        if len(given) != 1:
            raise EngineError(
                f"{'Several' if given else 'No'} sources of scenes are given: choose one of a list, LST layers, or LST "
                "files with wildcards."
            )
        if given == ["LIST"]:
            file = Path(self.parameterAsFile(parameters, "LIST", context))
            if not file.is_file():
                raise EngineError(f"The list {file} does not exist: choose a CSV file or a STAC item collection.")
            return {"file": str(file)}
        if given == ["FILES"]:
            return {"rasters": [self.parameterAsString(parameters, "FILES", context).strip()]}
        return {"rasters": [raster_path(layer) for layer in layers(self, parameters, "LST", "LST layer", context)]}


def _outcome(row: dict[str, Any]) -> str:
    if row["status"] != "done":
        return f"{row['scene']}: {row['status']}"
    unit = "°C" if row["unit"] == "C" else row["unit"]
    return f"{row['scene']}: {row['low']:.1f} to {row['high']:.1f} {unit} by {row['method']}"


def _load(rows: list[dict[str, Any]], context: QgsProcessingContext) -> None:
    """Have all outputs loaded, in one range of colours."""
    ranges = [(row["low"], row["high"]) for row in rows if row["low"] is not None]
    lows, highs = zip(*ranges, strict=True) if ranges else ((), ())
    low, high = min(lows, default=None), max(highs, default=None)
    for row in rows:
        details = QgsProcessingContext.LayerDetails(row["scene"], context.project(), "")
        details.setPostProcessor(Colours(partial(show_temperature, low=low, high=high)))
        context.addLayerToLoadOnCompletion(row["output"], details)
