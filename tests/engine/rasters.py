"""Small rasters for the tests, and downscaling them in a line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
import scipy.io
import torch
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from torch import nn

from groklst_engine.bands import Role
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.groklst import BANDS, write_sample, write_splits
from groklst_engine.data.synthetic import ScenePaths, SyntheticScene, write_scene
from groklst_engine.grid import Grid
from groklst_engine.inputs import GuidanceSource, LstSource
from groklst_engine.jobs import DownscaleJob
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.predict import DownscaleResult, downscale
from groklst_engine.weights import ModelCard, save_weights

UTM = "EPSG:32612"
CORNER = (400_000, 4_500_000)
PIXEL = 240.0
NODATA = -9999.0
ROLES: tuple[Role, ...] = ("ndvi", "nir", "dem")


def coarse_lst(side: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """Kelvin that vary from pixel to pixel."""
    return (300 + np.random.default_rng(seed).normal(0, 3, (side, side))).astype(np.float32)


def write(
    path: Path,
    values: NDArray[Any],
    *,
    pixel: float = PIXEL,
    crs: str | None = UTM,
    transform: Affine | None = None,
    nodata: float | None = None,
    names: Iterable[str] = (),
    unit: str | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    **profile: Any,
) -> Path:
    """Write ``(H, W)`` or ``(C, H, W)`` values; by default at one and the same UTM corner."""
    bands = values if values.ndim == 3 else values[None]
    place = transform if transform is not None else from_origin(*CORNER, pixel, pixel)
    shape = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    options = {"driver": "GTiff", "crs": crs, "transform": place, "nodata": nodata, **shape, **profile}
    with rasterio.open(path, "w", **options) as dataset:
        dataset.write(bands)
        dataset.scales, dataset.offsets = (scale,) * len(bands), (offset,) * len(bands)
        if names:
            dataset.descriptions = tuple(names)
        if unit:
            dataset.units = (unit,) * len(bands)
    return path


def read(path: Path) -> NDArray[np.float32]:
    """The first band, NaN where missing."""
    with rasterio.open(path) as dataset:
        values: NDArray[np.float32] = dataset.read(1, masked=True).filled(np.nan)
    return values


def place_of(path: Path) -> Affine:
    """A raster's transform."""
    with rasterio.open(path) as dataset:
        return dataset.transform


def job_for(lst: Path, *guidance: Path, output: Path, unit: str = "auto", **options: Any) -> DownscaleJob:
    """A downscaling job, by default by 4 with back-projected bicubic."""
    wish: dict[str, Any] = {"scale": 4, "method": "bicubic-ibp", "output": output, "device": "cpu"} | options
    sources = tuple(GuidanceSource(path=str(path)) for path in guidance)
    return DownscaleJob(lst=LstSource(path=str(lst), unit=unit), guidance=sources, **wish)


def fine(lst: Path, *guidance: Path, output: Path, **options: Any) -> NDArray[np.float32]:
    """Downscale and read the result."""
    return read(run(lst, *guidance, output=output, **options).output)


def run(lst: Path, *guidance: Path, output: Path, **options: Any) -> DownscaleResult:
    """Downscale."""
    return downscale(job_for(lst, *guidance, output=output, **options))


def block_means(values: NDArray[np.floating], scale: int) -> NDArray[np.float64]:
    """Means over the valid pixels of each block, NaN where there are none."""
    rows, columns = values.shape[0] // scale, values.shape[1] // scale
    blocks = values.astype(np.float64).reshape(rows, scale, columns, scale).transpose(0, 2, 1, 3)
    blocks = blocks.reshape(rows, columns, -1)
    count = np.isfinite(blocks).sum(-1)
    return np.where(count > 0, np.nansum(blocks, -1) / np.maximum(count, 1), np.nan)


def repeated(coarse: NDArray[Any], scale: int) -> NDArray[Any]:
    """Each pixel as a block."""
    return coarse.repeat(scale, 0).repeat(scale, 1)


def cropped(scene: SyntheticScene, side: int, folder: Path, scale: int, **options: Any) -> ScenePaths:
    """Write the upper left part of a scene."""
    bands = {role: band[:side, :side] for role, band in scene.guidance.items()}
    part = dataclasses.replace(scene, lst=scene.lst[:side, :side], guidance=bands)
    return write_scene(part, folder, scale, **options)


def groklst_scene(landscape: SyntheticScene, name: str, top: int, height: int, width: int) -> FineScene:
    """Part of the landscape with the ten bands of the GrokLST data set."""
    bands = {role: band[top : top + height, :width] for role, band in landscape.guidance.items()}
    bands |= {"coastal": 0.9 * bands["blue"], "rededge": (bands["red"] + bands["nir"]) / 2}
    bands["ndwi"] = (bands["green"] - bands["nir"]) / (bands["green"] + bands["nir"])
    bands["ndmvi"] = (bands["nir"] - bands["swir1"]) / (bands["nir"] + bands["swir1"])
    roles = tuple(sorted(bands))  # not the order of the files
    grid = Grid(CRS.from_string(landscape.crs), landscape.transform, height, width)
    lst = torch.from_numpy(landscape.lst[top : top + height, :width].copy())
    guidance = torch.from_numpy(np.stack([bands[role] for role in roles]))
    return FineScene(name, name, lst[None, None], guidance[None], roles, grid)


def write_groklst(
    folder: Path, scenes: Iterable[FineScene], splits: Mapping[str, Sequence[str]], version: str = "5"
) -> None:
    """A data set in the layout of the GrokLST data set, its files of a version of MATLAB's."""
    for scene in scenes:
        write_sample(folder, scene)
    write_splits(folder, splits)
    for file in folder.rglob("*.mat") if version == "5" else ():
        with h5py.File(file) as content:
            fields = {field: np.asarray(content[field]).T for field in ("data", *BANDS) if field in content}
        scipy.io.savemat(file, fields, do_compression=True, appendmat=False)


def random_weights(
    path: Path, architecture: str, scales: tuple[int, ...], *, head: float, preset: str | None = None, **arguments: Any
) -> Path:
    """A weights file of a network that was never trained; its head is random and of the given size."""
    torch.manual_seed(0)
    network = create_model(architecture, scale=scales[0], guidance_bands=len(ROLES), preset=preset, **arguments)
    last = [module for module in network.head.modules() if isinstance(module, nn.Conv2d)][-1]
    nn.init.normal_(last.weight, std=head)
    own = get_spec(architecture).arguments(preset, **arguments)
    save_weights(
        path, network, ModelCard(name=path.stem, architecture=architecture, arguments=own, scales=scales, roles=ROLES)
    )
    return path
