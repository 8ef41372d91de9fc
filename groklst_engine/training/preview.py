"""A small picture of a network's work while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from groklst_engine.raster import Floats
from groklst_engine.whole_file import whole_file

SIDE = 256
"""Largest side of what is drawn, in pixels, from the middle of the scene."""


def draw_preview(fields: Mapping[str, Floats], path: Path) -> str | None:
    """Draw fields side by side in one colour range, as PNG.

    Args:
        fields: ``(H, W)`` kelvin by title, NaN where missing; the first one gives the range.
        path: Replaced only by a complete picture.

    Returns:
        The file; None where matplotlib is missing or the file cannot be written, for training can do without.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    truth = next(iter(fields.values()))
    top, left = (max(0, (size - SIDE) // 2) for size in truth.shape)
    window = (slice(top, top + SIDE), slice(left, left + SIDE))
    finite = truth[window][np.isfinite(truth[window])]
    low, high = np.percentile(finite, (2, 98)) if finite.size else (0.0, 1.0)
    figure = Figure(figsize=(2.4 * len(fields), 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (title, values) in enumerate(fields.items(), 1):
        axes = figure.add_subplot(1, len(fields), number)
        axes.imshow(values[window], cmap="inferno", vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    try:
        with whole_file(path) as part:
            figure.savefig(part, format="png", dpi=100)
    except OSError:
        return None
    return str(path)
