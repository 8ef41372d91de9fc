from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsProject, QgsRasterLayer

from groklst_qgis import engine as engine_module
from groklst_qgis.engine import PYTHON_VARIABLE, Engine


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that needs no packages, which the plugin finds by itself: see ``fake_engine/``."""
    engine = Engine(Path(sys.executable), Path(__file__).parent / "fake_engine")
    monkeypatch.setenv(PYTHON_VARIABLE, str(engine.python))
    monkeypatch.setattr(engine_module, "engine_root", lambda: engine.source)
    return engine


@pytest.fixture
def add_raster(qgis_new_project: Any, tmp_path: Path) -> Callable[..., Any]:
    """Write a raster of 10 × 8 pixels and add it to the project."""

    def add(name: str, *bands: str, low: float = 290, high: float = 310, pixel: float = 1000) -> QgsRasterLayer:
        path = tmp_path / f"{name}.tif"
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(32632)
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), 10, 8, len(bands) or 1, gdal.GDT_Float32)
        dataset.SetGeoTransform((500_000, pixel, 0, 5_600_000, 0, -pixel))
        dataset.SetProjection(reference.ExportToWkt())
        for i in range(dataset.RasterCount):
            dataset.GetRasterBand(i + 1).WriteArray(np.linspace(low, high, 80).reshape(8, 10))
            if bands:
                dataset.GetRasterBand(i + 1).SetDescription(bands[i])
        dataset = None  # written when closed
        layer = QgsRasterLayer(str(path), name)
        assert layer.isValid()
        return QgsProject.instance().addMapLayer(layer)

    return add
