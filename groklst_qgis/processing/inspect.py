"""The Processing algorithm ``groklst:inspect``: what files are."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
)

from ..engine import EngineError
from ..layers import raster_path
from . import run_parameters
from .algorithm import EngineAlgorithm, run
from .rasters import layers

HELP = """\
Says what files are: product, temperatures in kelvin, how many pixels the quality layers keep, place, time, sensor, \
and the roles of the bands.

<h3>Input</h3>
<b>Raster layers</b>: of temperature, reflectance, elevation.
<b>File</b>: of a product that QGIS shows as several layers, such as HDF or NetCDF.
<b>Folder</b>: of a product with one file for each band.
<b>Leave out pixels of poor quality</b>: count the pixels that quality layers keep.

<h3>Output</h3>
<b>Description</b>: a page with a table for each file.
"""


class InspectAlgorithm(EngineAlgorithm):
    """Runs the engine's identify job."""

    NAME = "inspect"
    TITLE = "Inspect rasters"
    SUMMARY = "Says which product a raster is, its kelvin range, quality, place, time and band roles."
    HELP = HELP
    TAGS = ("product", "quality", "metadata", "modis", "landsat", "ecostress", "viirs")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        raster = QgsProcessing.SourceType.TypeRaster
        folder, file = QgsProcessingParameterFile.Behavior.Folder, QgsProcessingParameterFile.Behavior.File
        for parameter in (
            QgsProcessingParameterMultipleLayers("RASTERS", "Raster layers", raster, optional=True),
            QgsProcessingParameterFile("FILE", "File of a product", file, optional=True),
            QgsProcessingParameterFile("FOLDER", "Folder of a product", folder, optional=True),
            QgsProcessingParameterBoolean("QUALITY", "Leave out pixels of poor quality", True),
            QgsProcessingParameterFileDestination("OUTPUT", "Description", "Page (*.html)"),
        ):
            self.addParameter(parameter)

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job.

        Raises:
            EngineError: Nothing is given, or a layer is no file.
        """
        paths = [raster_path(layer) for layer in layers(self, parameters, "RASTERS", "Raster layer", context)]
        paths += [path for name in ("FILE", "FOLDER") if (path := self.parameterAsString(parameters, name, context))]
        if not paths:
            raise EngineError("Nothing to inspect is given: choose raster layers, a file or a folder.")
        return {"kind": "identify", "rasters": paths, "qc": run_parameters.quality(self, parameters, context)}

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result.
        """
        files = run(self.prepared, feedback)["files"]
        for file in files:
            feedback.pushInfo(file["path"])
            for label, text in file["facts"]:
                feedback.pushInfo(f"    {label}: {text}")
        output = self.parameterAsFileOutput(parameters, "OUTPUT", context)
        Path(output).write_text(page(files), "utf-8")
        return {"OUTPUT": output}


def page(files: list[dict[str, Any]]) -> str:
    """HTML with a table of facts for each file."""
    tables = "".join(
        f"<h3>{escape(Path(file['path']).name)}</h3><table cellpadding='3'>"
        + "".join(f"<tr><td><b>{escape(label)}</b></td><td>{escape(text)}</td></tr>" for label, text in file["facts"])
        + f"</table><p>{escape(file['path'])}</p>"
        for file in files
    )
    return f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>Rasters</title></head><body>{tables}</body></html>"
