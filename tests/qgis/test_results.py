from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qgis.core import QgsProject

from groklst_qgis.engine import EngineError
from groklst_qgis.results import add_result, share_colours, thermal_renderer

AddRaster = Callable[..., Any]


def limits(layer: Any) -> tuple[float, float]:
    return layer.renderer().classificationMin(), layer.renderer().classificationMax()


def colours(layer: Any) -> list[tuple[float, str]]:
    items = layer.renderer().shader().rasterShaderFunction().colorRampItemList()
    return [(item.value, item.color.name()) for item in items]


def test_result_is_a_group_on_top(add_raster: AddRaster) -> None:
    lst, fine = add_raster("lst"), add_raster("fine")
    layer = add_result("lst ×4 (Bicubic)", {"output": fine.source(), "range": [290, 310]}, lst, 1)
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert group.name() == "lst ×4 (Bicubic)"
    assert [child.layer() for child in group.children()] == [layer]
    assert layer.name() == "Fine LST"


def test_standard_error_has_a_ramp_of_its_own(add_raster: AddRaster) -> None:
    lst, fine, error = add_raster("lst"), add_raster("fine"), add_raster("error", low=0, high=2)
    result = {"output": fine.source(), "uncertainty": error.source(), "range": [290, 310]}
    add_result("lst ×4", result, lst, 1)
    above, below = QgsProject.instance().layerTreeRoot().children()[0].children()
    assert (above.name(), below.name()) == ("Standard error", "Fine LST")
    assert (above.itemVisibilityChecked(), below.itemVisibilityChecked()) == (False, True)
    assert limits(above.layer()) == pytest.approx((0, 1.96), abs=0.05)
    assert not {colour for _, colour in colours(above.layer())} & {colour for _, colour in colours(below.layer())}


def test_grey_input_and_result_get_one_thermal_ramp(add_raster: AddRaster) -> None:
    lst, fine = add_raster("lst"), add_raster("fine", low=280, high=320)
    share_colours(fine, lst, 1, [281, 319])
    assert colours(fine) == colours(lst)
    assert limits(fine) == limits(lst) == pytest.approx((290.4, 309.6), abs=0.5)


def test_chosen_colours_of_the_input_are_kept(add_raster: AddRaster) -> None:
    lst, fine = add_raster("lst", "qc", "lst"), add_raster("fine")
    lst.setRenderer(thermal_renderer(lst, 2, 295, 305))
    before = colours(lst)
    share_colours(fine, lst, 2, [290, 310])
    assert colours(lst) == before == colours(fine)
    assert limits(fine) == (295, 305)
    assert fine.renderer().usesBands() == [1]
    assert lst.renderer().usesBands() == [2]


def test_colours_of_another_band_do_not_count(add_raster: AddRaster) -> None:
    lst, fine = add_raster("lst", "qc", "lst"), add_raster("fine")
    lst.setRenderer(thermal_renderer(lst, 1, 0, 1))
    share_colours(fine, lst, 2, [290, 310])
    assert lst.renderer().usesBands() == [2]
    assert limits(fine) == limits(lst) == pytest.approx((290.4, 309.6), abs=0.5)


def test_stored_numbers_do_not_spoil_the_colours(add_raster: AddRaster) -> None:
    lst, fine = add_raster("lst", low=14500, high=15500), add_raster("fine")
    share_colours(fine, lst, 1, [291, 309])
    assert limits(fine) == (291, 309)
    assert limits(lst)[0] > 14000


def test_input_has_left_the_project(add_raster: AddRaster) -> None:
    fine = add_raster("fine")
    share_colours(fine, None, 1, [291, 309])
    assert limits(fine) == (291, 309)


def test_result_that_cannot_be_read(qgis_new_project: Any) -> None:
    with pytest.raises(EngineError, match=r"/no/such\.tif"):
        add_result("title", {"output": "/no/such.tif", "range": [0, 1]}, None, 1)
    assert not QgsProject.instance().mapLayers()
