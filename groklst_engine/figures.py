"""The report's figures as SVG text that takes its ink from the page, so that one copy serves light, dark and print.

Everything here is drawn with matplotlib's object-oriented interface: no pyplot, no window, no figure left open.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from groklst_engine.report import Histogram, Panel, Scatter

THERMAL_RAMP = "inferno"
DIFFERENCE_RAMP = "RdBu_r"
ERROR_RAMP = "viridis"

_INK = "#010203"  # a colour nothing else has; the page's text colour takes its place
_GREY = "#8c8c8c"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "groklst",  # the same report twice is the same file
    "text.parse_math": False,  # layer names may hold a $
    "font.size": 9,
    "hatch.color": _GREY,
    "hatch.linewidth": 0.6,
    "axes.linewidth": 0.6,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
}
# Told apart by dashes as well as by colour.
_LINES = (("#d1603d", "-"), ("#2f86c8", (0, (5, 2))), ("#6d9b35", (0, (1, 1.3))), ("#a05fb4", (0, (5, 1.5, 1, 1.5))))
_DOTS_PER_INCH = 200

_Rectangle = tuple[float, float, float, float]


def _finite(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def shared_limits(panels: tuple[Panel, ...]) -> tuple[float, float]:
    """Colour range for maps that must be comparable: 2 to 98 % of all their values."""
    values = np.concatenate([_finite(panel.values) for panel in panels if is_temperature(panel)] or [np.empty(0)])
    if not values.size:
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(values, (2, 98)))
    return (low, high) if high - low > 1e-3 else (low - 0.5, high + 0.5)


def is_temperature(panel: Panel) -> bool:
    """Whether a panel shares the colour range of the temperatures."""
    return not panel.diverging and panel.quantity == "Temperature"


def own_limits(panel: Panel) -> tuple[float, float]:
    """Colour range from 0 that 98 % of the panel's values fit into."""
    return 0.0, difference_limits(panel)[1]


def difference_limits(panel: Panel) -> tuple[float, float]:
    """Colour range centred on 0 that 98 % of the panel's values fit into."""
    values = _finite(panel.values)
    reach = max(0.01, float(np.percentile(np.abs(values), 98))) if values.size else 1.0
    return -reach, reach


def draw_map(panel: Panel, limits: tuple[float, float], name: str) -> str:
    """A map with coordinates at its axes and a colour bar below; nodata is hatched.

    Args:
        panel: The map.
        limits: Colour range.
        name: A word that no other figure of the page has.

    Returns:
        An ``<svg>`` element.
    """
    values = np.ma.masked_invalid(panel.values)
    left, right, bottom, top = panel.extent
    map_width, margin_left, margin_right, margin_top, below = 3.2, 0.26, 0.26, 0.14, 0.84  # inches
    map_height = map_width * min(1.6, max(0.1, abs((top - bottom) / (right - left))))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(margin_left + map_width + margin_right, margin_top + map_height + below))
        axes = figure.add_axes(_inches(figure, margin_left, below, map_width, map_height), anchor="N", facecolor="none")
        axes.patch.set(hatch="////", edgecolor=_GREY, linewidth=0)
        image = axes.imshow(
            values,
            cmap=DIFFERENCE_RAMP if panel.diverging else THERMAL_RAMP if is_temperature(panel) else ERROR_RAMP,
            vmin=limits[0],
            vmax=limits[1],
            extent=panel.extent,
        )
        axes.tick_params(length=2.5, width=0.6, labelsize=7.5)
        axes.tick_params(axis="y", labelrotation=90)
        for axis, length in ((axes.xaxis, map_width), (axes.yaxis, map_height)):
            axis.set_major_locator(MaxNLocator(nbins=max(1, int(length))))
            axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
        for label in axes.get_yticklabels():
            label.set_verticalalignment("center")
        if values.count():
            beyond = float(values.min()) < limits[0] - 1e-6, float(values.max()) > limits[1] + 1e-6
            extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(beyond, "neither")
            bar = figure.add_axes(_inches(figure, margin_left, 0.40, map_width, 0.11))
            figure.colorbar(image, cax=bar, orientation="horizontal", extend=extend)
            bar.tick_params(length=2.5, width=0.6, labelsize=8)
            bar.xaxis.set_major_locator(MaxNLocator(nbins=6))
            bar.set_xlabel(f"{'Difference' if panel.diverging else panel.quantity} ({panel.unit})", fontsize=8.5)
        else:
            _say(axes, "No data")
        return _svg(figure, name)


def draw_scatter(scatter: Scatter) -> str:
    """Density of pixels over the two values they have, with the 1:1 line.

    Returns:
        An ``<svg>`` element.
    """
    x, y = np.asarray(scatter.x, dtype=np.float64), np.asarray(scatter.y, dtype=np.float64)
    valid = np.isfinite(x) & np.isfinite(y)
    x, y = x[valid], y[valid]
    with mpl.rc_context(_STYLE):
        figure, axes = _chart()
        axes.set(xlabel=f"{scatter.x_label} ({scatter.unit})", ylabel=f"{scatter.y_label} ({scatter.unit})")
        if not x.size:
            axes.set(xticks=[], yticks=[])
            _say(axes, "No pixels to compare")
            return _svg(figure, "scatter")
        low, high = np.percentile(np.concatenate([x, y]), (0.05, 99.95))
        pad = 0.03 * (high - low) or 0.5
        low, high = float(low - pad), float(high + pad)
        bins = int(np.clip(np.sqrt(x.size) / 2, 24, 120))
        counts = np.histogram2d(x, y, bins=bins, range=((low, high), (low, high)))[0].T
        image = axes.imshow(
            np.ma.masked_equal(counts, 0),
            origin="lower",
            extent=(low, high, low, high),
            norm=LogNorm(1, max(2.0, float(counts.max()))),
            cmap=_density_ramp(),
            interpolation="nearest",
        )
        axes.plot((low, high), (low, high), color=_INK, linewidth=0.9, linestyle=(0, (4, 3)), label="1:1")
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)
        bar = figure.colorbar(image, cax=figure.add_axes(_inches(figure, 4.22, 0.5, 0.13, 3.45)))
        bar.set_label("Pixels per cell")
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
        bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))
        return _svg(figure, "scatter")


def draw_histogram(histogram: Histogram) -> str:
    """Share of pixels by value, one line per series.

    Returns:
        An ``<svg>`` element.
    """
    series = {label: _finite(np.asarray(values)) for label, values in histogram.series.items()}
    everything = np.concatenate([*series.values(), np.empty(0)])
    with mpl.rc_context(_STYLE):
        figure, axes = _chart()
        axes.set(xlabel=f"Temperature ({histogram.unit})", ylabel="Share of pixels (%)")
        if not everything.size:
            axes.set(xticks=[], yticks=[])
            _say(axes, "No data")
            return _svg(figure, "histogram")
        low, high = (float(limit) for limit in np.percentile(everything, (0.1, 99.9)))
        edges = np.linspace(low, high, 61) if high > low else np.linspace(low - 0.5, high + 0.5, 61)
        for (label, values), (colour, dashes) in zip(series.items(), _LINES * len(series), strict=False):
            shares = 100 * np.histogram(values, edges)[0] / max(1, values.size)
            axes.stairs(shares, edges, color=colour, linestyle=dashes, linewidth=1.5, label=label)
        axes.set_position(_inches(figure, 0.62, 0.5, 4.25, 3.35))
        axes.margins(x=0)
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8.5, borderaxespad=0.2)
        axes.spines[["top", "right"]].set_visible(False)
        return _svg(figure, "histogram")


def _inches(figure: Figure, left: float, bottom: float, width: float, height: float) -> _Rectangle:
    """A rectangle in inches as matplotlib wants it: in shares of the figure."""
    across, up = figure.get_size_inches()
    return left / across, bottom / up, width / across, height / up


def _chart() -> tuple[Figure, Axes]:
    """A figure of 5 × 4.15 inches with a square plot at the left."""
    figure = Figure(figsize=(5.0, 4.15))
    return figure, figure.add_axes(_inches(figure, 0.62, 0.5, 3.45, 3.45), facecolor="none")


def _density_ramp() -> Colormap:
    """Viridis without its darkest part, which a dark page swallows."""
    return LinearSegmentedColormap.from_list("density", mpl.colormaps["viridis"](np.linspace(0.15, 1, 256)))


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=11)


def _plain(value: float) -> str:
    """A coordinate or count in full, with narrow spaces between thousands."""
    return f"{value:,.4f}".rstrip("0").rstrip(".").replace(",", "\u202f").replace("-", "−")


def _svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element: transparent, in the page's text colour, with ids no other figure has."""
    figure.patch.set_visible(False)
    FigureCanvasSVG(figure)
    file = io.StringIO()
    figure.savefig(
        file, format="svg", dpi=_DOTS_PER_INCH, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
