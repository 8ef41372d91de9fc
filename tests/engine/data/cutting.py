"""Scenes to cut into a data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.transform import from_origin
from rasters import write

from groklst_engine.data.groklst import BANDS
from groklst_engine.data.synthetic import SyntheticScene
from groklst_engine.inputs import GuidanceSource, LstSource, SceneSource
from groklst_engine.training_jobs import PrepareJob

PIXEL = 30.0
SIDE = 160
CLOUD = (slice(0, 40), slice(0, 50))


def scene(folder: Path, name: str, land: SyntheticScene, *, west: int = 0, south: int = 0, cloud: bool = False) -> Any:
    """A scene of 160 × 160 pixels, moved by whole pixels, with all bands of the GrokLST data set."""
    bands = {role: band[:SIDE, :SIDE] for role, band in land.guidance.items()}
    bands |= {"coastal": 0.9 * bands["blue"], "rededge": (bands["red"] + bands["nir"]) / 2}
    bands["ndmvi"] = (bands["nir"] - bands["swir1"]) / (bands["nir"] + bands["swir1"])
    bands = {role: bands[role] for role in BANDS.values() if role in bands}  # ndwi is computed where it is wanted
    lst = land.lst[:SIDE, :SIDE].copy()
    if cloud:
        lst[CLOUD] = np.nan
    place = from_origin(500_000 + west * PIXEL, 4_400_000 - south * PIXEL, PIXEL, PIXEL)
    folder.mkdir(exist_ok=True)
    files = {"transform": place, "nodata": np.nan}
    write(folder / f"{name}_lst.tif", lst.astype(np.float32), **files)
    write(folder / f"{name}_guidance.tif", np.stack(list(bands.values())).astype(np.float32), **files)
    guidance = GuidanceSource(path=str(folder / f"{name}_guidance.tif"), roles=tuple(bands))
    return SceneSource(
        name=name, region="valley", lst=LstSource(path=str(folder / f"{name}_lst.tif"), unit="K"), guidance=(guidance,)
    )


def job(scenes: Iterable[SceneSource], output: Path, **options: Any) -> PrepareJob:
    return PrepareJob(
        scenes=tuple(scenes), output=output, **{"crop": 32, "scales": (2, 4), "min_valid": 0.8, **options}
    )
