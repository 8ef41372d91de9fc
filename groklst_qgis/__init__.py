"""GrokLST for QGIS: a dock, a Processing provider and an options page around the engine.

The plugin needs only QGIS, Qt and the standard library (Python 3.9 or newer): the engine, with PyTorch and rasterio,
runs as a process of its own.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802 - QGIS looks for this name
    """Make the plugin; nothing is loaded before QGIS asks for it."""
    from .plugin import GroklstPlugin

    return GroklstPlugin(iface)
