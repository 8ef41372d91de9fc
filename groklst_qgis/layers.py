"""From layers of the project to files and bands that the engine can read."""

from __future__ import annotations

from typing import Any

from .engine import EngineError


def raster_path(layer: Any) -> str:
    """The file (or GDAL data set name) behind a raster layer.

    Raises:
        EngineError: The layer has no file that another process could open.
    """
    provider = layer.providerType()
    path = str(layer.source()).split("|")[0]  # QGIS appends open options as "|option:NAME=VALUE"
    if provider != "gdal" or path.startswith("/vsimem/"):
        kind = "memory" if provider == "gdal" else provider.upper()
        raise EngineError(
            f"Layer '{layer.name()}' is no raster file (its source is {kind}): "
            "save it with Layer ▸ Save As… and use the saved layer."
        )
    return path


def band_descriptions(layer: Any) -> list[str | None]:
    """The description of each band, None where the file gives none.

    QGIS names bands "Band 1", "Band 1 (Gray)" or "Band 1: description", with "Band" in the user's language.
    """
    names = (layer.bandName(band) for band in range(1, layer.bandCount() + 1))
    return [name.partition(": ")[2] or None for name in names]
