"""Physically plausible scenes for demonstrations and tests.

A landscape (``landscape.py``) is given spectra and a surface temperature that follow from the same ground, so that
guidance explains the temperature about as well, and as badly, as on real scenes: water in the ground that no vegetation
index sees, relief, a heat island, weather. It is no land-surface model and no substitute for real data in training.

References:
    Carlson, Gillies and Perry (1994), Moran et al. (1994): the NDVI-temperature trapezoid, which comes out here.
    Priestley and Taylor (1972), Fisher, Tu and Baldocchi (2008): evaporation from available energy and water stress.
    Liang (2001): broad-band albedo from narrow bands.
    Brutsaert (1975): emissivity of a clear sky (a constant here).
    Wald, Ranchin and Mangolini (1997): coarse input as the block mean of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import Resampling, calculate_default_transform, reproject

from groklst_engine.data.landscape import COVERS, Field, Landscape, fractal, make_landscape
from groklst_engine.errors import InputError, OutputError

BANDS = ("blue", "green", "red", "nir", "swir1", "swir2")
REFLECTANCE_SCALE = 1e-4
REFLECTANCE_NODATA = -32768
FLOAT_NODATA = -9999.0
_LST_LABEL = "land surface temperature"

_SUN_ELEVATION, _SUN_AZIMUTH = math.radians(54.0), math.radians(142.0)  # a summer morning overpass at 50° north
_BEAM, _DIFFUSE = 830.0, 110.0  # W/m²: direct, on a surface that faces the sun; from the whole sky
_AIR = 297.5  # K at the reference height
_REFERENCE_HEIGHT, _LAPSE_RATE = 900.0, 0.0065  # m, K/m
_STEFAN_BOLTZMANN = 5.67e-8
_EMISSIVITY, _SKY_EMISSIVITY = 0.97, 0.80
_HEAT_CAPACITY = 1080.0  # J/(m³ K), of air at 900 m
_PRIESTLEY_TAYLOR = 1.26
_SATURATION = 0.74  # Δ/(Δ + γ) near 25 °C
_WATER = 292.0  # K: lakes and rivers store the day's heat and hardly warm


@dataclass(frozen=True)
class _Cover:
    """How a ground cover looks and handles heat.

    Attributes:
        reflectance: Of ``BANDS``, dry.
        resistance: Aerodynamic resistance in s/m: what is rough sheds heat easily.
        storage: Share of net radiation that goes into ground or walls.
        evaporation: Share of the potential (Priestley-Taylor) rate at full water.
        drought: Share of ``evaporation`` that dry ground takes away; trees reach deep water.
        darkening: Share of the reflectance that water takes away.
    """

    reflectance: tuple[float, ...]
    resistance: float
    storage: float
    evaporation: float
    drought: float
    darkening: float

    @property
    def albedo(self) -> float:
        """Broad-band, from the narrow bands."""
        blue, _, red, nir, swir1, swir2 = self.reflectance
        return 0.356 * blue + 0.130 * red + 0.373 * nir + 0.085 * swir1 + 0.072 * swir2 - 0.0018


_COVERS: Mapping[str, _Cover] = {
    "crop": _Cover((0.030, 0.065, 0.035, 0.470, 0.200, 0.090), 48, 0.06, 1.00, 0.65, 0.05),
    "forest": _Cover((0.020, 0.036, 0.024, 0.270, 0.110, 0.048), 18, 0.05, 0.80, 0.25, 0.00),
    "straw": _Cover((0.075, 0.115, 0.155, 0.270, 0.330, 0.220), 55, 0.15, 0.35, 0.80, 0.10),
    "soil": _Cover((0.090, 0.130, 0.175, 0.245, 0.330, 0.285), 58, 0.30, 0.75, 0.95, 0.45),
    "rock": _Cover((0.130, 0.150, 0.170, 0.205, 0.240, 0.220), 48, 0.32, 0.10, 0.80, 0.10),
    "asphalt": _Cover((0.085, 0.095, 0.105, 0.135, 0.165, 0.155), 42, 0.32, 0.03, 0.00, 0.00),
    "roof": _Cover((0.190, 0.205, 0.215, 0.250, 0.260, 0.240), 44, 0.28, 0.00, 0.00, 0.00),
    "water": _Cover((0.052, 0.058, 0.036, 0.016, 0.008, 0.005), 0, 0.00, 0.00, 0.00, 0.00),
}


@dataclass(frozen=True)
class SyntheticScene:
    """A scene without gaps on one grid.

    Attributes:
        lst: ``(H, W)`` float32 kelvin, free of sensor noise.
        guidance: Role to ``(H, W)`` float32: ``blue`` … ``swir2`` as reflectance with sensor noise, ``ndvi``, ``dem``
            in metres.
        transform: Of the upper left corner.
        crs: Of all of it, e.g. ``EPSG:32612``.
    """

    lst: Field
    guidance: Mapping[str, Field]
    transform: Affine
    crs: str


@dataclass(frozen=True)
class ScenePaths:
    """The files of a written scene.

    Attributes:
        lst: The coarse LST, in kelvin.
        truth: The fine LST it was made from, in kelvin.
        guidance: Reflectance and NDVI, int16 with scale 0.0001; band descriptions are the roles.
        dem: Elevation in metres.
    """

    lst: Path
    truth: Path
    guidance: Path
    dem: Path


def synthetic_scene(*, size: int = 512, pixel: float = 30.0, seed: int = 0, epsg: int = 32612) -> SyntheticScene:
    """A summer morning over fields, river, lake, hills and a city.

    Args:
        size: Pixels per side, a multiple of 8, at least 64.
        pixel: Pixel size in metres.
        seed: Same seed, same scene.
        epsg: A projected CRS in metres, e.g. a UTM zone.

    Raises:
        InputError: ``size`` is too small or no multiple of 8.
    """
    if size < 64 or size % 8:
        raise InputError(f"A synthetic scene cannot be {size} pixels wide: choose a multiple of 8 from 64 upwards.")
    rng = np.random.default_rng(seed)
    land = make_landscape(rng, size, pixel)
    sunlight = _insolation(land.elevation, pixel)
    # Places differ in brightness, and water darkens soil.
    darkening = np.array([_COVERS[name].darkening for name in COVERS], dtype=np.float32)[:, None, None]
    tone = land.brightness * (1 - darkening * land.moisture)
    lst = _temperature(rng, land, tone, sunlight)

    # Relief shades what the sensor sees; the ground's own reflectance stays what it is.
    shade = 0.25 + 0.75 * sunlight / math.sin(_SUN_ELEVATION)
    spectra = np.array([_COVERS[name].reflectance for name in COVERS], dtype=np.float32)
    seen = np.einsum("khw,kb->bhw", land.cover * tone, spectra) * shade
    seen += rng.normal(0, 0.0015, seen.shape).astype(np.float32)
    guidance = dict(zip(BANDS, np.clip(seen, 0.001, 1.0), strict=True))
    red, nir = guidance["red"], guidance["nir"]
    guidance["ndvi"] = (nir - red) / (nir + red)
    guidance["dem"] = land.elevation
    transform = Affine(pixel, 0.0, 360_000.0, 0.0, -pixel, 5_520_000.0)
    return SyntheticScene(lst, guidance, transform, f"EPSG:{epsg}")


def _insolation(elevation: Field, pixel: float) -> Field:
    """Cosine of the angle between sun and surface normal, 0 where the sun is behind the slope."""
    southward, eastward = np.gradient(elevation, pixel)
    to_east = math.sin(_SUN_AZIMUTH) * math.cos(_SUN_ELEVATION)
    to_south = -math.cos(_SUN_AZIMUTH) * math.cos(_SUN_ELEVATION)
    towards = math.sin(_SUN_ELEVATION) - eastward * to_east - southward * to_south
    return np.asarray(np.clip(towards / np.sqrt(1 + eastward**2 + southward**2), 0, 1), dtype=np.float32)


def _temperature(rng: np.random.Generator, land: Landscape, tone: Field, sunlight: Field) -> Field:
    """LST in kelvin: the covers' temperatures, mixed by share.

    Each land cover balances its energy, ``Rn = G + LE + H``, with

    * ``Rn = (1 − albedo) · sun + ε (L↓ − σ Ta⁴) − 4 ε σ Ta³ (Ts − Ta)``, long-wave loss linear in ``Ts``;
    * ``G = storage · Rn``;
    * ``LE = 1.26 · Δ/(Δ+γ) · supply · (Rn − G)`` (Priestley-Taylor), ``supply`` from the water in the ground;
    * ``H = ρ c (Ts − Ta) / ra``;

    which gives ``Ts`` in closed form. Water keeps its temperature; the air cools with height at 6.5 K/km, is warmer
    in the city, and varies smoothly with the weather.
    """
    size = len(sunlight)
    weather = fractal(rng, size, 2.2)
    wind = 1 + 0.06 * fractal(rng, size, 1.8)
    air = _AIR - _LAPSE_RATE * (land.elevation - _REFERENCE_HEIGHT) + 1.6 * land.city + 0.5 * weather
    sun = _BEAM * sunlight + _DIFFUSE
    radiation_loss = 4 * _EMISSIVITY * _STEFAN_BOLTZMANN * air**3

    lst = np.zeros_like(sunlight)
    for name, share, brightness in zip(COVERS, land.cover, tone, strict=True):
        if name == "water":
            lst += share * (_WATER + 0.3 * weather)
            continue
        cover = _COVERS[name]
        supply = cover.evaporation * (1 - cover.drought * (1 - land.moisture))
        kept = (1 - cover.storage) * (1 - _PRIESTLEY_TAYLOR * _SATURATION * supply)
        net = (1 - cover.albedo * brightness) * sun - _EMISSIVITY * (1 - _SKY_EMISSIVITY) * _STEFAN_BOLTZMANN * air**4
        exchange = _HEAT_CAPACITY / (cover.resistance * wind)
        lst += share * (air + kept * net / (exchange + kept * radiation_loss))
    return lst + 0.2 * fractal(rng, size, 0.7)


def write_scene(
    scene: SyntheticScene,
    folder: Path,
    scale: int,
    *,
    noise: float = 0.0,
    cloud: float = 0.0,
    guidance_crs: str | None = None,
    guidance_pixel: float | None = None,
    seed: int = 0,
) -> ScenePaths:
    """Write what an analyst would have: a coarse LST, and finer guidance of the same place; and the truth.

    Args:
        scene: The scene.
        folder: Made if it is not there; files of the same names are replaced.
        scale: Coarse pixel divided by fine pixel; must divide the scene's side. The coarse LST is the block mean
            of the truth (Wald's protocol).
        noise: Standard deviation of the coarse sensor's noise, in kelvin.
        cloud: Share of the scene under a cloud. It is nodata in the coarse LST, wherever the cloud touches a coarse
            pixel, and in the reflectance; truth and elevation keep their values.
        guidance_crs: Another CRS for guidance and elevation, e.g. ``EPSG:4326``.
        guidance_pixel: Another pixel size for them, in units of their CRS.
        seed: Of noise and cloud.

    Raises:
        InputError: ``scale`` does not divide the scene's side.
        OutputError: ``folder`` cannot be made.
    """
    size = len(scene.lst)
    if scale < 1 or size % scale:
        raise InputError(
            f"Scale {scale} does not divide the scene's {size} pixels: choose a divisor such as 2, 4 or 8."
        )
    rng = np.random.default_rng(seed)
    clear = np.ones((size, size), dtype=bool)
    if cloud > 0:
        billows = fractal(rng, size, 2.0)
        clear = billows < np.quantile(billows, 1 - cloud)
    blocks = (size // scale, scale, size // scale, scale)
    coarse = scene.lst.reshape(blocks).mean(axis=(1, 3), dtype=np.float64)
    coarse += rng.normal(0, noise, coarse.shape) if noise else 0
    coarse = np.where(clear.reshape(blocks).all(axis=(1, 3)), coarse, FLOAT_NODATA)

    roles = [role for role in scene.guidance if role != "dem"]
    optical = np.round(np.stack([scene.guidance[role] for role in roles]) / REFLECTANCE_SCALE)
    optical = np.where(clear, optical, REFLECTANCE_NODATA).astype(np.int16)

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Folder '{folder}' cannot be made ({error.strerror}): choose another one.") from error
    paths = ScenePaths(*(folder / f"{name}.tif" for name in ("lst_coarse", "lst_truth", "guidance", "dem")))
    coarse_transform = scene.transform @ Affine.scale(scale)
    _write(paths.lst, coarse[None], scene.crs, coarse_transform, FLOAT_NODATA, [_LST_LABEL], "K")
    _write(paths.truth, scene.lst[None], scene.crs, scene.transform, FLOAT_NODATA, [_LST_LABEL], "K")
    crs = guidance_crs or scene.crs
    optical, transform = _warp(optical, scene, crs, guidance_pixel, REFLECTANCE_NODATA)
    elevation, _ = _warp(scene.guidance["dem"][None], scene, crs, guidance_pixel, FLOAT_NODATA)
    _write(paths.guidance, optical, crs, transform, REFLECTANCE_NODATA, roles, None, REFLECTANCE_SCALE)
    _write(paths.dem, elevation, crs, transform, FLOAT_NODATA, ["dem"], "m")
    return paths


def _warp(
    values: NDArray[Any], scene: SyntheticScene, crs: str, pixel: float | None, nodata: float
) -> tuple[NDArray[Any], Affine]:
    """``(bands, H, W)`` values of the scene's grid on another CRS and pixel size, and their transform."""
    if crs == scene.crs and pixel is None:
        return values, scene.transform
    size = len(scene.lst)
    bounds = rasterio.transform.array_bounds(size, size, scene.transform)
    transform, width, height = calculate_default_transform(scene.crs, crs, size, size, *bounds, resolution=pixel)
    warped = np.full((len(values), height, width), nodata, dtype=values.dtype)
    reproject(
        values,
        warped,
        src_transform=scene.transform,
        src_crs=scene.crs,
        src_nodata=nodata,
        dst_transform=transform,
        dst_crs=crs,
        dst_nodata=nodata,
        resampling=Resampling.bilinear,
    )
    return warped, transform


def _write(
    path: Path,
    values: NDArray[Any],
    crs: str,
    transform: Affine,
    nodata: float,
    descriptions: Sequence[str],
    unit: str | None,
    scale: float = 1.0,
) -> None:
    """Write ``(bands, H, W)`` values as a tiled GeoTIFF; float64 becomes float32."""
    values = values.astype(np.float32) if values.dtype == np.float64 else values
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=bands,
        dtype=values.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
        compress="deflate",
        tiled=True,
        blockxsize=256,
        blockysize=256,
    ) as file:
        file.write(values)
        file.descriptions = tuple(descriptions)
        file.scales = (scale,) * bands
        if unit:
            file.units = (unit,) * bands
