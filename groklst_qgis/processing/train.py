"""The Processing algorithm ``groklst:train``: fine scenes or a data set in, a weights file out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ..engine import EngineError
from ..roles import LABELS
from . import fine_data
from .algorithm import EngineAlgorithm, enumeration, run

_LOSSES = ("smooth-l1", "l1", "charbonnier", "ms-ssim", "degradation", "gradient", "adaptive")
_DEVICES = ("auto", "cpu", "cuda", "mps")
_SUFFIX = ".safetensors"

HELP = f"""\
Trains a network by Wald's protocol: it learns to make fine scenes of their own coarse versions.

<h3>Input</h3>
{fine_data.HELP}
<b>Split</b>: the part of the data set to train on.
<b>Network</b>: its name in the training wizard's list, e.g. guided-residual, mocolsk, edsr.
<b>Preset</b>: a named size, such as small or paper; empty for the network's own.
<b>Guidance bands</b>: roles with commas between, in the order in which the network takes them; empty takes those that \
all scenes have. Known roles: {", ".join(LABELS)}.
<b>Scales</b>: with commas between; most networks take one only.
<b>Weights to start from</b>: fine-tune these, a name or a file. Network and bands are theirs, further guidance bands \
come behind; take a smaller learning rate, such as 0.001. Scales must be among theirs.
<b>Parameters to freeze</b>: beginnings of their names, with commas between, e.g. stem.
<b>Go on</b>: where a training with the same options and output was interrupted.

<h3>Output</h3>
<b>Weights</b>: a file to be given as the method of Downscale land surface temperature. Its model card lies beside it \
(.md), and a log of the steps (.training.csv).
"""


class TrainAlgorithm(EngineAlgorithm):
    """Runs the engine's train job."""

    NAME = "train"
    TITLE = "Train a network"
    SUMMARY = "Trains a network for downscaling land surface temperature."
    HELP = HELP
    TAGS = ("training", "deep learning", "neural network")

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:  # noqa: N802 - QGIS's name
        """Declare parameters and outputs."""
        whole, real = QgsProcessingParameterNumber.Type.Integer, QgsProcessingParameterNumber.Type.Double
        fine_data.add_parameters(self)
        for parameter in (
            QgsProcessingParameterString("MODEL", "Network", "guided-residual"),
            QgsProcessingParameterString("PRESET", "Preset", optional=True),
            QgsProcessingParameterString("SCALES", "Scales", "4"),
            QgsProcessingParameterNumber("ITERATIONS", "Steps", whole, 2000, minValue=1),
        ):
            self.addParameter(parameter)
        self.add_advanced(
            enumeration("SPLIT", "Split of the data set", fine_data.SPLITS),
            QgsProcessingParameterString("BANDS", "Guidance bands", optional=True),
            QgsProcessingParameterString("START_FROM", "Weights to start from", optional=True),
            QgsProcessingParameterString("FREEZE", "Parameters to freeze", optional=True),
            QgsProcessingParameterNumber("BATCH", "Samples per step", whole, 16, minValue=1),
            QgsProcessingParameterNumber("CROP", "Crop side", whole, 64, minValue=16),
            QgsProcessingParameterNumber("LEARNING_RATE", "Learning rate", real, 0.002, minValue=1e-8),
            enumeration("LOSS", "Loss", _LOSSES),
            QgsProcessingParameterNumber("VALIDATE_EVERY", "Steps between validations", whole, 0, minValue=0),
            QgsProcessingParameterNumber("SEED", "Seed", whole, 0, minValue=0),
            enumeration("DEVICE", "Device", _DEVICES),
            QgsProcessingParameterBoolean("RESUME", "Go on with an interrupted training", False),
        )
        self.addParameter(QgsProcessingParameterFileDestination("OUTPUT", "Weights", f"Weights (*{_SUFFIX})"))
        self.addOutput(QgsProcessingOutputFile("CARD", "Model card"))

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its output.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        bands = self.words(parameters, "BANDS", context)
        unknown = next((band for band in bands if band not in LABELS), None)
        if unknown is not None:
            raise EngineError(f"'{unknown}' is no role of a guidance band: choose of {', '.join(LABELS)}.")
        model = self.parameterAsString(parameters, "MODEL", context).strip()
        if not model:
            raise EngineError("No network is named: give one, e.g. guided-residual.")
        return {
            "kind": "train",
            **fine_data.fine_data(self, parameters, context),
            "split": self.choice(parameters, "SPLIT", context, fine_data.SPLITS),
            "model": model,
            "preset": self.parameterAsString(parameters, "PRESET", context).strip() or None,
            "roles": bands,
            "start_from": self.parameterAsString(parameters, "START_FROM", context).strip() or None,
            "freeze": self.words(parameters, "FREEZE", context),
            "scales": self.scales(parameters, "SCALES", context),
            "iterations": self.parameterAsInt(parameters, "ITERATIONS", context),
            "batch": self.parameterAsInt(parameters, "BATCH", context),
            "crop": self.parameterAsInt(parameters, "CROP", context),
            "learning_rate": self.parameterAsDouble(parameters, "LEARNING_RATE", context),
            "loss": self.choice(parameters, "LOSS", context, _LOSSES),
            "validate_every": self.parameterAsInt(parameters, "VALIDATE_EVERY", context),
            "seed": self.parameterAsInt(parameters, "SEED", context),
            "device": self.choice(parameters, "DEVICE", context, _DEVICES),
            "resume": self.parameterAsBoolean(parameters, "RESUME", context),
            "overwrite": True,  # Processing has asked the user already
        }

    def processAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the engine and wait for it.

        Raises:
            QgsProcessingException: One sentence about why there is no result.
        """
        output = self.parameterAsFileOutput(parameters, "OUTPUT", context)
        if not output.endswith(_SUFFIX):
            output += _SUFFIX
        job = {**self.prepared, "output": output}
        if job["start_from"]:  # network and size are those of the weights
            del job["model"], job["preset"]
        elif not job["roles"]:  # the engine takes all bands of a data set
            del job["roles"]
            if "scenes" in job:
                job["roles"] = _roles_of(job["scenes"], feedback)
        result = run(job, feedback)
        return {"OUTPUT": result["output"], "CARD": f"{output.removesuffix(_SUFFIX)}.md"}


def _roles_of(scenes: list[dict[str, Any]], feedback: QgsProcessingFeedback) -> list[str]:
    """The guidance bands that all scenes have."""
    with tempfile.TemporaryDirectory(prefix="groklst_") as folder:
        roles = run({"kind": "preview", "scenes": scenes, "output": folder}, feedback)["roles"]
    feedback.pushInfo(f"Guidance bands: {', '.join(roles) or 'none'}")
    return list(roles)
