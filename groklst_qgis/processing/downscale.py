"""The Processing algorithm ``groklst:downscale``: coarse LST and finer guidance in, fine LST and a report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputHtml,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProject,
)

from ..advanced_box import parse_steps
from ..engine import EngineError
from ..layers import raster_path
from ..results import colour_error, share_colours
from ..roles import LABELS
from .algorithm import EngineAlgorithm, enumeration, run
from .rasters import NOT_USED, UNITS, raster_layer, rasters

DEFAULT_METHOD = "auto"

HELP = f"""\
Makes a fine land surface temperature (LST) layer from a coarse one, with the help of finer layers of the same place.

<h3>Input</h3>
<b>LST layer and band</b>: the coarse temperature, in kelvin or degrees Celsius.
<b>Guidance layers</b>: finer rasters that overlap the LST: reflectance bands, indices, elevation. Another coordinate \
reference system or pixel size is fine. Some methods need none.
<b>Scale</b>: how many fine pixels lie along one coarse pixel, e.g. 4 from 1000 m to 250 m.
<b>Method</b>: auto tries some on your rasters and takes the best; or e.g. bicubic, tsharp, self-scale or \
groklst-small, or the path of a weights file. GrokLST's panel describes them.
<b>Clear-sky mask</b>: a raster that is 1 where LST and guidance are clear.
<b>Standard error</b>: also tell how wrong each pixel may be, in a second raster, whose name ends in _uncertainty.

<h3>Advanced</h3>
<b>Roles of the guidance bands</b>: what each band shows, with commas between bands and semicolons between layers, \
e.g. blue,green,red,nir;dem. {NOT_USED} leaves a band out; nothing between two semicolons, or no roles at all, lets \
GrokLST guess from band descriptions and file names. Known roles: {", ".join(LABELS)}.
<b>Agree with the input</b>: the mean of the fine pixels within each coarse pixel is the coarse temperature.
<b>Strength of the agreement</b>: the share of the difference to the coarse temperature that is removed.
<b>LST and guidance are of two sensors</b>: find shift and blur of the LST first; it then agrees with the input less.
<b>Steps</b>: scales of the steps in which to downscale, e.g. 2,2 for a scale of 4; without a standard error.
<b>Date and time of the overpass</b>: e.g. 2020-07-14T10:45Z, for the sun on the slopes.
<b>Guidance to derive</b>: with commas, of slope, northness, eastness, hillshade, ndvi, ndwi, ndbi, ndmvi, savi, albedo.
<b>Unit of the LST</b>: to be set where GrokLST cannot recognise it.

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

    LST = "LST"
    LST_BAND = "LST_BAND"
    GUIDANCE = "GUIDANCE"
    ROLES = "ROLES"
    SCALE = "SCALE"
    METHOD = "METHOD"
    MASK = "MASK"
    UNCERTAINTY = "UNCERTAINTY"
    CONSISTENCY = "CONSISTENCY"
    STRENGTH = "STRENGTH"
    CROSS_SENSOR = "CROSS_SENSOR"
    STEPS = "STEPS"
    OVERPASS = "OVERPASS"
    DERIVE = "DERIVE"
    UNIT = "UNIT"
    REPORT = "REPORT"
    OUTPUT = "OUTPUT"
    REPORT_HTML = "REPORT_HTML"
    STANDARD_ERROR = "STANDARD_ERROR"

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        number = QgsProcessingParameterNumber.Type.Integer
        raster = QgsProcessing.SourceType.TypeRaster
        for parameter in (
            QgsProcessingParameterRasterLayer(self.LST, "LST layer"),
            # optional, because qgis_process would otherwise insist on it in spite of the default
            QgsProcessingParameterBand(self.LST_BAND, "LST band", 1, self.LST, optional=True),
            QgsProcessingParameterMultipleLayers(self.GUIDANCE, "Guidance layers", raster, optional=True),
            QgsProcessingParameterNumber(self.SCALE, "Scale", number, 4, minValue=2, maxValue=64),
            QgsProcessingParameterString(self.METHOD, "Method", DEFAULT_METHOD),
            QgsProcessingParameterRasterLayer(self.MASK, "Clear-sky mask", optional=True),
            QgsProcessingParameterBoolean(self.UNCERTAINTY, "Standard error", False),
        ):
            self.addParameter(parameter)
        share = QgsProcessingParameterNumber.Type.Double
        self.add_advanced(
            QgsProcessingParameterString(self.ROLES, "Roles of the guidance bands", optional=True),
            QgsProcessingParameterBoolean(self.CONSISTENCY, "Agree with the input", True),
            QgsProcessingParameterNumber(self.STRENGTH, "Strength of the agreement", share, 1, minValue=0, maxValue=1),
            QgsProcessingParameterBoolean(self.CROSS_SENSOR, "LST and guidance are of two sensors", False),
            QgsProcessingParameterString(self.STEPS, "Steps", optional=True),
            QgsProcessingParameterString(self.OVERPASS, "Date and time of the overpass", optional=True),
            QgsProcessingParameterString(self.DERIVE, "Guidance to derive", optional=True),
            enumeration(self.UNIT, "Unit of the LST", tuple(UNITS.values())),
        )
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, "Fine LST"))
        self.addParameter(
            QgsProcessingParameterFolderDestination(self.REPORT, "Report folder", optional=True, createByDefault=False)
        )
        self.addOutput(QgsProcessingOutputHtml(self.REPORT_HTML, "Report"))
        self.addOutput(QgsProcessingOutputRasterLayer(self.STANDARD_ERROR, "Standard error"))

    def prepareAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Look at the layers, which is for the main thread only."""
        self._lst_id = self.parameterAsRasterLayer(parameters, self.LST, context).id()
        return super().prepareAlgorithm(parameters, context, feedback)

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result.
        """
        output = self.parameterAsOutputLayer(parameters, self.OUTPUT, context)
        report = self.parameterAsString(parameters, self.REPORT, context) or None
        # Processing has asked the user already, or has made an empty file of a temporary output.
        job = {**self.prepared, "output": output, "report": report, "overwrite": True}
        result = run(job, feedback)
        for warning in result["warnings"]:
            feedback.pushWarning(warning)
        results = {self.OUTPUT: result["output"]}
        loads = context.willLoadLayerOnCompletion(output)
        if loads:
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(
                Colours(partial(self._share_colours, result))
            )
        if error := result["uncertainty"]:
            results[self.STANDARD_ERROR] = error
        if error and loads:
            details = QgsProcessingContext.LayerDetails("Standard error", context.project(), self.STANDARD_ERROR)
            details.setPostProcessor(Colours(colour_error))
            context.addLayerToLoadOnCompletion(error, details)
        if report:
            results |= {self.REPORT: report, self.REPORT_HTML: result["report_html"]}
        return results

    def _share_colours(self, result: dict[str, Any], layer: Any) -> None:
        lst = QgsProject.instance().mapLayer(self._lst_id)
        share_colours(layer, lst, self.prepared["lst"]["band"], result["range"])

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its outputs.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        scale = self.parameterAsDouble(parameters, self.SCALE, context)
        if scale != int(scale):
            raise EngineError(f"Scale {scale:g} is no whole number: give the coarse pixel divided by the fine pixel.")
        sources = rasters(self, parameters, context)
        mask = None
        if parameters.get(self.MASK):
            mask = raster_path(raster_layer(self, parameters, self.MASK, "Mask layer", context))
        steps = parse_steps(self.parameterAsString(parameters, self.STEPS, context), int(scale))
        uncertainty = self.parameterAsBoolean(parameters, self.UNCERTAINTY, context)
        if steps and uncertainty:
            raise EngineError("A standard error is there for a single step only: leave it out, or the steps.")
        cross_sensor = self.parameterAsBoolean(parameters, self.CROSS_SENSOR, context)
        # between two sensors, the LST has no longer the values of its own pixels
        keep = self.parameterAsBoolean(parameters, self.CONSISTENCY, context) and not cross_sensor
        return {
            "kind": "downscale",
            **sources,
            "scale": int(scale),
            "method": self.parameterAsString(parameters, self.METHOD, context).strip(),
            "mask": mask,
            "uncertainty": uncertainty,
            "consistency": self.parameterAsDouble(parameters, self.STRENGTH, context) if keep else 0.0,
            "cross_sensor": cross_sensor,
            "steps": steps,
            "overpass": self.parameterAsString(parameters, self.OVERPASS, context).strip() or None,
            "derive": self.words(parameters, self.DERIVE, context),
        }


class Colours(QgsProcessingLayerPostProcessorInterface):
    """Colours a loaded result, on the main thread.

    Args:
        colour: Does it.

    Attributes:
        waiting: Keeps those alive that are still to be called: QGIS does not, and the algorithm is gone by then.
    """

    waiting: set[Colours] = set()  # noqa: RUF012 - shared on purpose

    def __init__(self, colour: Callable[[Any], None]) -> None:
        super().__init__()
        self._colour = colour
        self.waiting.add(self)

    def postProcessLayer(  # noqa: N802 - QGIS's name
        self, layer: Any, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Colour the layer."""
        self._colour(layer)
        self.waiting.discard(self)
