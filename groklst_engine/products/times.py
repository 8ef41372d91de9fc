"""When a product was acquired: from its name, its metadata, or the satellite's usual overpass."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError
from rasterio.warp import transform

from groklst_engine.products.layers import file_of, open_quietly
from groklst_engine.products.model import Layer, Rule

_DATE_TIME = re.compile(r"(?<!\d)(\d{8}T\d{6})(?!\d)")
_YEAR_DAY = re.compile(r"(?:[._]A|doy)(\d{7})(?!\d{1,5}\b)|(?:[._]A|doy)(\d{7})\d{6}")
_LANDSAT = re.compile(r"L[COTEM]0\d_L[12]\w{2}_\d{6}_(\d{8})_")
_ASTER = re.compile(r"AST_08_00\d(\d{14})")
_PLAIN_DATE = re.compile(r"(?<!\d)((?:19|20)\d{2})[_-]?(\d{2})[_-]?(\d{2})(?!\d)")
_SINCE = re.compile(r"(seconds|minutes|hours|days) since (\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2}))?")


def acquired(layer: Layer, rule: Rule, view_time: Layer | None, kind: str) -> tuple[datetime | None, str]:
    """Time in UTC, and what told so.

    Args:
        layer: The layer.
        rule: Its product.
        view_time: Layer with the local solar time in tenths of an hour.
        kind: ``day``, ``night`` or nothing: which overpass.
    """
    file = file_of(layer.path).absolute()
    in_metadata = _from_metadata(layer)
    if in_metadata:
        return in_metadata, "metadata"
    for text in (file.name, file.parent.name):
        match = _DATE_TIME.search(text)
        if match:
            return _utc(match[1], "%Y%m%dT%H%M%S"), "file name"
        match = _ASTER.search(text)
        if match:
            return _utc(match[1], "%m%d%Y%H%M%S"), "file name"
    day = _day(file)
    if day is None:
        return None, ""
    at_scene_centre = _from_mtl(file)
    if at_scene_centre:
        return at_scene_centre, "MTL file"
    hour = _view_hour(view_time) if view_time else None
    source = "view time" if hour is not None else "usual overpass"
    hour = rule.overpass.get(kind) if hour is None else hour
    longitude = _longitude(layer)
    if hour is None or longitude is None:
        return day, "file name, day only"
    return day + timedelta(seconds=round(3600 * (hour - longitude / 15))), source


def _utc(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _day(file: Path) -> datetime | None:
    match = _YEAR_DAY.search(file.name)
    if match:
        return _utc(match[1] or match[2], "%Y%j")
    match = _LANDSAT.search(file.name)
    if match:
        return _utc(match[1], "%Y%m%d")
    match = _PLAIN_DATE.search(file.name)
    return _utc("".join(match.groups()), "%Y%m%d") if match else None


def _from_mtl(file: Path) -> datetime | None:
    for path in file.parent.glob(re.sub(r"_(?:ST|SR|QA)_.*$", "", file.stem) + "_MTL.txt"):
        text = path.read_text("utf-8", errors="replace")
        day = re.search(r"DATE_ACQUIRED = (\S+)", text)
        clock = re.search(r'SCENE_CENTER_TIME = "?(\d{2}:\d{2}:\d{2})', text)
        if day and clock:
            return _utc(f"{day[1]}T{clock[1]}", "%Y-%m-%dT%H:%M:%S")
    return None


def _from_metadata(layer: Layer) -> datetime | None:
    """The time of a band of netCDF or GRIB."""
    dataset = open_quietly(layer.path)
    if dataset is None:
        return None
    with dataset:
        general, band = dataset.tags(), dataset.tags(layer.band)
    if "GRIB_VALID_TIME" in band:
        return datetime.fromtimestamp(float(band["GRIB_VALID_TIME"].split()[0]), timezone.utc)
    for name in ("time", "valid_time"):
        since = _SINCE.search(general.get(f"{name}#units", ""))
        if since and f"NETCDF_DIM_{name}" in band:
            year, month, day, hour, minute = (int(part or 0) for part in since.groups()[1:])
            start = datetime(year, month, day, hour, minute, tzinfo=timezone.utc)
            return start + timedelta(**{since[1]: float(band[f"NETCDF_DIM_{name}"])})
    return None


def _view_hour(layer: Layer) -> float | None:
    """Median local solar time in hours; 255 is fill."""
    dataset = open_quietly(layer.path)
    if dataset is None:
        return None
    try:
        with dataset:
            step = max(1, max(dataset.shape) // 512)
            stored = dataset.read(layer.band, out_shape=(dataset.height // step or 1, dataset.width // step or 1))
            scale = dataset.scales[layer.band - 1]
    except RasterioError:
        return None
    good = stored[(stored >= 0) & (stored < 255)]
    if good.size == 0:
        return None
    return float(np.median(good)) * (0.1 if scale == 1 else scale)


def _longitude(layer: Layer) -> float | None:
    """Of the raster's centre."""
    dataset = open_quietly(layer.path)
    if dataset is None or dataset.crs is None:
        return None
    with dataset:
        x, y = dataset.transform @ (dataset.width / 2, dataset.height / 2)
        (longitude,), _ = transform(dataset.crs, "EPSG:4326", [x], [y])
    return float(longitude) if np.isfinite(longitude) else None
