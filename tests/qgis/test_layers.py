from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from osgeo import gdal
from qgis.core import QgsRasterLayer

from groklst_qgis.engine import EngineError
from groklst_qgis.layers import band_descriptions, raster_path


def test_path_comes_without_open_options(add_raster: Callable[..., Any]) -> None:
    path = add_raster("lst").source()
    assert raster_path(QgsRasterLayer(f"{path}|option:NUM_THREADS=2", "lst")) == path


@pytest.mark.parametrize(
    ("source", "provider"),
    [
        ("url=http://localhost:1/wms&layers=a&styles=&format=image/png&crs=EPSG:4326", "wms"),
        ("/vsimem/lst.tif", "gdal"),
    ],
)
def test_layer_that_is_no_file_is_refused(source: str, provider: str) -> None:
    gdal.GetDriverByName("GTiff").Create("/vsimem/lst.tif", 2, 2)
    with pytest.raises(EngineError, match=r"^Layer 'sky' is no raster file .*Save As"):
        raster_path(QgsRasterLayer(source, "sky", provider))
    gdal.Unlink("/vsimem/lst.tif")


def test_descriptions_are_the_files_own(add_raster: Callable[..., Any]) -> None:
    assert band_descriptions(add_raster("s2", "B02", "NIR: 842 nm", "")) == ["B02", "NIR: 842 nm", None]
