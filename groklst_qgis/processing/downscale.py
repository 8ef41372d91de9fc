"""The Processing algorithm ``groklst:downscale``: coarse LST and finer guidance in, fine LST and a report out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputHtml,
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

from ..engine import EngineError
from ..results import share_colours
from ..roles import LABELS
from .algorithm import EngineAlgorithm, enumeration, run
from .rasters import NOT_USED, UNITS, rasters

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

<h3>Advanced</h3>
<b>Roles of the guidance bands</b>: what each band shows, with commas between bands and semicolons between layers, \
e.g. blue,green,red,nir;dem. {NOT_USED} leaves a band out; nothing between two semicolons, or no roles at all, lets \
GrokLST guess from band descriptions and file names. Known roles: {", ".join(LABELS)}.
<b>Agree with the input</b>: the mean of the fine pixels within each coarse pixel is the coarse temperature.
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
    CONSISTENCY = "CONSISTENCY"
    UNIT = "UNIT"
    REPORT = "REPORT"
    OUTPUT = "OUTPUT"
    REPORT_HTML = "REPORT_HTML"

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
        ):
            self.addParameter(parameter)
        self.add_advanced(
            QgsProcessingParameterString(self.ROLES, "Roles of the guidance bands", optional=True),
            QgsProcessingParameterBoolean(self.CONSISTENCY, "Agree with the input", True),
            enumeration(self.UNIT, "Unit of the LST", tuple(UNITS.values())),
        )
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, "Fine LST"))
        self.addParameter(
            QgsProcessingParameterFolderDestination(self.REPORT, "Report folder", optional=True, createByDefault=False)
        )
        self.addOutput(QgsProcessingOutputHtml(self.REPORT_HTML, "Report"))

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
        if context.willLoadLayerOnCompletion(output):
            colours = ColoursOfInput(self._lst_id, job["lst"]["band"], result["range"])
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(colours)
        results = {self.OUTPUT: result["output"]}
        if report:
            results |= {self.REPORT: report, self.REPORT_HTML: result["report_html"]}
        return results

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its outputs.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        scale = self.parameterAsDouble(parameters, self.SCALE, context)
        if scale != int(scale):
            raise EngineError(f"Scale {scale:g} is no whole number: give the coarse pixel divided by the fine pixel.")
        return {
            "kind": "downscale",
            **rasters(self, parameters, context),
            "scale": int(scale),
            "method": self.parameterAsString(parameters, self.METHOD, context).strip(),
            "consistency": self.parameterAsBoolean(parameters, self.CONSISTENCY, context),
        }


class ColoursOfInput(QgsProcessingLayerPostProcessorInterface):
    """Gives the loaded result the colours of its input, on the main thread.

    Attributes:
        waiting: Keeps those alive that are still to be called: QGIS does not, and the algorithm is gone by then.
    """

    waiting: set[ColoursOfInput] = set()  # noqa: RUF012 - shared on purpose

    def __init__(self, lst_id: str, band: int, fine_range: list[float]) -> None:
        super().__init__()
        self._arguments = (lst_id, band, fine_range)
        self.waiting.add(self)

    def postProcessLayer(  # noqa: N802 - QGIS's name
        self, layer: Any, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Colour the layer."""
        lst_id, band, fine_range = self._arguments
        share_colours(layer, QgsProject.instance().mapLayer(lst_id), band, fine_range)
        self.waiting.discard(self)
