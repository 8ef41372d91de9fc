"""The benchmark's figure: what every method makes of one crop, a detail of it, and its errors there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from rasterio.transform import Affine

from groklst_engine.data.dataset import FineScene, coarse_lst
from groklst_engine.errors import OutputError
from groklst_engine.grid import Grid
from groklst_engine.raster import Floats
from groklst_engine.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDE = 256
"""Fine pixels per side of the crop, where the scene is not smaller."""

ZOOM = 4
"""How many times smaller the detail is."""

COLUMNS = 8


@dataclass(frozen=True)
class Crop:
    """A part of a scene, and a detail in it.

    Attributes:
        scene: The part.
        scale: Coarse pixel divided by fine pixel.
        detail: Rows and columns of the detail.
    """

    scene: FineScene
    scale: int
    detail: tuple[slice, slice]

    @property
    def truth(self) -> Floats:
        """``(H, W)`` kelvin, NaN where missing."""
        return self.scene.lst.where(self.scene.mask, torch.nan)[0, 0].numpy()

    @property
    def coarse(self) -> Floats:
        """The coarse LST, each pixel as a block: ``(H, W)`` kelvin."""
        blocks: Floats = coarse_lst(self.scene, self.scale, self.scene.psf)[0, 0].numpy()
        return blocks.repeat(self.scale, 0).repeat(self.scale, 1)


def cut(scene: FineScene, scale: int) -> Crop:
    """The most varied part of a scene, of those with the fewest gaps, and the most varied detail in it.

    Args:
        scene: Its sides are multiples of 8 and of the scale.
        scale: Coarse pixel divided by fine pixel.
    """
    step = int(np.lcm(8, scale))
    truth = scene.lst.where(scene.mask, torch.nan)[0, 0].numpy()
    rows, columns = _most_varied(truth, max(1, SIDE // step) * step, step)
    transform = scene.grid.transform @ Affine.translation(columns.start, rows.start)
    part = replace(
        scene,
        lst=scene.lst[..., rows, columns],
        guidance=scene.guidance[..., rows, columns],
        grid=Grid(scene.grid.crs, transform, rows.stop - rows.start, columns.stop - columns.start),
    )
    inside = truth[rows, columns]
    return Crop(part, scale, _most_varied(inside, min(inside.shape) // ZOOM, max(1, step // 2)))


def _most_varied(values: Floats, side: int, step: int) -> tuple[slice, slice]:
    height, width = (min(side, size) for size in values.shape)
    windows = [
        (slice(top, top + height), slice(left, left + width))
        for top, left in product(
            range(0, values.shape[0] - height + 1, step), range(0, values.shape[1] - width + 1, step)
        )
    ]

    def worth(window: tuple[slice, slice]) -> tuple[float, float]:
        inside = values[window]
        valid = inside[np.isfinite(inside)]
        return round(valid.size / inside.size, 2), float(valid.std()) if valid.size else 0.0

    return max(windows, key=worth)


def draw_comparison(crop: Crop, made: Sequence[tuple[str, Floats]], path: Path) -> None:
    """Draw the coarse LST, the truth, and for each method the crop, the detail and the detail's errors.

    All temperatures share one colour range, all errors another.

    Args:
        crop: What was downscaled.
        made: Label and result, ``(H, W)`` kelvin, of each method.
        path: PNG to write.

    Raises:
        OutputError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from groklst_engine.figures import DIFFERENCE_RAMP, THERMAL_RAMP

    truth, detail = crop.truth, crop.detail
    panels = [("Input", crop.coarse), ("Truth", truth), *made]
    low, high = np.nanpercentile(truth, (1, 99))
    errors = np.concatenate([np.abs(values - truth)[detail].ravel() for _, values in made])
    reach = max(0.01, float(np.nanpercentile(errors, 98)))
    columns = min(COLUMNS, len(panels))
    bands = -(-len(panels) // columns)
    figure = Figure(figsize=(1.75 * columns, 5.6 * bands + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(3 * bands, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()

    def show(axes: Axes, values: Floats, ramp: str, limits: tuple[float, float]) -> None:
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        axes.imshow(values, cmap=ramp, vmin=limits[0], vmax=limits[1], interpolation="nearest")

    for number, (label, values) in enumerate(panels):
        band, column = divmod(number, columns)
        whole, zoomed, wrong = grid[3 * band : 3 * band + 3, column]
        show(whole, values, THERMAL_RAMP, (low, high))
        rows, across = detail
        corner = across.start - 0.5, rows.start - 0.5
        box = Rectangle(corner, across.stop - across.start, rows.stop - rows.start, fill=False, edgecolor="white")
        whole.add_patch(box)
        show(zoomed, values[detail], THERMAL_RAMP, (low, high))
        whole.set_title(label, fontsize=9)
        if label == "Truth":
            continue
        show(wrong, (values - truth)[detail], DIFFERENCE_RAMP, (-reach, reach))
        rmse = float(np.sqrt(np.nanmean(np.square(values - truth))))
        wrong.set_xlabel(f"RMSE {rmse:.3f} K", fontsize=8)
    for image, title in ((grid[0, 0].images[0], "LST (K)"), (grid[2, 0].images[0], "Error in the detail (K)")):
        bar = figure.colorbar(image, ax=grid, location="bottom", shrink=0.5, aspect=50, extend="both", pad=0.01)
        bar.set_label(title, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    try:
        with whole_file(path) as part:
            figure.savefig(part, format="png", dpi=130, facecolor="white")
    except OSError as error:
        raise OutputError(f"The figure '{path}' cannot be written: check folder and disk space.") from error
