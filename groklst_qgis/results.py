"""Results on the map: the fine LST in a group of its own, coloured as its input. Main thread only."""

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
_SAMPLE = 250_000  # pixels looked at for the range of values


def add_result(title: str, result: dict[str, Any], lst: Any, band: int) -> Any:
    """Add the fine LST to the project in a new group on top, in the colours of the coarse LST.

    Args:
        title: Name of the group.
        result: Message of a ``downscale`` job.
        lst: Layer of the coarse LST, or None when it has left the project meanwhile.
        band: Its LST band.

    Returns:
        The new layer.

    Raises:
        EngineError: QGIS cannot read the output.
    """
    layer = QgsRasterLayer(result["output"], "Fine LST", "gdal")
    if not layer.isValid():
        raise EngineError(f"QGIS cannot read the result {result['output']}: look for it on the disk.")
    project = QgsProject.instance()
    for earlier in project.mapLayers().values():
        if earlier.source() == layer.source():  # an earlier run wrote the same file
            earlier.reload()
    share_colours(layer, lst, band, result["range"])
    project.addMapLayer(layer, False)
    project.layerTreeRoot().insertGroup(0, title).addLayer(layer)
    return layer


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


def thermal_renderer(layer: Any, band: int, low: float, high: float) -> Any:
    """A pseudocolour renderer from cold to hot."""
    stops = [QgsGradientStop(where, QColor(colour)) for where, colour in _THERMAL[1:-1]]
    ramp = QgsGradientColorRamp(QColor(_THERMAL[0][1]), QColor(_THERMAL[-1][1]), False, stops)
    function = QgsColorRampShader(low, high, ramp, QgsColorRampShader.Type.Interpolated)
    function.classifyColorRamp(len(_THERMAL), band, layer.extent(), layer.dataProvider())
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
