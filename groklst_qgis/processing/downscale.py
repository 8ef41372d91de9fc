"""The Processing algorithm ``groklst:downscale``: coarse LST and finer guidance in, fine LST and a report out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputHtml,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsProject,
)
from qgis.PyQt.QtGui import QIcon

from ..engine import EngineCancelled, EngineError, Message, find_engine, run_job
from ..layers import raster_path
from ..paths import resource
from ..results import share_colours
from ..roles import LABELS

DEFAULT_METHOD = "groklst-small"
UNITS = {"auto": "Automatic", "K": "Kelvin", "C": "Degrees Celsius"}
NOT_USED = "-"

HELP = f"""\
Makes a fine land surface temperature (LST) layer from a coarse one, with the help of finer layers of the same place.

<h3>Input</h3>
<b>LST layer and band</b>: the coarse temperature, in kelvin or degrees Celsius.
<b>Guidance layers</b>: finer rasters that overlap the LST: reflectance bands, indices, elevation. Another coordinate \
reference system or pixel size is fine. Some methods need none.
<b>Scale</b>: how many fine pixels lie along one coarse pixel, e.g. 4 from 1000 m to 250 m.
<b>Method</b>: e.g. bicubic, tsharp, self-scale or groklst-small, or the path of a weights file. GrokLST's panel \
describes them.

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


class DownscaleAlgorithm(QgsProcessingAlgorithm):
    """Runs the engine's downscale job."""

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

    def createInstance(self) -> DownscaleAlgorithm:  # noqa: N802 - QGIS's name
        """Another one, for each run."""
        return DownscaleAlgorithm()

    def name(self) -> str:
        """Part of the id: models and scripts rely on it."""
        return "downscale"

    def displayName(self) -> str:  # noqa: N802 - QGIS's name
        """Name in the toolbox."""
        return "Downscale land surface temperature"

    def group(self) -> str:
        """Group in the toolbox."""
        return "Land surface temperature"

    def groupId(self) -> str:  # noqa: N802 - QGIS's name
        """The group's id."""
        return "lst"

    def tags(self) -> list[str]:
        """Words that find it in the toolbox."""
        return ["lst", "thermal", "sharpening", "super-resolution", "disaggregation", "fusion", "remote sensing"]

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return QIcon(str(resource("icons/groklst.svg")))

    def shortDescription(self) -> str:  # noqa: N802 - QGIS's name
        """Tooltip in the toolbox."""
        return "Makes a fine land surface temperature layer from a coarse one and finer guidance layers."

    def shortHelpString(self) -> str:  # noqa: N802 - QGIS's name
        """Help beside the parameters."""
        return HELP

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
        for parameter in (
            QgsProcessingParameterString(self.ROLES, "Roles of the guidance bands", optional=True),
            QgsProcessingParameterBoolean(self.CONSISTENCY, "Agree with the input", True),
            QgsProcessingParameterEnum(self.UNIT, "Unit of the LST", list(UNITS.values()), defaultValue=0),
        ):
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
            self.addParameter(parameter)
        self.addParameter(QgsProcessingParameterRasterDestination(self.OUTPUT, "Fine LST"))
        self.addParameter(
            QgsProcessingParameterFolderDestination(self.REPORT, "Report folder", optional=True, createByDefault=False)
        )
        self.addOutput(QgsProcessingOutputHtml(self.REPORT_HTML, "Report"))

    def canExecute(self) -> tuple[bool, str]:  # noqa: N802 - QGIS's name
        """Whether there is an engine, and else what to do about it."""
        try:
            find_engine()
        except EngineError as error:
            return False, str(error)
        return True, ""

    def checkParameterValues(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Say in one sentence what is wrong with the parameters."""
        try:
            self._job(parameters, context)
        except EngineError as error:
            return False, str(error)
        accepted, reason = super().checkParameterValues(parameters, context)
        return accepted, reason

    def prepareAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Look at the layers, which is for the main thread only."""
        self._prepared = self._job(parameters, context)
        self._lst_id = self.parameterAsRasterLayer(parameters, self.LST, context).id()
        return True

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
        job = {**self._prepared, "output": output, "report": report, "overwrite": True}
        try:
            result = run_job(job, lambda message: tell(message, feedback), feedback.isCanceled)
        except (EngineError, EngineCancelled) as error:
            raise QgsProcessingException(str(error)) from error
        for warning in result["warnings"]:
            feedback.pushWarning(warning)
        if context.willLoadLayerOnCompletion(output):
            colours = ColoursOfInput(self._lst_id, job["lst"]["band"], result["range"])
            context.layerToLoadOnCompletionDetails(output).setPostProcessor(colours)
        results = {self.OUTPUT: result["output"]}
        if report:
            results |= {self.REPORT: report, self.REPORT_HTML: result["report_html"]}
        return results

    def _job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its outputs.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        lst = self.parameterAsRasterLayer(parameters, self.LST, context)
        if not parameters.get(self.LST):
            raise EngineError("No LST layer is given: choose the coarse temperature.")
        if lst is None or not lst.isValid():
            name = lst.name() if lst else parameters[self.LST]
            raise EngineError(f"LST layer {name} cannot be opened: choose a raster that exists.")
        band = self.parameterAsInt(parameters, self.LST_BAND, context)
        if not 1 <= band <= lst.bandCount():
            raise EngineError(f"LST layer '{lst.name()}' has no band {band}: choose one from 1 to {lst.bandCount()}.")
        scale = self.parameterAsDouble(parameters, self.SCALE, context)
        if scale != int(scale):
            raise EngineError(f"Scale {scale:g} is no whole number: give the coarse pixel divided by the fine pixel.")
        guidance = self._guidance(parameters, context)
        roles = parse_roles(self.parameterAsString(parameters, self.ROLES, context), guidance)
        return {
            "kind": "downscale",
            "lst": {
                "path": raster_path(lst),
                "band": band,
                "unit": list(UNITS)[self.parameterAsEnum(parameters, self.UNIT, context)],
            },
            "guidance": [{"path": raster_path(layer), "roles": roles[i]} for i, layer in enumerate(guidance)],
            "scale": int(scale),
            "method": self.parameterAsString(parameters, self.METHOD, context).strip(),
            "consistency": self.parameterAsBoolean(parameters, self.CONSISTENCY, context),
        }

    def _guidance(self, parameters: dict[str, Any], context: QgsProcessingContext) -> list[Any]:
        given = parameters.get(self.GUIDANCE)
        for source in given if isinstance(given, (list, tuple)) else [given]:
            if isinstance(source, str) and QgsProcessingUtils.mapLayerFromString(source, context) is None:
                raise EngineError(f"Guidance layer {source} cannot be opened: choose a raster that exists.")
        return list(self.parameterAsLayerList(parameters, self.GUIDANCE, context))


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


def parse_roles(text: str, guidance: list[Any]) -> list[list[str | None]]:
    """The roles of each layer's bands; an empty list where they are to be guessed.

    Args:
        text: Commas between bands, semicolons between layers.
        guidance: The layers.

    Raises:
        EngineError: The text does not fit the layers.
    """
    if not text.strip():
        return [[] for _ in guidance]
    layers = text.split(";")
    if len(layers) != len(guidance):
        raise EngineError(
            f"Roles are given for {len(layers)} layers, but there are {len(guidance)} guidance layers: "
            "put one semicolon between two layers."
        )
    return list(map(_layer_roles, layers, guidance))


def _layer_roles(text: str, layer: Any) -> list[str | None]:
    roles = [role.strip().lower() for role in text.split(",")]
    if roles == [""]:
        return []
    unknown = next((role for role in roles if role not in LABELS and role != NOT_USED), None)
    if unknown is not None:
        raise EngineError(
            f"'{unknown}' is no role of a guidance band: choose {NOT_USED} or one of {', '.join(LABELS)}."
        )
    if len(roles) != layer.bandCount():
        raise EngineError(
            f"Guidance layer '{layer.name()}' has {layer.bandCount()} bands, but {len(roles)} roles are given: "
            f"give one for each band, {NOT_USED} for those to leave out."
        )
    return [None if role == NOT_USED else role for role in roles]


def tell(message: Message, feedback: QgsProcessingFeedback) -> None:
    """Pass a message of the engine on to Processing."""
    text = message.get("message", "")
    if message.get("type") == "progress":
        feedback.setProgress(100 * message["fraction"])
        feedback.setProgressText(text)
    elif message.get("level") == "warning":
        feedback.pushWarning(text)
    elif message.get("level") == "debug":
        feedback.pushDebugInfo(text)
    else:
        values = ", ".join(f"{name} {value:.4g}" for name, value in message.get("values", {}).items())
        feedback.pushInfo(f"{text}: {values}" if values else text)
