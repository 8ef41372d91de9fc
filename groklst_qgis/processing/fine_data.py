"""The parameters that say which fine scenes to train or score on: layers, a manifest, or a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBand,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..engine import EngineError
from ..layers import raster_path
from .algorithm import EngineAlgorithm, enumeration
from .rasters import UNITS, raster_layer, rasters

SPLITS = ("train", "val", "trainval", "test")

HELP = """\
<b>Data set</b>: a folder that Prepare a data set has made, or the GrokLST data set as published.
<b>Manifest</b>: a JSON list of scenes, each with name, lst, guidance, mask, native and region; paths start at the \
manifest's folder.
<b>Fine LST layer, guidance layers</b>: one scene. The coarse LST is made from the fine one.
<b>Clear-sky mask</b>: a raster that is 1 where the scene is clear.
<b>Sensor's pixel</b>: the thermal sensor's own pixel divided by the delivered one, e.g. 3 for Landsat 8 and 4 for \
Landsat 5 at 30 m: there is no detail below.
"""


def add_parameters(algorithm: EngineAlgorithm, dataset: bool = True) -> None:
    """Declare them; exactly one of data set, manifest and LST layer is to be given."""
    raster = QgsProcessing.SourceType.TypeRaster
    folder, file = QgsProcessingParameterFile.Behavior.Folder, QgsProcessingParameterFile.Behavior.File
    if dataset:
        algorithm.addParameter(QgsProcessingParameterFile("DATASET", "Data set", folder, optional=True))
    for parameter in (
        QgsProcessingParameterFile("MANIFEST", "Manifest of scenes", file, "json", optional=True),
        QgsProcessingParameterRasterLayer("LST", "Fine LST layer", optional=True),
        QgsProcessingParameterBand("LST_BAND", "LST band", 1, "LST", optional=True),
        QgsProcessingParameterMultipleLayers("GUIDANCE", "Guidance layers", raster, optional=True),
        QgsProcessingParameterRasterLayer("MASK", "Clear-sky mask", optional=True),
    ):
        algorithm.addParameter(parameter)
    number = QgsProcessingParameterNumber.Type.Integer
    algorithm.add_advanced(
        QgsProcessingParameterNumber("NATIVE", "Sensor's pixel divided by the delivered pixel", number, 1, minValue=1),
        QgsProcessingParameterString("ROLES", "Roles of the guidance layers' bands", optional=True),
        enumeration("UNIT", "Unit of the LST", tuple(UNITS.values())),
    )


def fine_data(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> dict[str, Any]:
    """``scenes`` or ``dataset`` of a job.

    Raises:
        EngineError: None or several are given, or one cannot be used.
    """
    given = [name for name in ("DATASET", "MANIFEST", "LST") if parameters.get(name)]
    if len(given) != 1:
        choices = "a manifest of scenes or a fine LST layer"
        if algorithm.parameterDefinition("DATASET") is not None:
            choices = f"a data set, {choices}"
        raise EngineError(f"{'Several' if given else 'No'} sources of scenes are given: choose one of {choices}.")
    if given == ["DATASET"]:
        folder = Path(algorithm.parameterAsString(parameters, "DATASET", context))
        if not folder.is_dir():
            raise EngineError(f"The data set {folder} is no folder: choose the one that holds it.")
        return {"dataset": str(folder)}
    if given == ["MANIFEST"]:
        return {"scenes": read_manifest(Path(algorithm.parameterAsString(parameters, "MANIFEST", context)))}
    mask = None
    if parameters.get("MASK"):
        mask = raster_path(raster_layer(algorithm, parameters, "MASK", "Mask layer", context))
    sources = rasters(algorithm, parameters, context)
    scene = {
        "name": algorithm.parameterAsRasterLayer(parameters, "LST", context).name(),
        **sources,
        "mask": mask,
        "native": algorithm.parameterAsInt(parameters, "NATIVE", context),
    }
    return {"scenes": [scene]}


def read_manifest(manifest: Path) -> list[dict[str, Any]]:
    """The scenes of a manifest, their paths starting at its folder; the engine looks at them more closely.

    Raises:
        EngineError: It cannot be read, or is no list of scenes.
    """
    try:
        scenes = json.loads(manifest.read_text("utf-8"))
        for scene in scenes:
            for source in (scene["lst"], *scene.get("guidance", ())):
                source["path"] = _rooted(source["path"], manifest.parent)
            if scene.get("mask"):
                scene["mask"] = _rooted(scene["mask"], manifest.parent)
    except OSError as error:
        raise EngineError(f"The manifest {manifest} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EngineError(
            f"The manifest {manifest} is no JSON list of scenes, each with a name and an lst that has a path: mend it."
        ) from error
    return list(scenes)


def _rooted(name: str, folder: Path) -> str:
    return name if ":" in name else str(folder / name)  # a colon: a drive, an address, a GDAL name
