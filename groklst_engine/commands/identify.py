"""``groklst inspect``: what files are."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from groklst_engine.commands.options import add_quality, job_from
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.jobs import IdentifyJob
from groklst_engine.worker import run_job


def add_identify_command(commands: Any, add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add ``inspect`` to the commands."""
    parser = add_command(
        commands,
        "inspect",
        _identify,
        show_identify,
        "say what files are: product, kelvin range, quality, place, time, band roles",
        "groklst inspect MOD11A1.A2023182.h18v04.061.LST_Day_1km.tif LC08_L2SP_*_SR_B4.TIF",
    )
    parser.add_argument("rasters", nargs="+", metavar="FILE", help="Rasters, subdatasets or folders of products")
    add_quality(parser, "--qc", IdentifyJob)


def _identify(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(job_from(IdentifyJob, options), on_event, cancel)


def show_identify(result: Mapping[str, Any]) -> str:
    """What ``groklst inspect`` says: a block for each file."""
    return "\n\n".join("\n".join(_lines(file)) for file in result["files"])


def _lines(file: Mapping[str, Any]) -> list[str]:
    width, height = file["pixel"]
    known = f"{file['title']} ({file['product']})" if file["product"] else f"no known product, read as {file['kind']}"
    facts = [
        ("product", known),
        ("grid", f"{file['width']} × {file['height']} pixels of {width:.6g} × {height:.6g} {file['pixel_unit']}"),
        ("CRS", file["crs"]),
    ]
    if file["kind"] == "lst":
        low, high = file["range"]
        fill = ", ".join(f"{value:g}" for value in file["fill"]) or "none"
        facts += [
            ("temperature", f"{low:.2f} to {high:.2f} K (2 to 98 %), {file['valid']:.1%} of the pixels"),
            ("stored as", f"number × {file['scale']:g} + {file['offset']:g} {file['unit']}, fill {fill}"),
            ("quality", _quality(file)),
        ]
        if file["uncertainty"] is not None:
            facts.append(("uncertainty", f"{file['uncertainty']:.2f} K (median, the product's own)"))
        if file["native"]:
            facts.append(("sensor", f"{file['native']:g} m pixel, {file['psf']} response"))
    elif file["quality"]:
        facts.append(("quality", _names(file)))
    facts.append(("acquired", f"{file['acquired']} ({file['acquired_from']})" if file["acquired"] else "not told"))
    facts += [(f"band {band['band']}", _band(band)) for band in file["bands"]]
    facts += [("warning", said) for said in file["warnings"]]
    return [file["path"], *(f"  {label:<12} {text}" for label, text in facts)]


def _quality(file: Mapping[str, Any]) -> str:
    if file["qc_kept"] is None:
        return "no quality layer used" if file["quality"] else "no quality layer found"
    return f"{file['qc_kept']:.1%} of the measured pixels kept by {_names(file)}"


def _names(file: Mapping[str, Any]) -> str:
    from groklst_engine.products.layers import layer_name  # needs rasterio, which other commands start without

    return ", ".join(layer_name(path) for path in file["quality"])


def _band(band: Mapping[str, Any]) -> str:
    text = band["role"] or "left out"
    if band["description"]:
        text += f", {band['description']}"
    if (band.get("scale", 1), band.get("offset", 0)) != (1, 0):
        text += f", number × {band['scale']:g} + {band['offset']:g}"
    return text if band.get("fill") is None else f"{text}, fill {band['fill']:g}"
