"""The Processing algorithm ``groklst:preparedataset``: rasters in, a data set for training out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from . import fine_data
from .algorithm import EngineAlgorithm, enumeration, run

_FORMATS = {"geotiff": "GeoTIFF chips", "zarr": "Zarr", "groklst": "GrokLST layout"}
_PSFS = {"box": "Box", "gaussian": "Gaussian"}

HELP = f"""\
Cuts fine scenes into chips, makes the coarse LST of each by Wald's protocol, deals them to train, val and test in \
blocks that do not overlap, and writes the statistics of each band.

<h3>Input</h3>
{fine_data.HELP}
<b>Scales</b>: to be trained for, with commas between.
<b>Chip side</b>: in fine pixels.

<h3>Output</h3>
<b>Data set</b>: a folder for Train a network, Evaluate and Benchmark. An interrupted preparation goes on where it \
stopped.
"""


class PrepareAlgorithm(EngineAlgorithm):
    """Runs the engine's prepare job."""

    NAME = "preparedataset"
    TITLE = "Prepare a data set"
    SUMMARY = "Cuts fine LST scenes and their guidance into a data set for training."
    HELP = HELP
    TAGS = ("training", "deep learning", "chips")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        whole, real = QgsProcessingParameterNumber.Type.Integer, QgsProcessingParameterNumber.Type.Double
        fine_data.add_parameters(self, dataset=False)
        self.addParameter(QgsProcessingParameterString("SCALES", "Scales", "2,4,8"))
        self.addParameter(QgsProcessingParameterNumber("CROP", "Chip side", whole, 128, minValue=16))
        self.add_advanced(
            QgsProcessingParameterNumber("OVERLAP", "Overlap of chips", real, 0.5, minValue=0, maxValue=0.95),
            QgsProcessingParameterNumber("MIN_VALID", "Least valid share", real, 0.9, minValue=0.01, maxValue=1),
            enumeration("PSF", "Point spread of the sensor", tuple(_PSFS.values())),
            enumeration("FORMAT", "Format", tuple(_FORMATS.values())),
            QgsProcessingParameterNumber("SEED", "Seed", whole, 0, minValue=0),
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Data set"))
        self.addOutput(QgsProcessingOutputNumber("CHIPS", "Number of chips"))

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its output.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        return {
            "kind": "prepare",
            **fine_data.fine_data(self, parameters, context),
            "scales": self.scales(parameters, "SCALES", context),
            "crop": self.parameterAsInt(parameters, "CROP", context),
            "overlap": self.parameterAsDouble(parameters, "OVERLAP", context),
            "min_valid": self.parameterAsDouble(parameters, "MIN_VALID", context),
            "psf": self.choice(parameters, "PSF", context, tuple(_PSFS)),
            "format": self.choice(parameters, "FORMAT", context, tuple(_FORMATS)),
            "seed": self.parameterAsInt(parameters, "SEED", context),
        }

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result.
        """
        output = self.parameterAsString(parameters, "OUTPUT", context)
        result = run({**self.prepared, "output": output}, feedback)
        return {"OUTPUT": output, "CHIPS": sum(result["chips"].values())}
