"""What GrokLST's Processing algorithms have in common: parameters make a job, the engine does it."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
)
from qgis.PyQt.QtGui import QIcon

from ..engine import EngineCancelled, EngineError, Message, find_engine, run_job
from ..paths import resource
from ..words import log_line


class EngineAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that is one job of the engine.

    Attributes:
        NAME: Part of the id: models and scripts rely on it.
        TITLE: Name in the toolbox.
        SUMMARY: Tooltip in the toolbox, one sentence.
        HELP: Help beside the parameters.
        TAGS: Words that find it in the toolbox.
    """

    NAME: str
    TITLE: str
    SUMMARY: str
    HELP: str
    TAGS: tuple[str, ...] = ()

    def createInstance(self) -> EngineAlgorithm:  # noqa: N802 - QGIS's name
        """Another one, for each run."""
        return type(self)()

    def name(self) -> str:
        """Part of the id."""
        return self.NAME

    def displayName(self) -> str:  # noqa: N802 - QGIS's name
        """Name in the toolbox."""
        return self.TITLE

    def group(self) -> str:
        """Group in the toolbox."""
        return "Land surface temperature"

    def groupId(self) -> str:  # noqa: N802 - QGIS's name
        """The group's id."""
        return "lst"

    def tags(self) -> list[str]:
        """Words that find it in the toolbox."""
        return ["lst", "thermal", "remote sensing", *self.TAGS]

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return QIcon(str(resource("icons/groklst.svg")))

    def shortDescription(self) -> str:  # noqa: N802 - QGIS's name
        """Tooltip in the toolbox."""
        return self.SUMMARY

    def shortHelpString(self) -> str:  # noqa: N802 - QGIS's name
        """Help beside the parameters."""
        return self.HELP

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
            self.job(parameters, context)
        except EngineError as error:
            return False, str(error)
        accepted, reason = super().checkParameterValues(parameters, context)
        return accepted, reason

    def prepareAlgorithm(  # noqa: N802 - QGIS's name
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Look at the layers, which is for the main thread only."""
        self.prepared = self.job(parameters, context)
        return True

    def job(self, parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
        """The engine's job, without its outputs.

        Raises:
            EngineError: A parameter cannot be used; one sentence.
        """
        raise NotImplementedError

    def add_advanced(self, *parameters: Any) -> None:
        """Add parameters that are folded away in the dialog."""
        for parameter in parameters:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
            self.addParameter(parameter)

    def words(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> list[str]:
        """The words of a parameter that lists some with commas between."""
        text = self.parameterAsString(parameters, name, context)
        return [word.strip() for word in text.split(",") if word.strip()]

    def scales(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> list[int]:
        """The scales of a parameter that lists some with commas between.

        Raises:
            EngineError: There is none, or one is no whole number of 2 or more.
        """
        words = self.words(parameters, name, context)
        wrong = next((word for word in words if not word.isdecimal() or int(word) < 2), None)
        if wrong is not None or not words:
            given = f"'{wrong}' is no scale" if words else "No scale is given"
            raise EngineError(f"{given}: give whole numbers of 2 or more, such as 2, 4.")
        return [int(word) for word in words]

    def choice(
        self, parameters: dict[str, Any], name: str, context: QgsProcessingContext, values: tuple[str, ...]
    ) -> str:
        """The engine's word for the chosen item of an enumeration."""
        chosen: int = self.parameterAsEnum(parameters, name, context)
        return values[chosen]


def run(job: dict[str, Any], feedback: QgsProcessingFeedback) -> dict[str, Any]:
    """Run a job of the engine, wait for its result, and pass its messages on.

    Raises:
        QgsProcessingException: One sentence about why there is no result.
    """
    try:
        return run_job(job, lambda message: tell(message, feedback), feedback.isCanceled)
    except (EngineError, EngineCancelled) as error:
        raise QgsProcessingException(str(error)) from error


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
        feedback.pushInfo(log_line(message))


def enumeration(name: str, description: str, labels: tuple[str, ...], default: int = 0) -> Any:
    """An enumeration parameter that always has a value."""
    return QgsProcessingParameterEnum(name, description, list(labels), defaultValue=default)
