"""What files are: product, temperatures, quality, place, time and band roles. Needs no torch, answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from groklst_engine.errors import InputError
from groklst_engine.grid import Grid
from groklst_engine.inputs import LstSource
from groklst_engine.jobs import IdentifyJob
from groklst_engine.lst_reader import LstReader
from groklst_engine.products import Product, guidance_paths, lst_product
from groklst_engine.products.layers import layer_name, layers_in, open_quietly
from groklst_engine.products.packing import guidance_packing
from groklst_engine.products.recognise import guidance_product
from groklst_engine.raster import grid_of, open_raster


def identify(job: IdentifyJob) -> dict[str, Any]:
    """Describe each file as a JSON object, in words under ``facts``.

    Raises:
        InputError: A file cannot be read.
    """
    files = [part for name in job.rasters for part in _identify(name, job)]
    return {"files": [{**file, "facts": facts(file)} for file in files]}


def _identify(name: str, job: IdentifyJob) -> list[dict[str, Any]]:
    product = lst_product(name)
    if product is not None:
        return [_lst(name, job)]
    paths = guidance_paths(name)
    described = [_guidance(path) for path in paths]
    roles = {band["role"] for band in described[0]["bands"]}
    if len(described) > 1 or described[0]["product"] or roles - {"other", None}:
        return described
    try:
        return [_lst(name, job)]  # a plain raster of temperatures
    except InputError:
        return described


def _lst(name: str, job: IdentifyJob) -> dict[str, Any]:
    reader = LstReader(LstSource(path=name, qc=job.qc))
    try:
        product, summary = reader.product, reader.summary
        return {
            "kind": "lst",
            "path": reader.name,
            "product": product.name if product else None,
            "title": product.title if product else None,
            **_place(reader.grid),
            "unit": reader.unit,
            "scale": product.scale if product and product.swath else reader.scale,
            "offset": product.offset if product and product.swath else reader.offset,
            "fill": list(product.fills) if product and product.fills else _declared_fill(reader.dataset, reader.band),
            "range": [summary.low, summary.high],
            "valid": summary.valid,
            "qc_kept": summary.kept,
            "quality": [part.layer.path for part in product.quality] if product else [],
            "uncertainty": _median_error(product) if product else None,
            "acquired": product.acquired.isoformat() if product and product.acquired else None,
            "acquired_from": product.acquired_from if product else "",
            "native": product.native if product else None,
            "psf": product.psf if product else None,
            "bands": [
                {"band": reader.band, "description": reader.dataset.descriptions[reader.band - 1], "role": "lst"}
            ],
            "warnings": list(reader.warnings),
        }
    finally:
        reader.close()


def _guidance(path: str) -> dict[str, Any]:
    with open_raster(path, "guidance") as dataset:
        packing = guidance_packing(dataset, path)
        layers = layers_in(path)
        products = [product for layer in layers if (product := guidance_product(layer, layers))]
        first = products[0] if products else None
        return {
            "kind": "guidance",
            "path": path,
            "product": first.name if first else None,
            "title": first.title if first else None,
            **_place(grid_of(dataset, "guidance")),
            "quality": list(dict.fromkeys(part.layer.path for band in packing for part in band.quality)),
            "acquired": first.acquired.isoformat() if first and first.acquired else None,
            "acquired_from": first.acquired_from if first else "",
            "bands": [
                {
                    "band": number,
                    "description": dataset.descriptions[number - 1],
                    "role": band.role,
                    "scale": band.scale,
                    "offset": band.offset,
                    "fill": band.nodata,
                }
                for number, band in enumerate(packing, start=1)
            ],
            "warnings": list(dict.fromkeys(said for band in packing for said in band.warnings)),
        }


def _place(grid: Grid) -> dict[str, Any]:
    return {
        "crs": grid.crs_name,
        "pixel": list(grid.pixel),
        "pixel_unit": grid.unit_name,
        "width": grid.width,
        "height": grid.height,
    }


def _declared_fill(dataset: rasterio.DatasetReader, band: int) -> list[float]:
    fill = dataset.nodatavals[band - 1]
    return [] if fill is None else [fill]


def _median_error(product: Product) -> float | None:
    """Median of the product's own uncertainty, in kelvin."""
    if product.error is None:
        return None
    dataset = open_quietly(product.error.path)
    if dataset is None:
        return None
    try:
        with dataset:
            step = max(1, max(dataset.shape) // 512)
            shape = max(1, dataset.height // step), max(1, dataset.width // step)
            stored = dataset.read(product.error.band, out_shape=shape, masked=True).compressed().astype(np.float64)
            scale = dataset.scales[product.error.band - 1]
    except RasterioError:
        return None
    stored = stored[np.isfinite(stored) & (stored > 0)]
    return float(np.median(stored)) * (product.error_scale if scale == 1 else scale) if stored.size else None


def facts(file: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A description of a file in words: labels and texts."""
    width, height = file["pixel"]
    known = f"{file['title']} ({file['product']})" if file["product"] else f"no known product, read as {file['kind']}"
    said = [
        ("product", known),
        ("grid", f"{file['width']} × {file['height']} pixels of {width:.6g} × {height:.6g} {file['pixel_unit']}"),
        ("CRS", file["crs"]),
    ]
    if file["kind"] == "lst":
        low, high = file["range"]
        fill = ", ".join(f"{value:g}" for value in file["fill"]) or "none"
        said += [
            ("temperature", f"{low:.2f} to {high:.2f} K (2 to 98 %), {file['valid']:.1%} of the pixels"),
            ("stored as", f"number × {file['scale']:g} + {file['offset']:g} {file['unit']}, fill {fill}"),
            ("quality", _quality(file)),
        ]
        if file["uncertainty"] is not None:
            said.append(("uncertainty", f"{file['uncertainty']:.2f} K (median, the product's own)"))
        if file["native"]:
            said.append(("sensor", f"{file['native']:g} m pixel, {file['psf']} response"))
    elif file["quality"]:
        said.append(("quality", _names(file)))
    said.append(("acquired", f"{file['acquired']} ({file['acquired_from']})" if file["acquired"] else "not told"))
    said += [(f"band {band['band']}", _band(band)) for band in file["bands"]]
    said += [("warning", warning) for warning in file["warnings"]]
    return said


def _quality(file: Mapping[str, Any]) -> str:
    if file["qc_kept"] is None:
        return "no quality layer used" if file["quality"] else "no quality layer found"
    return f"{file['qc_kept']:.1%} of the measured pixels kept by {_names(file)}"


def _names(file: Mapping[str, Any]) -> str:
    return ", ".join(layer_name(path) for path in file["quality"])


def _band(band: Mapping[str, Any]) -> str:
    text = band["role"] or "left out"
    if band["description"]:
        text += f", {band['description']}"
    if (band.get("scale", 1), band.get("offset", 0)) != (1, 0):
        text += f", number × {band['scale']:g} + {band['offset']:g}"
    return text if band.get("fill") is None else f"{text}, fill {band['fill']:g}"
