"""What a file, a container with subdatasets or a product's folder holds, and what lies beside a layer."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from groklst_engine.products.model import Layer

_SUBDATASET = re.compile(
    r'^(?:HDF5|NETCDF|HDF4_EOS:EOS_(?:GRID|SWATH)|HDF4_SDS:\w+):"?(?P<file>(?:[A-Za-z]:)?[^":]+)"?:(?P<layer>.+)$',
    re.IGNORECASE,
)
HDF4_MAGIC = b"\x0e\x03\x13\x01"


def file_of(name: str) -> Path:
    """The file behind a raster's name, e.g. of ``NETCDF:"LST_in.nc":LST``."""
    match = _SUBDATASET.match(name)
    return Path(match["file"] if match else name)


def is_hdf4(name: str) -> bool:
    """Whether the file is HDF4, which most builds of rasterio cannot read."""
    try:
        with file_of(name).open("rb") as file:
            return file.read(4) == HDF4_MAGIC
    except OSError:
        return False


def entry(name: str) -> str:
    """The file to open for a product's folder or its list of contents; any other name as it is.

    Knows Sentinel-3 ``.SEN3`` folders with ``xfdumanifest.xml``, and Landsat scenes by folder or ``_MTL`` file.
    """
    path = Path(name)
    if path.name == "xfdumanifest.xml" or re.search(r"_MTL\.(?:txt|json|xml)$", path.name):
        path = path.parent
    if not path.is_dir():
        return name
    for pattern in ("LST_in.nc", "*_ST_B10.TIF", "*_ST_B6.TIF"):
        found = sorted(path.glob(pattern))
        if found:
            return str(found[0])
    return name


def open_quietly(name: str) -> rasterio.DatasetReader | None:
    """Open a raster that may be none, or have no place; None if it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            return rasterio.open(name)
        except RasterioError:
            return None


def layers_in(name: str) -> list[Layer]:
    """All bands that can be read under a name, subdatasets included; empty when it cannot be opened."""
    dataset = open_quietly(name)
    if dataset is None:
        return []
    with dataset:
        if dataset.count == 0:
            return [
                Layer(path, 1, (layer_name(path),)) for path in dataset.subdatasets if not path.startswith("DERIVED")
            ]
        own = layer_name(name)
        found = []
        for band in range(1, dataset.count + 1):
            tags = dataset.tags(band)
            words = [dataset.descriptions[band - 1], *(tags.get(key) for key in ("NETCDF_VARNAME", "GRIB_ELEMENT"))]
            words += [tags.get("GRIB_COMMENT")]
            names = tuple(word for word in words if word)
            # the file's name speaks of a band only where there is but one, or where no band says anything
            if dataset.count == 1 or not any(dataset.descriptions):
                names += (own,)
            found.append(Layer(name, band, names))
        return found


def layer_name(name: str) -> str:
    """The last part of a subdataset's name, else the file's stem."""
    match = _SUBDATASET.match(name)
    if match:
        return re.split(r"[:/]", match["layer"])[-1]
    return re.sub(r"\.(?:tiff?|jp2|vrt|img)$", "", Path(name).name, flags=re.IGNORECASE)


def partner(layer: Layer, match: re.Match[str], template: str) -> Layer | None:
    """The layer that the template names, in the same raster, the same container or a file beside it.

    Args:
        layer: The layer it belongs to.
        match: How its name was matched.
        template: See ``Rule``.
    """
    wanted = match.expand(template).rstrip("_")
    file = file_of(layer.path)
    if ":" in wanted:
        name, variable = wanted.split(":")
        candidates = layers_in(str(file.with_name(name)))
        return next((other for other in candidates if variable in other.names), None)
    renamed = match.string[: match.start()] + wanted + match.string[match.end() :]
    for other in layers_in(layer.path):
        if other.band != layer.band and renamed in other.names:
            return other
    if layer.path != str(file):
        siblings = (other for other in layers_in(str(file)) if renamed in other.names)
        return next(siblings, None)
    if not file.name.startswith(match.string):
        return None
    other_file = file.with_name(renamed + file.name[len(match.string) :])
    # Sentinel-2 has its scene classes at 20 m and 60 m only
    folder, at_20m = other_file.absolute().parent, other_file.name.replace("_10m.", "_20m.")
    for beside in (other_file, folder.parent / folder.name.replace("R10m", "R20m") / at_20m):
        if beside != file and beside.exists():
            return Layer(str(beside), 1, (layer_name(str(beside)),))
    return None
