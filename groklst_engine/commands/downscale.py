"""The sub-command ``groklst downscale``, for one scene or many."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from groklst_engine.archives.listing import has_wildcard
from groklst_engine.commands.console import show_downscale, table
from groklst_engine.commands.options import (
    add_consistency,
    add_fields,
    add_inputs,
    fields_from,
    job_from,
    lst_source,
    words,
)
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.jobs import ArchiveJob, DownscaleJob, parse_job
from groklst_engine.worker import run_job


def add_downscale_command(commands: Any, add_command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the sub-command to the command line's."""
    downscale = add_command(
        commands,
        "downscale",
        _downscale,
        _show,
        "make a fine LST raster from a coarse one, or many",
        "groklst downscale --lst modis.tif --guidance s2.tif:blue,green,red,nir dem.tif --scale 4 -o fine.tif\n"
        "  groklst downscale --lst 'modis/*.tif' --guidance dem.tif --scale 4 -o 'fine/{stem}_x{scale}.tif'\n"
        "  groklst downscale --list scenes.csv --scale 4 -o 'fine/{date}.tif' --summary fine",
    )
    several = downscale.add_mutually_exclusive_group(required=True)
    add_inputs(downscale, several)
    several.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="Many scenes: CSV with the columns lst, guidance (several separated by ;), mask, overpass, output, name "
        "or any other option; or a STAC item collection",
    )
    downscale.add_argument("--lst-asset", metavar="KEY", help="The asset of a STAC item that is the LST")
    downscale.add_argument(
        "--guidance-assets", type=words, metavar="A,B,…", default=(), help="The assets of a STAC item that are guidance"
    )
    add_fields(downscale, DownscaleJob, "mask", "scale", "steps", "method", "detail")
    add_fields(downscale, DownscaleJob, "output", "cog", "uncertainty", "report")
    downscale.add_argument(
        "--reference", type=lst_source, metavar="FILE[:BAND]", help="A fine LST to score the result against"
    )
    add_consistency(downscale, DownscaleJob)
    add_fields(downscale, DownscaleJob, "psf", "mtf", "domain", "emissivity", "derive", "overpass", "cross_sensor")
    add_fields(downscale, DownscaleJob, "overwrite", "device", "precision", "compile", "tile", "memory")
    add_fields(downscale, DownscaleJob, "resume", "cluster", "seed")
    add_fields(downscale, DownscaleJob, "candidates", "budget")
    add_fields(downscale, ArchiveJob, "skip_existing", "summary")


def _downscale(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.list is None and not has_wildcard(options.lst["path"]):
        return run_job(job_from(DownscaleJob, options), on_event, cancel)
    of_all = {**vars(options), "lst": dict(options.lst or {}), "cluster": None}
    archive = {
        "kind": "archive-list",
        "file": options.list,
        "lst_asset": options.lst_asset,
        "guidance_assets": options.guidance_assets,
        "rasters": [options.lst["path"]] if options.lst else [],
        "scene": fields_from(DownscaleJob, argparse.Namespace(**of_all)),
        "guidance_qc": options.guidance_qc,
        "skip_existing": options.skip_existing or False,
        "summary": options.summary,
        "cluster": options.cluster,
    }
    return run_job(parse_job(archive), on_event, cancel)


def _show(result: Mapping[str, Any]) -> str:
    """The result of one scene, or a table of many."""
    if "rows" not in result:
        return show_downscale(result)
    heads = ("scene", "status", "method", "from", "to", "unit", "consistency RMSE (K)", "seconds")
    keys = ("scene", "status", "method", "low", "high", "unit", "consistency_rmse", "seconds")
    lines = [table(heads, ([row[key] for key in keys] for row in result["rows"])), ""]
    return "\n".join([*lines, *(f"{kind}: {path}" for kind, path in result["files"].items())]).rstrip()
