"""A first look at training data: sizes, bands, valid shares, and a small picture of each scene or sample."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from torch import Tensor
from torch.nn.functional import interpolate

from groklst_engine.data.dataset import FineScene
from groklst_engine.data.sources import load, sources_of
from groklst_engine.errors import OutputError
from groklst_engine.events import CancelToken, OnEvent, progress
from groklst_engine.overview_jobs import PreviewJob

SIDE = 96
"""Pixels of a picture's longer side."""

FEW = 0.5
"""Valid share below which a scene deserves a warning."""

_COLD, _HOT = np.array([11, 7, 36]), np.array([252, 255, 164])
_STOPS = np.array([_COLD, [87, 16, 110], [188, 55, 84], [249, 142, 9], _HOT])
_BLANK = 200  # grey where there is no value


def preview(job: PreviewJob, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    """Look at the scenes, or at ``job.count`` samples spread over a data set's split.

    Returns:
        ``total`` number of scenes, ``roles`` that all of them have, shorter side of the smallest (``side``), ``chips``
        with name, size, valid share and pictures of LST and guidance, and ``warnings``.

    Raises:
        InputError: A file cannot be used.
        OutputError: The folder for the pictures cannot be written.
        Cancelled: ``cancel`` was raised.
    """
    sources = sources_of(job)
    looked_at = sources
    if job.dataset is not None:
        picked = np.linspace(0, len(sources) - 1, min(job.count, len(sources)))
        looked_at = tuple(sources[int(index)] for index in picked)
    try:
        job.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder '{job.output}' for pictures cannot be made: choose another.") from error
    chips: list[dict[str, Any]] = []
    roles: list[set[str]] = []
    for number, source in enumerate(looked_at):
        cancel.check()
        progress(on_event, number / len(looked_at), f"Looking at {source.name}")
        scene = load(source)
        chips.append(_chip(scene, job.output / f"{number:03d}"))
        roles.append(set(scene.roles))
    common = set.intersection(*roles)
    everywhere = [role for role in dict.fromkeys(scene.roles) if role in common]
    return {
        "total": len(sources),
        "roles": everywhere,
        "side": min(min(chip["width"], chip["height"]) for chip in chips),
        "chips": chips,
        "warnings": list(_warnings(chips, sorted(set.union(*roles) - common))),
    }


def _chip(scene: FineScene, picture: Path) -> dict[str, Any]:
    height, width = scene.lst.shape[-2:]
    lst, guidance = picture.with_suffix(".lst.png"), picture.with_suffix(".guidance.png")
    _write(lst, _coloured(_small(scene.lst)[0]))
    if len(scene.roles):
        _write(guidance, _composite(scene))
    return {
        "name": scene.name,
        "region": scene.region,
        "width": width,
        "height": height,
        "pixel": abs(scene.grid.transform.a),
        "coverage": float(scene.mask.float().mean()),
        "lst": str(lst),
        "guidance": str(guidance) if len(scene.roles) else None,
    }


def _warnings(chips: list[dict[str, Any]], not_everywhere: list[str]) -> list[str]:
    warnings = [
        f"Only {chip['coverage']:.0%} of '{chip['name']}' has LST and all guidance bands."
        for chip in chips
        if chip["coverage"] < FEW
    ]
    if not_everywhere:
        warnings.append(f"Not every scene has the bands {', '.join(not_everywhere)}.")
    return warnings


def _composite(scene: FineScene) -> NDArray[np.uint8]:
    """Near infrared, red and green as red, green and blue where there are all three; else the first band in grey."""
    shown = [scene.roles.index(role) for role in ("nir", "red", "green") if role in scene.roles]
    bands = _stretched(_small(scene.guidance[:, shown if len(shown) == 3 else [0, 0, 0]]))
    return np.where(np.isfinite(bands), 255 * bands, _BLANK).astype(np.uint8)


def _coloured(values_hw: NDArray[np.float32]) -> NDArray[np.uint8]:
    """From cold to hot, ``(3, H, W)``."""
    shares = _stretched(values_hw[None])[0]
    at = np.linspace(0, 1, len(_STOPS))
    channels = np.stack([np.interp(shares, at, _STOPS[:, channel]) for channel in range(3)])
    return np.where(np.isfinite(shares), channels, _BLANK).astype(np.uint8)


def _stretched(values_chw: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each band from 0 to 1 between its 2nd and 98th percentile; NaN stays."""
    bands = []
    for band in values_chw:
        finite = band[np.isfinite(band)]
        low, high = np.percentile(finite, (2, 98)) if finite.size else (0.0, 1.0)
        bands.append(np.clip((band - low) / max(high - low, 1e-6), 0, 1))
    return np.stack(bands)


def _small(values_bchw: Tensor) -> NDArray[np.float32]:
    """``(C, H, W)`` at a picture's size."""
    height, width = values_bchw.shape[-2:]
    factor = SIDE / max(height, width)
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    small: NDArray[np.float32] = interpolate(values_bchw.to(torch.float32), size=size, mode="nearest")[0].numpy()
    return small


def _write(path: Path, image_chw: NDArray[np.uint8]) -> None:
    """A PNG without the file of coordinates that GDAL would put beside it."""
    count, height, width = image_chw.shape
    profile = {"driver": "PNG", "count": count, "height": height, "width": width, "dtype": "uint8"}
    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED=False):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # a picture is nowhere
            with rasterio.open(path, "w", **profile) as file:
                file.write(image_chw)
    except (OSError, RasterioError) as error:
        raise OutputError(f"The picture '{path}' cannot be written: check folder and disk space.") from error
