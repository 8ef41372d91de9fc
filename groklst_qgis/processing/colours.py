"""Colouring what Processing loads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProcessingLayerPostProcessorInterface


class Colours(QgsProcessingLayerPostProcessorInterface):
    """Colours a loaded result, on the main thread.

    Args:
        colour: Does it.

    Attributes:
        waiting: Keeps those alive that are still to be called: QGIS does not, and the algorithm is gone by then.
    """

    waiting: set[Colours] = set()  # noqa: RUF012 - shared on purpose

    def __init__(self, colour: Callable[[Any], None]) -> None:
        super().__init__()
        self._colour = colour
        self.waiting.add(self)

    def postProcessLayer(  # noqa: N802 - QGIS's name
        self, layer: Any, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Colour the layer."""
        self._colour(layer)
        self.waiting.discard(self)
