"""The Processing algorithm ``groklst:downscale``: coarse LST and finer guidance in, fine LST and a report out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputHtml,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProject,
)

from ..results import colour_error, share_colours
from . import run_parameters
from .algorithm import EngineAlgorithm, run
from .colours import Colours
from .rasters import rasters

HELP = f"""\
Makes a fine land surface temperature (LST) layer from a coarse one, with the help of finer layers of the same place.

<h3>Input</h3>
<b>LST layer and band</b>: the coarse temperature, in kelvin or degrees Celsius.
<b>Guidance layers</b>: finer rasters that overlap the LST: reflectance bands, indices, elevation. Another coordinate \
reference system or pixel size is fine. Some methods need none.
{run_parameters.HELP}\
<b>Date and time of the overpass</b>: e.g. 2020-07-14T10:45Z, for the sun on the slopes (hillshade); where it is \
empty, that of known products.
<b>Keep what is done when interrupted</b>: the same run then goes on where it stopped.

<h3>Output</h3>
<b>Fine LST</b>: a GeoTIFF with the extent and the unit of the input.
<b>Report folder</b>: takes a page with maps, statistics and scores that say how far the result can be trusted.
"""


class DownscaleAlgorithm(EngineAlgorithm):
    """Runs the engine's downscale job."""

    NAME = "downscale"
    TITLE = "Downscale land surface temperature"
    SUMMARY = "Makes a fine land surface temperature layer from a coarse one and finer guidance layers."
    HELP = HELP
    TAGS = ("sharpening", "super-resolution", "disaggregation", "fusion")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        raster = QgsProcessing.SourceType.TypeRaster
        for parameter in (
            QgsProcessingParameterRasterLayer("LST", "LST layer"),
            # optional, because qgis_process would otherwise insist on it in spite of the default
            QgsProcessingParameterBand("LST_BAND", "LST band", 1, "LST", optional=True),
            QgsProcessingParameterMultipleLayers("GUIDANCE", "Guidance layers", raster, optional=True),
        ):
            self.addParameter(parameter)
        run_parameters.add_parameters(self)
        run_parameters.add_advanced_parameters(self)
        self.add_advanced(
            QgsProcessingParameterString("OVERPASS", "Date and time of the overpass", optional=True),
            QgsProcessingParameterBoolean("RESUME", "Keep what is done when interrupted", False),
        )
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", "Fine LST"))
        self.addParameter(
            QgsProcessingParameterFolderDestination("REPORT", "Report folder", optional=True, createByDefault=False)
        )
        self.addOutput(QgsProcessingOutputHtml("REPORT_HTML", "Report"))
        self.addOutput(QgsProcessingOutputRasterLayer("STANDARD_ERROR", "Standard error"))

    def prepareAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Look at the layers, which is for the main thread only."""
        self._lst_id = self.parameterAsRasterLayer(parameters, "LST", context).id()
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result.
        """
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context)
        report = self.parameterAsString(parameters, "REPORT", context) or None
        # Processing has asked the user already, or has made an empty file of a temporary output.
        job = {**self.prepared, "output": output, "report": report, "overwrite": True}
        result = run(job, feedback)
        for trial in result["choice"]["trials"] if result["choice"] else ():
            so = f"{trial['damped']:.3f} K with {trial['detail']:.0%} of its detail"
            feedback.pushInfo(f"Tried {trial['method']}: RMSE {trial['rmse']:.3f} K, {so}")
        for warning in result["warnings"]:
            feedback.pushWarning(warning)
        results = {"OUTPUT": result["output"]}
        loads = context.willLoadLayerOnCompletion(output)
        if loads:
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(
                Colours(partial(self._share_colours, result))
            )
        if error := result["uncertainty"]:
            results["STANDARD_ERROR"] = error
        if error and loads:
            details = QgsProcessingContext.LayerDetails("Standard error", context.project(), "STANDARD_ERROR")
            details.setPostProcessor(Colours(colour_error))
            context.addLayerToLoadOnCompletion(error, details)
        if report:
            results |= {"REPORT": report, "REPORT_HTML": result["report_html"]}
        return results

    def _share_colours(self, result: dict[str, Any], layer: Any) -> None:
        lst = QgsProject.instance().mapLayer(self._lst_id)
        share_colours(layer, lst, self.prepared["lst"]["band"], result["range"])

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its outputs.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        sources, qc = rasters(self, parameters, context), run_parameters.quality(self, parameters, context)
        return {
            "kind": "downscale",
            "lst": {**sources["lst"], "qc": qc},
            "guidance": [{**source, "qc": qc} for source in sources["guidance"]],
            **run_parameters.run_fields(self, parameters, context),
            "cluster": run_parameters.cluster(self, parameters, context),
            "overpass": self.parameterAsString(parameters, "OVERPASS", context).strip() or None,
            "resume": self.parameterAsBoolean(parameters, "RESUME", context),
        }
