"""Results on the map: fine LST and standard error in a group of their own. Main thread only."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsColorRampShader,
    QgsGradientColorRamp,
    QgsGradientStop,
    QgsProject,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

from .engine import EngineError

# From cold to hot with steadily rising lightness, so that it also reads in grey and with colour blindness.
_THERMAL = ((0.0, "#0b0724"), (0.25, "#57106e"), (0.5, "#bc3754"), (0.75, "#f98e09"), (1.0, "#fcffa4"))
# From certain to uncertain; unlike temperatures, it starts at white.
_ERROR = ((0.0, "#f7fcf0"), (0.25, "#bae4bc"), (0.5, "#7bccc4"), (0.75, "#2b8cbe"), (1.0, "#084081"))
_SAMPLE = 250_000  # pixels looked at for the range of values


def add_result(title: str, result: dict[str, Any], lst: Any, band: int) -> Any:
    """Add the fine LST to the project in a new group on top, in the colours of the coarse LST.

    A standard error lies above it, switched off.

    Args:
        title: Name of the group.
        result: Message of a ``downscale`` job.
        lst: Layer of the coarse LST, or None when it has left the project meanwhile.
        band: Its LST band.

    Returns:
        The layer of the fine LST.

    Raises:
        EngineError: QGIS cannot read the output.
    """
    layer = _result_layer(result["output"], "Fine LST")
    error = _result_layer(result["uncertainty"], "Standard error") if result.get("uncertainty") else None
    share_colours(layer, lst, band, result["range"])
    project = QgsProject.instance()
    group = project.layerTreeRoot().insertGroup(0, title)
    if error is not None:
        colour_error(error)
        project.addMapLayer(error, False)
        group.addLayer(error).setItemVisibilityChecked(False)
    project.addMapLayer(layer, False)
    group.addLayer(layer)
    return layer


def _result_layer(path: str, name: str) -> Any:
    layer = QgsRasterLayer(path, name, "gdal")
    if not layer.isValid():
        raise EngineError(f"QGIS cannot read the result {path}: look for it on the disk.")
    for earlier in QgsProject.instance().mapLayers().values():
        if earlier.source() == layer.source():  # an earlier run wrote the same file
            earlier.reload()
    return layer


def colour_error(layer: Any) -> None:
    """Show a standard error from 0 to where hardly a pixel lies above."""
    _, high = layer.dataProvider().cumulativeCut(1, 0.0, 0.98, layer.extent(), _SAMPLE)
    layer.setRenderer(_ramp_renderer(layer, 1, 0.0, high if high > 0 else 1.0, _ERROR))


def share_colours(fine: Any, lst: Any, band: int, fine_range: list[float]) -> None:
    """Give both layers one colour ramp and range: the coarse one's, which gets a thermal one if it has none."""
    if lst is None:
        fine.setRenderer(thermal_renderer(fine, 1, *fine_range))
        return
    renderer = lst.renderer()
    if renderer.type() != "singlebandpseudocolor" or _band_of(renderer) != band:
        low, high = lst.dataProvider().cumulativeCut(band, 0.02, 0.98, lst.extent(), _SAMPLE)
        renderer = thermal_renderer(lst, band, low, high)
        lst.setRenderer(_copy(renderer))
        lst.triggerRepaint()
        lst.emitStyleChanged()
    if renderer.classificationMin() > fine_range[1] or renderer.classificationMax() < fine_range[0]:
        # Another unit: the layer shows stored numbers where the engine knows what they mean.
        fine.setRenderer(thermal_renderer(fine, 1, *fine_range))
        return
    renderer = _copy(renderer)
    _set_band(renderer, 1)
    fine.setRenderer(renderer)


def show_temperature(layer: Any, low: float | None, high: float | None) -> None:
    """Show a temperature from cold to hot, from nearly its lowest to nearly its highest value where none are given."""
    if low is None or high is None:
        low, high = layer.dataProvider().cumulativeCut(1, 0.02, 0.98, layer.extent(), _SAMPLE)
    layer.setRenderer(thermal_renderer(layer, 1, low, high))


def thermal_renderer(layer: Any, band: int, low: float, high: float) -> Any:
    """A pseudocolour renderer from cold to hot."""
    return _ramp_renderer(layer, band, low, high, _THERMAL)


def _ramp_renderer(layer: Any, band: int, low: float, high: float, colours: tuple[tuple[float, str], ...]) -> Any:
    stops = [QgsGradientStop(where, QColor(colour)) for where, colour in colours[1:-1]]
    ramp = QgsGradientColorRamp(QColor(colours[0][1]), QColor(colours[-1][1]), False, stops)
    function = QgsColorRampShader(low, high, ramp, QgsColorRampShader.Type.Interpolated)
    function.classifyColorRamp(len(colours), band, layer.extent(), layer.dataProvider())
    shader = QgsRasterShader()
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), band, shader)
    renderer.setClassificationMin(low)
    renderer.setClassificationMax(high)
    return renderer


def _copy(renderer: Any) -> Any:
    copy = renderer.clone()
    copy.setClassificationMin(renderer.classificationMin())  # QGIS 3.22 forgets the range
    copy.setClassificationMax(renderer.classificationMax())
    return copy


def _band_of(renderer: Any) -> int:  # renamed in 3.38
    return int(renderer.inputBand() if hasattr(renderer, "inputBand") else renderer.band())


def _set_band(renderer: Any, band: int) -> None:  # renamed in 3.38
    if hasattr(renderer, "setInputBand"):
        renderer.setInputBand(band)
    else:
        renderer.setBand(band)
