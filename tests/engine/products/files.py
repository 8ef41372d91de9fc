"""Small files with the structure of real products: names, packing, fills, quality bits, subdatasets, attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rasterio import shutil
from rasterio.transform import from_origin
from rasters import write

SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
MODIS_PIXEL = 926.625433055556
MODIS_PLACE = from_origin(1_111_950.519667, 5_559_752.598333, MODIS_PIXEL, MODIS_PIXEL)
SIDE = 16


def kelvin(side: int = SIDE) -> NDArray[np.float64]:
    """Temperatures that differ from pixel to pixel."""
    rows, columns = np.mgrid[:side, :side]
    return 285 + rows * 0.9 + columns * 0.3


def modis_numbers(fill_at: tuple[int, int] = (2, 3)) -> NDArray[np.uint16]:
    """MOD11 numbers with one fill."""
    stored = np.round(kelvin() / 0.02).astype(np.uint16)
    stored[fill_at] = 0
    return stored


def modis_quality() -> NDArray[np.uint8]:
    """QC_Day: good but for one pixel of 3 K error, one of cloud, one of 2 K error that may stay."""
    quality = np.zeros((SIDE, SIDE), np.uint8)
    quality[5, 6] = 0b11_00_00_01
    quality[7, 8] = 0b00_00_00_10
    quality[9, 1] = 0b01_00_00_01
    return quality


def modis_tif(path: Path, values: NDArray[Any], **options: Any) -> Path:
    """A GeoTIFF on MODIS's sinusoidal grid."""
    return write(path, values, crs=SINUSOIDAL, transform=MODIS_PLACE, **options)


def struct_metadata(grid: str, fields: list[str], side: int, pixel: float = MODIS_PIXEL) -> str:
    """The text by which HDF-EOS5 places its grids."""
    left, top = MODIS_PLACE.c, MODIS_PLACE.f
    objects = "".join(
        f'\t\t\tOBJECT=DataField_{i}\n\t\t\t\tDataFieldName="{name}"\n\t\t\t\tDataType=H5T_NATIVE_USHORT\n'
        f'\t\t\t\tDimList=("YDim","XDim")\n\t\t\t\tMaxdimList=("YDim","XDim")\n\t\t\tEND_OBJECT=DataField_{i}\n'
        for i, name in enumerate(fields, start=1)
    )
    return (
        "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n\tGROUP=GRID_1\n"
        f'\t\tGridName="{grid}"\n\t\tXDim={side}\n\t\tYDim={side}\n'
        f"\t\tUpperLeftPointMtrs=({left:.6f},{top:.6f})\n"
        f"\t\tLowerRightMtrs=({left + side * pixel:.6f},{top - side * pixel:.6f})\n"
        "\t\tProjection=HE5_GCTP_SNSOID\n\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)\n"
        "\t\tSphereCode=-1\n\t\tGridOrigin=HE5_HDFE_GD_UL\n\t\tGROUP=Dimension\n"
        f'\t\t\tOBJECT=Dimension_1\n\t\t\t\tDimensionName="YDim"\n\t\t\t\tSize={side}\n\t\t\tEND_OBJECT=Dimension_1\n'
        f'\t\t\tOBJECT=Dimension_2\n\t\t\t\tDimensionName="XDim"\n\t\t\t\tSize={side}\n\t\t\tEND_OBJECT=Dimension_2\n'
        f"\t\tEND_GROUP=Dimension\n\t\tGROUP=DataField\n{objects}\t\tEND_GROUP=DataField\n"
        "\t\tGROUP=MergedFields\n\t\tEND_GROUP=MergedFields\n\tEND_GROUP=GRID_1\nEND_GROUP=GridStructure\nEND\n"
    )


def hdf_eos5(path: Path, grid: str, fields: dict[str, NDArray[Any]], packed: dict[str, float]) -> Path:
    """An HDF-EOS5 grid file; ``packed`` names the scale of the fields that have one."""
    with h5py.File(path, "w") as file:
        group = file.create_group(f"HDFEOS/GRIDS/{grid}/Data Fields")
        for name, values in fields.items():
            field = group.create_dataset(name, data=values)
            if name in packed:
                field.attrs["scale_factor"] = np.array([packed[name]])
                field.attrs["add_offset"] = np.array([0.0])
                field.attrs["_FillValue"] = np.array([0], values.dtype)
                field.attrs["units"] = np.bytes_("K")
        information = file.create_group("HDFEOS INFORMATION")
        information.attrs["HDFEOSVersion"] = np.bytes_("HDFEOS_5.1.15")
        text = struct_metadata(grid, list(fields), next(iter(fields.values())).shape[0])
        information.create_dataset("StructMetadata.0", data=np.bytes_(text))
    return path


def net_cdf(path: Path, variables: dict[str, tuple[NDArray[Any], dict[str, Any]]]) -> Path:
    """A netCDF-4 file of two-dimensional variables with attributes and without coordinates, as SLSTR has them."""
    with h5py.File(path, "w") as file:
        for name, (values, attributes) in variables.items():
            variable = file.create_dataset(name, data=values)
            for key, value in attributes.items():
                variable.attrs[key] = np.bytes_(value) if isinstance(value, str) else value
    return path


def slstr(folder: Path, cloudy: tuple[int, int] = (10, 12)) -> Path:
    """A Sentinel-3 SLSTR LST product: a rotated swath of 30 × 30 pixels, one of them cloud."""
    product = folder / "S3A_SL_2_LST____20230701T093210_20230701T093510_20230702T120000_0179_100_307_2160_PS1.SEN3"
    product.mkdir()
    rows, columns = np.mgrid[:30, :30].astype(float)
    turn = np.deg2rad(12)
    north, east = -(rows * np.cos(turn) + columns * np.sin(turn)), columns * np.cos(turn) - rows * np.sin(turn)
    latitude = 45 + north * 1000 / 111_320
    longitude = 8 + east * 1000 / (111_320 * np.cos(np.deg2rad(45)))
    # a plane in space, so that its value at any place is known
    lst = np.round((slstr_plane(latitude, longitude) - 290) / 0.002).astype(np.int16)
    lst[0, 0] = -32768
    packed = {"scale_factor": 0.002, "add_offset": 290.0, "_FillValue": np.array([-32768], np.int16), "units": "K"}
    error = {"scale_factor": 0.002, "add_offset": 0.0, "_FillValue": np.array([-32768], np.int16), "units": "K"}
    net_cdf(
        product / "LST_in.nc",
        {"LST": (lst, packed), "LST_uncertainty": (np.full((30, 30), 400, np.int16), error)},
    )
    degrees = {"scale_factor": 1e-6}
    net_cdf(
        product / "geodetic_in.nc",
        {
            "latitude_in": (np.round(latitude * 1e6).astype(np.int32), degrees),
            "longitude_in": (np.round(longitude * 1e6).astype(np.int32), degrees),
            "elevation_in": (np.zeros((30, 30), np.int16), {}),
        },
    )
    confidence, bayes = np.full((30, 30), 8, np.uint16), np.zeros((30, 30), np.uint8)  # 8: land
    confidence[cloudy] |= 1 << 14
    bayes[cloudy[0] + 5, cloudy[1]] = 2
    net_cdf(product / "flags_in.nc", {"confidence_in": (confidence, {}), "bayes_in": (bayes, {})})
    return product


def slstr_plane(latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """The temperature of the made-up swath at a place."""
    return 300 + 20 * (latitude - 45) + 10 * (longitude - 8)


def era5_grib(path: Path) -> Path:
    """ERA5-Land skin temperature as GRIB 2. GDAL writes degrees Celsius, stores kelvin, and reads degrees Celsius."""
    celsius = write(
        path.with_suffix(".tif"), kelvin() - 273.15, crs="EPSG:4326", transform=from_origin(10, 50, 0.1, 0.1)
    )
    # discipline 0, category 0 (temperature), number 17 (skin temperature), at the ground
    product = "0 17 2 96 255 0 0 0 1 0 0 0 0 1 0 0 0 0 0 255 129 255 255 255 255"
    shutil.copy(
        celsius,
        path,
        driver="GRIB",
        DISCIPLINE="0",
        IDS="CENTER=98 REF_TIME=2023-07-03T12:00:00Z",
        PDS_PDTN="0",
        PDS_TEMPLATE_NUMBERS=product,
    )
    return path


def era5(path: Path) -> Path:
    """ERA5-Land skin temperature: packed, two hours as bands, no CRS beyond its latitudes and longitudes."""
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("CF-1.6")
        axes = {
            "time": (np.array([1_082_604, 1_082_605], np.int32), "hours since 1900-01-01 00:00:00.0"),
            "latitude": (np.linspace(50, 49.1, 10), "degrees_north"),
            "longitude": (np.linspace(10, 11.1, 12), "degrees_east"),
        }
        scales = []
        for name, (values, unit) in axes.items():
            axis = file.create_dataset(name, data=values)
            axis.make_scale(name)
            axis.attrs["units"] = np.bytes_(unit)
            scales.append(axis)
        stored = np.arange(240, dtype=np.int16).reshape(2, 10, 12) * 50
        stored[1, 4, 5] = -32767
        variable = file.create_dataset("skt", data=stored)
        for index, axis in enumerate(scales):
            variable.dims[index].attach_scale(axis)
        variable.attrs["scale_factor"], variable.attrs["add_offset"] = 0.001, 290.0
        variable.attrs["_FillValue"] = np.array([-32767], np.int16)
        variable.attrs["units"], variable.attrs["long_name"] = np.bytes_("K"), np.bytes_("Skin temperature")
    return path
