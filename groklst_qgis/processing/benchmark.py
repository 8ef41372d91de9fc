"""The Processing algorithm ``groklst:benchmark``: networks and methods compared in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputHtml,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..engine import EngineError
from . import fine_data
from .algorithm import EngineAlgorithm, enumeration, run

_PROTOCOLS = {"groklst": "Mean over images (as published)", "wald": "Pooled pixels"}

HELP = f"""\
Trains networks on a data set's training split, scores them and other methods on its test split, and writes one table.

<h3>Input</h3>
{fine_data.HELP}
<b>Networks</b>: to train, with commas between, or all; none for manifests and layers, which have no training split.
<b>Methods</b>: to score without training, with commas between: names or paths of weights files.
<b>Preset</b>: the size of the networks that have one of that name, such as small.

<h3>Output</h3>
<b>Results</b>: a folder for table, figure and weights. An interrupted benchmark goes on where it stopped.
"""


class BenchmarkAlgorithm(EngineAlgorithm):
    """Runs the engine's benchmark job."""

    NAME = "benchmark"
    TITLE = "Benchmark networks"
    SUMMARY = "Trains and scores networks and methods on the same data, in one table."
    HELP = HELP
    TAGS = ("training", "comparison", "scores")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        whole, real = QgsProcessingParameterNumber.Type.Integer, QgsProcessingParameterNumber.Type.Double
        fine_data.add_parameters(self)
        for parameter in (
            QgsProcessingParameterString("MODELS", "Networks to train", optional=True),
            QgsProcessingParameterString("METHODS", "Methods", "bicubic,groklst-small", optional=True),
            QgsProcessingParameterString("SCALES", "Scales", "4"),
            QgsProcessingParameterString("PRESET", "Preset", optional=True),
            QgsProcessingParameterNumber("ITERATIONS", "Steps of each training", whole, 10_000, minValue=1),
        ):
            self.addParameter(parameter)
        self.add_advanced(
            QgsProcessingParameterNumber("BATCH", "Samples per step", whole, 4, minValue=1),
            QgsProcessingParameterNumber("CROP", "Crop side", whole, 512, minValue=16),
            QgsProcessingParameterNumber("LEARNING_RATE", "Learning rate", real, 1e-4, minValue=1e-8),
            enumeration("PROTOCOL", "Averages", tuple(_PROTOCOLS.values())),
            QgsProcessingParameterBoolean("NORMALIZATION_STUDY", "Also compare normalisations", False),
            QgsProcessingParameterNumber("SEED", "Seed", whole, 0, minValue=0),
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Results"))
        self.addOutput(QgsProcessingOutputHtml("TABLE", "Table"))

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its output.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        models, methods = (self.words(parameters, name, context) for name in ("MODELS", "METHODS"))
        if not models and not methods:
            raise EngineError("Neither a network nor a method is named: give what to compare.")
        data = fine_data.fine_data(self, parameters, context)
        if models and "dataset" not in data:
            raise EngineError("Networks are trained on a data set's training split: give one, or name no network.")
        return {
            "kind": "benchmark",
            **data,
            "models": models,
            "methods": methods,
            "scales": self.scales(parameters, "SCALES", context),
            "preset": self.parameterAsString(parameters, "PRESET", context).strip() or None,
            "iterations": self.parameterAsInt(parameters, "ITERATIONS", context),
            "batch": self.parameterAsInt(parameters, "BATCH", context),
            "crop": self.parameterAsInt(parameters, "CROP", context),
            "learning_rate": self.parameterAsDouble(parameters, "LEARNING_RATE", context),
            "protocol": self.choice(parameters, "PROTOCOL", context, tuple(_PROTOCOLS)),
            "normalization_study": self.parameterAsBoolean(parameters, "NORMALIZATION_STUDY", context),
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
        return {"OUTPUT": output, "TABLE": result["files"]["html"]}
