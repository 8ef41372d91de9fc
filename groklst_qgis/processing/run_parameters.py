"""The parameters that say how a coarse LST is downscaled: of one scene, or of all in an archive."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..choices import (
    COG,
    COG_HELP,
    DERIVED,
    DOMAINS,
    PRECISIONS,
    PSFS,
    WORKERS,
    WORKERS_HELP,
    parse_steps,
    parse_workers,
)
from ..engine import EngineError
from ..layers import raster_path
from ..roles import LABELS
from .algorithm import EngineAlgorithm, enumeration
from .rasters import NOT_USED, UNITS, raster_layer

DEFAULT_METHOD = "auto"

HELP = f"""\
<b>Scale</b>: how many fine pixels lie along one coarse pixel, e.g. 4 from 1000 m to 250 m.
<b>Method</b>: auto tries some on your rasters and takes the best; or e.g. bicubic, tsharp, self-scale or \
groklst-small, or the path of a weights file. GrokLST's panel describes them.
<b>Clear-sky mask</b>: a raster that is 1 where LST and guidance are clear.
<b>Standard error</b>: also tell how wrong each pixel may be, in a second raster, whose name ends in _uncertainty.

<h3>Advanced</h3>
<b>Roles of the guidance bands</b>: what each band shows, with commas between bands and semicolons between layers, \
e.g. blue,green,red,nir;dem. {NOT_USED} leaves a band out; nothing between two semicolons, or no roles at all, lets \
GrokLST guess from band descriptions and file names. Known roles: {", ".join(LABELS)}.
<b>Leave out pixels of poor quality</b>: what the quality layers of known products call bad counts as missing.
<b>Agree with the input</b>: the mean of the fine pixels within each coarse pixel is the coarse temperature.
<b>Strength of the agreement</b>: the share of the difference to the coarse temperature that is removed.
<b>Coarse pixel shows</b>: the mean of its area, or a blur through which the result agrees with the input; of a \
Gaussian one, <b>contrast left</b> is its MTF at the Nyquist frequency of the coarse grid.
<b>Average of</b>: temperature, or emitted radiance with an <b>emissivity layer</b> (0 to 1; without one it is 1).
<b>LST and guidance are of two sensors</b>: find shift and blur of the LST first; it then agrees with the input less.
<b>Steps</b>: scales of the steps in which to downscale, e.g. 2,2 for a scale of 4; without a standard error.
<b>Guidance to derive</b>: with commas, of {", ".join(DERIVED)}.
<b>Unit of the LST</b>: to be set where GrokLST cannot recognise it.
<b>Time to choose a method</b>: after so many seconds, auto tries no further one.
<b>Precision</b>: of networks; automatic takes half precision where it is fast and hardly changes the result.
<b>Memory</b>: gigabytes to stay below; 0 takes what is free.
<b>{WORKERS}</b>: {WORKERS_HELP}.
<b>{COG}</b>: {COG_HELP}.
"""


def add_parameters(algorithm: EngineAlgorithm) -> None:
    """Declare those that everybody wants."""
    number = QgsProcessingParameterNumber.Type.Integer
    for parameter in (
        QgsProcessingParameterNumber("SCALE", "Scale", number, 4, minValue=2, maxValue=64),
        QgsProcessingParameterString("METHOD", "Method", DEFAULT_METHOD),
        QgsProcessingParameterRasterLayer("MASK", "Clear-sky mask", optional=True),
        QgsProcessingParameterBoolean("UNCERTAINTY", "Standard error", False),
    ):
        algorithm.addParameter(parameter)


def add_advanced_parameters(algorithm: EngineAlgorithm) -> None:
    """Declare those that are folded away."""
    real = QgsProcessingParameterNumber.Type.Double
    algorithm.add_advanced(
        QgsProcessingParameterString("ROLES", "Roles of the guidance bands", optional=True),
        enumeration("UNIT", "Unit of the LST", tuple(UNITS.values())),
        QgsProcessingParameterBoolean("QUALITY", "Leave out pixels of poor quality", True),
        QgsProcessingParameterBoolean("CROSS_SENSOR", "LST and guidance are of two sensors", False),
        QgsProcessingParameterBoolean("CONSISTENCY", "Agree with the input", True),
        QgsProcessingParameterNumber("STRENGTH", "Strength of the agreement", real, 1, minValue=0, maxValue=1),
        enumeration("PSF", "Coarse pixel shows", tuple(PSFS.values())),
        QgsProcessingParameterNumber(
            "MTF", "Contrast left by a Gaussian blur", real, 0.3, minValue=0.05, maxValue=0.95
        ),
        enumeration("DOMAIN", "Average of", tuple(DOMAINS.values())),
        QgsProcessingParameterRasterLayer("EMISSIVITY", "Emissivity layer", optional=True),
        QgsProcessingParameterString("DERIVE", "Guidance to derive", optional=True),
        QgsProcessingParameterString("STEPS", "Steps", optional=True),
        QgsProcessingParameterNumber("BUDGET", "Time to choose a method (seconds)", real, 300, minValue=1),
        enumeration("PRECISION", "Precision", tuple(PRECISIONS.values())),
        QgsProcessingParameterNumber("MEMORY", "Memory to stay below (GB)", real, 0, minValue=0),
        QgsProcessingParameterString("CLUSTER", WORKERS, optional=True),
        QgsProcessingParameterBoolean("COG", COG, False),
    )


def run_fields(algorithm: EngineAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
    """The fields of a job that these parameters tell, but roles, unit and quality, which belong to its rasters.

    Raises:
        EngineError: A parameter cannot be used; one sentence.
    """
    scale = algorithm.parameterAsDouble(parameters, "SCALE", context)
    if scale != int(scale):
        raise EngineError(f"Scale {scale:g} is no whole number: give the coarse pixel divided by the fine pixel.")
    steps = parse_steps(algorithm.parameterAsString(parameters, "STEPS", context), int(scale))
    uncertainty = algorithm.parameterAsBoolean(parameters, "UNCERTAINTY", context)
    if steps and uncertainty:
        raise EngineError("A standard error is there for a single step only: leave it out, or the steps.")
    cross_sensor = algorithm.parameterAsBoolean(parameters, "CROSS_SENSOR", context)
    # between two sensors, the LST has no longer the values of its own pixels
    keep = algorithm.parameterAsBoolean(parameters, "CONSISTENCY", context) and not cross_sensor
    derived = algorithm.words(parameters, "DERIVE", context)
    unknown = next((name for name in derived if name not in DERIVED), None)
    if unknown is not None:
        raise EngineError(f"'{unknown}' cannot be derived: choose of {', '.join(DERIVED)}.")
    return {
        "scale": int(scale),
        "method": algorithm.parameterAsString(parameters, "METHOD", context).strip(),
        "mask": _raster(algorithm, parameters, "MASK", "Mask layer", context),
        "uncertainty": uncertainty,
        "consistency": algorithm.parameterAsDouble(parameters, "STRENGTH", context) if keep else 0.0,
        "cross_sensor": cross_sensor,
        "psf": algorithm.choice(parameters, "PSF", context, tuple(PSFS)),
        "mtf": algorithm.parameterAsDouble(parameters, "MTF", context),
        "domain": algorithm.choice(parameters, "DOMAIN", context, tuple(DOMAINS)),
        "emissivity": _raster(algorithm, parameters, "EMISSIVITY", "Emissivity layer", context),
        "derive": derived,
        "steps": steps,
        "budget": algorithm.parameterAsDouble(parameters, "BUDGET", context),
        "precision": algorithm.choice(parameters, "PRECISION", context, tuple(PRECISIONS)),
        "memory": algorithm.parameterAsDouble(parameters, "MEMORY", context) or None,
        "cog": algorithm.parameterAsBoolean(parameters, "COG", context),
    }


def cluster(algorithm: EngineAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext) -> str | None:
    """Who shares the work.

    Raises:
        EngineError: It is nobody that the engine knows.
    """
    return parse_workers(algorithm.parameterAsString(parameters, "CLUSTER", context))


def quality(algorithm: EngineAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
    """The engine's word for which pixels to take."""
    return "recommended" if algorithm.parameterAsBoolean(parameters, "QUALITY", context) else "any"


def _raster(
    algorithm: EngineAlgorithm, parameters: dict[str, Any], name: str, what: str, context: QgsProcessingContext
) -> str | None:
    if not parameters.get(name):
        return None
    return raster_path(raster_layer(algorithm, parameters, name, what, context))
