"""How the chips of a prepared data set are stored: a GeoTIFF each, one Zarr store, or GrokLST's layout.

A chip is there as a whole or not at all: what says that it is there is written last.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import Affine

from groklst_engine.bands import ROLES
from groklst_engine.data.dataset import FineScene, coarse_lst
from groklst_engine.data.groklst import RESOLUTIONS, Sample, load_sample, write_sample
from groklst_engine.errors import InputError
from groklst_engine.grid import Grid
from groklst_engine.physics.psf import Psf
from groklst_engine.raster import Floats, grid_of, open_raster, profile_of, read_band, with_nodata
from groklst_engine.whole_file import whole_file

ChipFormat = Literal["geotiff", "zarr", "groklst"]


class ChipStore(Protocol):
    """The chips in a folder."""

    def names(self) -> set[str]:
        """Of the chips that are there as a whole."""

    def write(self, chip: FineScene, scales: tuple[int, ...], psf: Psf) -> None:
        """Store a chip and its coarse LST for each scale.

        Raises:
            OSError: The disk is full, or the folder may not be written to.
        """

    def read(self, name: str) -> FineScene:
        """Read a chip; its region is its name.

        Raises:
            InputError: It is missing or damaged.
        """

    def remove(self, name: str) -> None:
        """Delete a chip.

        Raises:
            OSError: It may not be deleted.
        """


def open_store(kind: ChipFormat, folder: Path) -> ChipStore:
    """The store of a format; the folder need not be there before something is written.

    Raises:
        InputError: The format needs a package that is not installed.
    """
    if kind == "geotiff":
        return _GeoTiffs(folder)
    return _Zarr(folder) if kind == "zarr" else _GrokLst(folder)


class _GeoTiffs:
    """``fine/NAME.tif`` with LST and guidance, a role as each band's description, and ``lst_xSCALE/NAME.tif``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> set[str]:
        return {file.stem for file in (self._folder / "fine").glob("*.tif")}

    def write(self, chip: FineScene, scales: tuple[int, ...], psf: Psf) -> None:
        for scale in scales:
            coarse = coarse_lst(chip, scale, psf)[0].numpy()
            self._write(self._folder / f"lst_x{scale}" / f"{chip.name}.tif", coarse, chip.grid.coarsened(scale), [])
        fine = torch.cat([chip.lst, chip.guidance], dim=1)[0].numpy()
        self._write(self._folder / "fine" / f"{chip.name}.tif", fine, chip.grid, list(chip.roles))

    def _write(self, path: Path, values: Floats, grid: Grid, roles: list[str]) -> None:
        profile = {**profile_of(grid, len(values)), "compress": "deflate", "predictor": 3}
        with MemoryFile() as memory:  # GDAL itself would be silent about a full disk
            with memory.open(**profile) as dataset:
                dataset.write(with_nodata(values))
                dataset.descriptions = ("lst", *roles)
                dataset.set_band_unit(1, "K")
            content = memory.read()
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_bytes(content)

    def read(self, name: str) -> FineScene:
        path = self._folder / "fine" / f"{name}.tif"
        with open_raster(str(path), "chip") as dataset:
            grid, roles = grid_of(dataset, "chip"), dataset.descriptions[1:]
            bands = [read_band(dataset, band, "chip") for band in dataset.indexes]
        return _chip(name, np.stack(bands), roles, grid, path)

    def remove(self, name: str) -> None:
        (self._folder / "fine" / f"{name}.tif").unlink()
        for file in self._folder.glob(f"lst_x*/{name}.tif"):
            file.unlink()


class _Zarr:
    """``chips.zarr`` with a group per chip: ``lst (H, W)``, ``guidance (C, H, W)`` and ``lst_xSCALE (h, w)``."""

    def __init__(self, folder: Path) -> None:
        try:
            import zarr
        except ImportError as error:
            raise InputError(
                "Chips in a Zarr store need the package zarr: install it with `pip install 'groklst[zarr]'`, or choose "
                "another format."
            ) from error
        self._path = folder / "chips.zarr"
        self._open: Callable[..., Any] = zarr.open_group

    def names(self) -> set[str]:
        if not self._path.exists():
            return set()
        store = self._open(str(self._path), mode="r")
        return {name for name in store.group_keys() if "grid" in store[name].attrs}

    def write(self, chip: FineScene, scales: tuple[int, ...], psf: Psf) -> None:
        store = self._open(str(self._path), mode="a")
        if chip.name in store:  # begun, and then interrupted
            del store[chip.name]
        group = store.require_group(chip.name)
        group["lst"] = chip.lst[0, 0].numpy()
        group["guidance"] = chip.guidance[0].numpy()
        for scale in scales:
            group[f"lst_x{scale}"] = coarse_lst(chip, scale, psf)[0, 0].numpy()
        group.attrs["roles"] = list(chip.roles)
        group.attrs["grid"] = {"crs": chip.grid.crs.to_wkt(), "transform": list(chip.grid.transform)[:6]}

    def read(self, name: str) -> FineScene:
        path = self._path / name
        try:
            group = self._open(str(self._path), mode="r")[name]
            values = np.concatenate([group["lst"][:][None], group["guidance"][:]])
            place, roles = dict(group.attrs["grid"]), tuple(group.attrs["roles"])
            grid = Grid(CRS.from_wkt(place["crs"]), Affine(*place["transform"]), *values.shape[1:])
        except Exception as error:  # damaged stores raise anything
            raise InputError(f"The chip '{path}' is missing or damaged: prepare the data set again.") from error
        return _chip(name, values, roles, grid, path)

    def remove(self, name: str) -> None:
        del self._open(str(self._path), mode="a")[name]


class _GrokLst:
    """``30m`` to ``240m`` hold LST and guidance as MATLAB files, whatever the pixel size really is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> set[str]:
        return {file.stem for file in (self._folder / f"{RESOLUTIONS[-1]}m" / "guidance").glob("*.mat")}

    def write(self, chip: FineScene, scales: tuple[int, ...], psf: Psf) -> None:
        write_sample(self._folder, chip, psf)

    def read(self, name: str) -> FineScene:
        return load_sample(Sample(self._folder, name))

    def remove(self, name: str) -> None:
        for file in self._folder.glob(f"*m/*/{name}.mat"):
            file.unlink()


def _chip(name: str, values: Floats, roles: tuple[Any, ...], grid: Grid, path: Path) -> FineScene:
    if unknown := set(roles) - set(ROLES):
        raise InputError(f"The chip '{path}' has a band of the unknown role {unknown.pop()!r}: prepare it again.")
    tensor = torch.from_numpy(values)[None]
    return FineScene(name, name, tensor[:, :1], tensor[:, 1:], tuple(roles), grid)
