"""The pre-flight: what the inputs are, and what would be done to them. Needs no torch, answers at once."""

from __future__ import annotations

from typing import Any

from groklst_engine.grid import Grid
from groklst_engine.jobs import InspectJob
from groklst_engine.reader import AlignedReader, GuidanceLayer

MIN_COARSE_SIDE = 8
"""Coarse pixels below which a scene is too small for its statistics to mean much."""


MIN_KEPT = 0.5
"""Share of the LST that quality layers should leave."""


def inspect_inputs(job: InspectJob) -> dict[str, Any]:
    """Describe a job's layers, grids and warnings as a JSON object; see ``describe``.

    Raises:
        InputError: An input cannot be used.
    """
    with AlignedReader(job.lst, job.guidance, job.scale, job.mask) as reader:
        return describe(reader)


def describe(reader: AlignedReader) -> dict[str, Any]:
    """The layers (grids, coverage, bands with roles, what will be done), the fine grid, the unit, the warnings."""
    fine, lst = reader.pair.fine, reader.lst
    lst_layer = _layer("lst", lst.name, lst.grid, lst.summary.valid) | {
        "action": f"Downscaled from {_pixel(lst.grid.pixel, fine)} to {_pixel(fine.pixel, fine)}",
        "product": lst.product.name if lst.product else None,
        "qc_kept": lst.summary.kept,
        "bands": [{"band": lst.band, "description": lst.dataset.descriptions[lst.band - 1], "role": "lst"}],
    }
    layers = [
        _layer("guidance", layer.path, layer.grid, layer.coverage)
        | {
            "action": _action(layer, fine),
            "product": layer.product,
            "bands": [
                {"band": number, "description": description, "role": role}
                for number, (description, role) in enumerate(zip(layer.descriptions, layer.roles, strict=True), start=1)
            ],
        }
        for layer in reader.layers
    ]
    return {
        "unit": lst.unit,
        "range": [lst.summary.low, lst.summary.high],
        "scale": reader.pair.scale,
        "fine": {"crs": fine.crs_name, "width": fine.width, "height": fine.height, "pixel": list(fine.pixel)},
        "layers": [lst_layer, *layers],
        "warnings": warnings_of(reader),
    }


def warnings_of(reader: AlignedReader) -> list[str]:
    """What the user should know before trusting a result, in plain sentences."""
    found = [*reader.lst.warnings, *(said for layer in reader.layers for said in layer.warnings)]
    pair, summary = reader.pair, reader.lst.summary
    if summary.kept is not None and summary.kept < MIN_KEPT:
        found.append(f"Mask and quality layers leave {summary.kept:.0%} of the LST; all others stay empty.")
    if summary.implausible > 0.0005:
        found.append(f"{summary.implausible:.1%} of the LST pixels hold no possible temperature and count as missing.")
    if min(pair.coarse.height, pair.coarse.width) < MIN_COARSE_SIDE:
        found.append(
            f"The LST has only {pair.coarse.width} × {pair.coarse.height} pixels; a larger extent gives the method "
            "more to go by."
        )
    fine_area = pair.fine.pixel[0] * pair.fine.pixel[1]
    for layer in reader.layers:
        if layer.coverage < 0.995:
            found.append(f"'{layer.path}' covers {layer.coverage:.0%} of the LST; the rest of the result stays empty.")
        coarser = (layer.pixel[0] * layer.pixel[1] / fine_area) ** 0.5
        if coarser >= pair.scale * 0.99:
            found.append(
                f"'{layer.path}' is not finer than the LST ({_pixel(layer.pixel, pair.fine)}) and can add no detail."
            )
        elif coarser > 1.5:
            found.append(
                f"'{layer.path}' ({_pixel(layer.pixel, pair.fine)}) is coarser than the result "
                f"({_pixel(pair.fine.pixel, pair.fine)}) and adds no detail below its own pixel."
            )
    return found


def _layer(kind: str, path: str, grid: Grid, coverage: float) -> dict[str, Any]:
    return {
        "kind": kind,
        "path": path,
        "crs": grid.crs_name,
        "pixel": list(grid.pixel),
        "pixel_unit": grid.unit_name,
        "width": grid.width,
        "height": grid.height,
        "coverage": coverage,
    }


def _action(layer: GuidanceLayer, fine: Grid) -> str:
    how = "Averaged" if layer.resampling == "average" else "Interpolated"
    across = "" if layer.grid.crs == fine.crs else f", reprojected to {fine.crs_name}"
    if layer.grid.crs == fine.crs and _same_pixels(layer.grid, fine):
        return f"Used at its own {_pixel(fine.pixel, fine)}"
    return f"{how} from {_pixel(layer.pixel, fine)} to {_pixel(fine.pixel, fine)}{across}"


def _same_pixels(grid: Grid, other: Grid) -> bool:
    """Whether two grids in one CRS share their pixels, whatever their extents."""
    column, row = ~other.transform @ grid.transform @ (0.0, 0.0)
    sizes = [abs(a / b - 1) for a, b in zip(grid.pixel, other.pixel, strict=True)]
    return bool(max(*sizes, abs(column - round(column)), abs(row - round(row))) < 1e-4)


def _pixel(pixel: tuple[float, float], grid: Grid) -> str:
    return f"{pixel[0]:.4g} {grid.unit_name}"
