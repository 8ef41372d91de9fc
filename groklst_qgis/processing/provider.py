"""GrokLST's Processing provider: the toolbox, models, batch and ``qgis_process``."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..paths import resource
from .archive import ArchiveAlgorithm
from .benchmark import BenchmarkAlgorithm
from .downscale import DownscaleAlgorithm
from .evaluate import EvaluateAlgorithm
from .inspect import InspectAlgorithm
from .prepare import PrepareAlgorithm
from .train import TrainAlgorithm

ALGORITHMS = (
    DownscaleAlgorithm,
    ArchiveAlgorithm,
    InspectAlgorithm,
    PrepareAlgorithm,
    TrainAlgorithm,
    EvaluateAlgorithm,
    BenchmarkAlgorithm,
)


class GroklstProvider(QgsProcessingProvider):
    """Provides the algorithms ``groklst:…``."""

    def id(self) -> str:
        """Part of every algorithm's id: models and scripts rely on it."""
        return "groklst"

    def name(self) -> str:
        """Name in the toolbox."""
        return "GrokLST"

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return QIcon(str(resource("icons/groklst.svg")))

    def loadAlgorithms(self) -> None:  # noqa: N802 - QGIS's name
        """Add the algorithms."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802 - QGIS's name
        """The engine writes GeoTIFF only."""
        return ["tif", "tiff"]
