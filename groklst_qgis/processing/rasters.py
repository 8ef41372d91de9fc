"""From the parameters LST, LST_BAND, UNIT, GUIDANCE and ROLES to the rasters of a job."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProcessingUtils

from ..engine import EngineError
from ..layers import raster_path
from ..roles import LABELS

UNITS = {"auto": "Automatic", "K": "Kelvin", "C": "Degrees Celsius"}
NOT_USED = "-"


def rasters(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> dict[str, Any]:
    """``lst`` and ``guidance`` of a job.

    Raises:
        EngineError: A parameter cannot be used; one sentence.
    """
    if not parameters.get("LST"):
        raise EngineError("No LST layer is given: choose the land surface temperature.")
    lst = raster_layer(algorithm, parameters, "LST", "LST layer", context)
    band = algorithm.parameterAsInt(parameters, "LST_BAND", context)
    if not 1 <= band <= lst.bandCount():
        raise EngineError(f"LST layer '{lst.name()}' has no band {band}: choose one from 1 to {lst.bandCount()}.")
    unit = list(UNITS)[algorithm.parameterAsEnum(parameters, "UNIT", context)]
    return {
        "lst": {"path": raster_path(lst), "band": band, "unit": unit},
        "guidance": guidance_sources(algorithm, parameters, context),
    }


def guidance_sources(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> list[dict[str, Any]]:
    """``guidance`` of a job, from GUIDANCE and ROLES.

    Raises:
        EngineError: A parameter cannot be used; one sentence.
    """
    guidance = layers(algorithm, parameters, "GUIDANCE", "Guidance layer", context)
    roles = parse_roles(algorithm.parameterAsString(parameters, "ROLES", context), guidance)
    return [{"path": raster_path(layer), "roles": roles[i]} for i, layer in enumerate(guidance)]


def raster_layer(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], name: str, what: str, context: QgsProcessingContext
) -> Any:
    """The raster layer of a parameter.

    Raises:
        EngineError: It cannot be opened.
    """
    layer = algorithm.parameterAsRasterLayer(parameters, name, context)
    if layer is None or not layer.isValid():
        given = layer.name() if layer else parameters[name]
        raise EngineError(f"{what} {given} cannot be opened: choose a raster that exists.")
    return layer


def layers(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], name: str, what: str, context: QgsProcessingContext
) -> list[Any]:
    """The raster layers of a parameter that takes several.

    Raises:
        EngineError: One cannot be opened.
    """
    given = parameters.get(name)
    for source in given if isinstance(given, (list, tuple)) else [given]:
        if isinstance(source, str) and QgsProcessingUtils.mapLayerFromString(source, context) is None:
            raise EngineError(f"{what} {source} cannot be opened: choose a raster that exists.")
    return list(algorithm.parameterAsLayerList(parameters, name, context))


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
