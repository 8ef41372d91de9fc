"""The Processing algorithm ``groklst:evaluate``: scores of methods on fine scenes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterString,
)

from ..engine import EngineError
from . import fine_data
from .algorithm import EngineAlgorithm, enumeration, run

HELP = f"""\
Makes fine scenes coarse, downscales them back by each method and compares with the originals (Wald's protocol).

<h3>Input</h3>
{fine_data.HELP}
<b>Split</b>: the part of the data set to score on.
<b>Methods</b>: with commas between: names such as tsharp or groklst-small, or paths of weights files. Bicubic is \
always among them.
<b>Scales</b>: with commas between.

<h3>Output</h3>
<b>Scores</b>: a folder with scores.csv and scores.json: RMSE, MAE, bias, CC, RSD, and the RMSE divided by bicubic's.
"""


class EvaluateAlgorithm(EngineAlgorithm):
    """Runs the engine's evaluate job."""

    NAME = "evaluate"
    TITLE = "Evaluate methods"
    SUMMARY = "Scores downscaling methods on fine LST scenes, beside bicubic."
    HELP = HELP
    TAGS = ("accuracy", "validation", "scores", "wald")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        fine_data.add_parameters(self)
        self.addParameter(QgsProcessingParameterString("METHODS", "Methods", "bicubic,groklst-small"))
        self.addParameter(QgsProcessingParameterString("SCALES", "Scales", "4"))
        self.add_advanced(
            enumeration("SPLIT", "Split of the data set", fine_data.SPLITS, fine_data.SPLITS.index("test"))
        )
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", "Scores"))
        self.addOutput(QgsProcessingOutputFile("CSV", "Table of scores"))

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its output.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        methods = self.words(parameters, "METHODS", context)
        if not methods:
            raise EngineError("No method is named: give some, e.g. tsharp, groklst-small.")
        return {
            "kind": "evaluate",
            **fine_data.fine_data(self, parameters, context),
            "split": self.choice(parameters, "SPLIT", context, fine_data.SPLITS),
            "methods": methods,
            "scales": self.scales(parameters, "SCALES", context),
        }

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result.
        """
        output = self.parameterAsString(parameters, "OUTPUT", context)
        result = run({**self.prepared, "report": output}, feedback)
        for mean in result["means"]:
            at = "all scales" if mean["scale"] == "all" else f"x{mean['scale']}"
            feedback.pushInfo(
                f"{mean['method']}, {at}, mean of {mean['scenes']}: RMSE {mean['rmse']:.3f} K, "
                f"{mean['rmse_to_bicubic']:.3f} of bicubic's"
            )
        return {"OUTPUT": output, "CSV": str(Path(output) / "scores.csv")}
