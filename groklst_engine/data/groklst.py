"""The GrokLST data set: the folders in which it is published, read and written.

``30m``, ``60m``, ``120m`` and ``240m`` hold the same samples, ``lst/NAME.mat`` with the field ``data`` and
``guidance/NAME.mat`` with a field per band; ``split/{train,val,trainval,test}.txt`` hold a name per line. The files are
MATLAB's, version 5 or 7.3 (HDF5).

References:
    Dai et al. (2024), arXiv 2409.19835: SDGSAT-1 over the Heihe basin, 641 overlapping crops of 512 × 512 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin

from groklst_engine.bands import Role
from groklst_engine.data.dataset import FineScene, coarse_lst
from groklst_engine.degrade import block_mean
from groklst_engine.errors import InputError
from groklst_engine.grid import Grid
from groklst_engine.physics.indices import available, select
from groklst_engine.physics.psf import BOX, Psf
from groklst_engine.whole_file import whole_file

BANDS: Mapping[str, Role] = {
    "dem": "dem",
    "deepblue": "coastal",
    "blue": "blue",
    "green": "green",
    "red": "red",
    "vre": "rededge",
    "nir": "nir",
    "ndmvi": "ndmvi",
    "ndvi": "ndvi",
    "ndwi": "ndwi",
}
"""Fields of a guidance file, in the published order, and our roles for them."""

RESOLUTIONS = (30, 60, 120, 240)
"""Metres; each has a folder."""


class Constants(NamedTuple):
    """Published statistics of a band, in its unit."""

    mean: float
    std: float
    minimum: float
    maximum: float


GUIDANCE_CONSTANTS: Mapping[str, Constants] = {
    "dem": Constants(2569.38, 1254.35, 905.42, 5082.07),
    "coastal": Constants(0.17, 0.05, 0.0, 0.71),
    "blue": Constants(0.16, 0.04, 0.0, 0.50),
    "green": Constants(0.15, 0.04, 0.0, 0.37),
    "red": Constants(0.17, 0.05, 0.0, 0.40),
    "rededge": Constants(0.20, 0.06, 0.0, 0.61),
    "nir": Constants(0.22, 0.06, 0.0, 0.60),
    "ndmvi": Constants(0.19, 0.13, -0.98, 0.99),
    "ndvi": Constants(0.14, 0.10, -0.52, 0.71),
    "ndwi": Constants(-0.19, 0.12, -0.57, 0.79),
}
"""Of the guidance at 30 m, by role: elevation in metres, reflectances and indices as shares."""

LST_CONSTANTS: Mapping[int, Constants] = {
    60: Constants(282.51, 14.73, 242.50, 322.33),
    120: Constants(282.51, 14.68, 242.72, 321.21),
    240: Constants(282.51, 14.59, 243.53, 320.85),
}
"""Of the LST in kelvin, by resolution in metres; none is published for 30 m."""

_LST_FIELD = "data"
# The files say nothing about where a crop lies.
_NOWHERE = CRS.from_wkt('LOCAL_CS["GrokLST crop",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]')


@dataclass(frozen=True)
class Sample:
    """One crop of the data set.

    Attributes:
        folder: Of the data set.
        name: Of the files, without their ending.
        resolution: In metres, one of ``RESOLUTIONS``.
    """

    folder: Path
    name: str
    resolution: int = 30

    @property
    def region(self) -> str:
        """The data set's name: its crops overlap, so none can be held out against another."""
        return self.folder.resolve().name


def samples(folder: Path, split: str) -> tuple[Sample, ...]:
    """The samples of a split.

    Raises:
        InputError: The folder has no such split, or the split is empty.
    """
    file = folder / "split" / f"{split}.txt"
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            f"The data set '{folder}' lacks 'split/{split}.txt': give the folder that holds 'split' and '30m'."
        ) from error
    names = [line.strip().removesuffix(".mat") for line in lines if line.strip()]
    if not names:
        raise InputError(f"The split '{file}' names no sample: choose another split.")
    return tuple(Sample(folder, name) for name in names)


def load_sample(sample: Sample, multiple: int = 8) -> FineScene:
    """Read a sample, its size cut to a multiple of ``multiple``.

    The files hold no coordinates: the grid has the sample's pixel size in a local metre CRS, its lower left corner at
    the origin.

    Raises:
        InputError: A file is missing or does not hold what it should.
    """
    folder = sample.folder / f"{sample.resolution}m"
    lst_file, guidance_file = (folder / kind / f"{sample.name}.mat" for kind in ("lst", "guidance"))
    lst_hw = _read(lst_file, [_LST_FIELD])[0]
    guidance_chw = _read(guidance_file, list(BANDS))
    if any(band.shape != lst_hw.shape for band in guidance_chw):
        raise InputError(f"The bands of '{guidance_file}' differ in size from its LST: fetch the data set again.")
    height, width = (size // multiple * multiple for size in lst_hw.shape)
    if height == 0 or width == 0:
        raise InputError(f"The sample '{lst_file}' is smaller than {multiple} pixels: leave it out of the split.")
    values = torch.from_numpy(np.stack([lst_hw, *guidance_chw]))[None, :, :height, :width]
    values = values.where(torch.isfinite(values), torch.nan)
    pixel = sample.resolution
    transform = from_origin(0, height * pixel, pixel, pixel)
    roles = tuple(BANDS.values())
    grid = Grid(_NOWHERE, transform, height, width)
    return FineScene(sample.name, sample.region, values[:, :1], values[:, 1:], roles, grid)


def with_published_bands(scene: FineScene) -> FineScene:
    """The scene with the data set's bands in the published order, indices computed where they can be.

    Raises:
        InputError: It lacks a band.
    """
    roles = tuple(BANDS.values())
    if missing := set(roles) - available(scene.roles):
        raise InputError(f"The scene '{scene.name}' has no band '{sorted(missing)[0]}', which GrokLST has: add it.")
    bands = [band for band in select(scene.guidance, scene.roles, roles) if band is not None]
    return replace(scene, guidance=torch.cat(bands, dim=1), roles=roles)


def write_sample(folder: Path, scene: FineScene, psf: Psf = BOX) -> None:
    """Write one sample at all resolutions, the coarser LST as a sensor with this point spread function sees it.

    The files are of MATLAB's version 7.3.

    Raises:
        InputError: The scene lacks a band or has other sides.
        OSError: The folder cannot be written.
    """
    scene = with_published_bands(scene)
    if any(size % 8 for size in scene.lst.shape[-2:]):
        raise InputError(f"The sides of the scene '{scene.name}' are no multiples of 8 pixels: cut it.")
    for resolution in RESOLUTIONS:
        scale = resolution // RESOLUTIONS[0]
        lst_hw = (scene.lst if scale == 1 else coarse_lst(scene, scale, psf))[0, 0].numpy()
        bands = dict(zip(BANDS, block_mean(scene.guidance, scale)[0].numpy(), strict=True))
        for kind, fields in (("lst", {_LST_FIELD: lst_hw}), ("guidance", bands)):
            file = folder / f"{resolution}m" / kind / f"{scene.name}.mat"
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(file) as part:
                _write(part, fields)


def write_splits(folder: Path, splits: Mapping[str, Sequence[str]]) -> None:
    """Write which samples belong to each split.

    Raises:
        OSError: The folder cannot be written.
    """
    (folder / "split").mkdir(parents=True, exist_ok=True)
    for split, names in splits.items():
        (folder / "split" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")


def _libraries() -> tuple[Any, Any]:
    """``scipy.io`` for version 5 and ``h5py`` for version 7.3."""
    try:
        import h5py
        import scipy.io
    except ImportError as error:
        raise InputError(
            "MATLAB files need scipy and h5py: install them with `pip install 'groklst[datasets]'`."
        ) from error
    return scipy.io, h5py


def _read(file: Path, fields: Sequence[str]) -> list[NDArray[np.float32]]:
    """``(H, W)`` arrays of a MATLAB file, one for each field."""
    scipy_io, h5py = _libraries()
    if not file.is_file():
        raise InputError(f"The data set lacks '{file}': fetch it again, or leave the sample out of the split.")
    try:
        if h5py.is_hdf5(file):
            with h5py.File(file) as content:  # MATLAB stores columns first: transposed for everyone else
                found = {field: np.asarray(content[field]).T for field in fields if field in content}
        else:
            found = scipy_io.loadmat(file, variable_names=fields)
    except Exception as error:  # damaged files raise anything from either library
        raise InputError(f"'{file}' is no readable MATLAB file: fetch it again.") from error
    arrays = []
    for field in fields:
        values = found.get(field)
        if values is None or values.ndim != 2 or values.dtype.kind not in "fiu":
            raise InputError(f"'{file}' has no raster in the field '{field}': it is not of the GrokLST data set.")
        arrays.append(values.astype(np.float32))
    return arrays


def _write(file: Path, fields: Mapping[str, NDArray[np.float32]]) -> None:
    _, h5py = _libraries()
    with h5py.File(file, "w", userblock_size=512) as content:
        for field, values in fields.items():
            stored = content.create_dataset(field, data=values.T, compression="gzip")
            stored.attrs["MATLAB_class"] = np.bytes_("single")
    with file.open("r+b") as stream:  # MATLAB knows its files by this header in front of the HDF5
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
