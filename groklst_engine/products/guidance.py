"""Guidance products: reflectance, albedo, land cover and elevation.

Scales, fills and bits, and where they were confirmed:

* MOD09, MYD09: attributes of files of MOD09GA, MYD09GQ, MOD09Q1 and MYD09A1 as NASA's OPeNDAP servers list them.
* Landsat, Sentinel-2's offset, bands as Earth Engine names them, quality of MCD43A3: Earth Engine data catalogue.
* Sentinel-2's classes, MCD43A3's scale and fill: public readers that agree with each other.
* Not confirmed in a source: the fill of MCD12Q1 and of elevation, for files that do not declare their own.
"""

from __future__ import annotations

from groklst_engine.bands import Role
from groklst_engine.products.model import Bits, Rule

_LANDSAT_CLEAR = Bits(0, 6, frozenset({0}))
_SCENE_CLASSES = Bits(0, 8, frozenset({2, 4, 5, 6, 7, 11}))
"""Sentinel-2 SCL: dark, vegetation, bare, water, unclassified, snow; not missing, saturated, shadow, cloud, cirrus."""
_MODIS_STATE = (
    Bits(0, 2, frozenset({0, 3})),  # clear, or not set and assumed clear
    Bits(2, 1, frozenset({0})),  # no cloud shadow
    Bits(8, 2, frozenset({0, 1})),  # cirrus none or small
    Bits(10, 1, frozenset({0})),  # internal cloud flag
)
_MODIS_BANDS: dict[str, Role] = {"1": "red", "2": "nir", "3": "blue", "4": "green", "6": "swir1", "7": "swir2"}
_OLI: dict[str, Role] = {
    "1": "coastal", "2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir1", "7": "swir2",
}  # fmt: skip
_TM: dict[str, Role] = {"1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir1", "7": "swir2"}
_MSI: dict[str, Role] = {
    "1": "coastal", "01": "coastal", "2": "blue", "02": "blue", "3": "green", "03": "green", "4": "red", "04": "red",
    "5": "rededge", "05": "rededge", "6": "rededge", "06": "rededge", "7": "rededge", "07": "rededge",
    "8": "nir", "08": "nir", "8A": "nir", "11": "swir1", "12": "swir2",
}  # fmt: skip


def _landsat(name: str, title: str, file: str, roles: dict[str, Role], needs_file: bool) -> Rule:
    return Rule(
        name,
        title,
        layer=r"SR_B(\d)(?!\d)",
        file=file,
        exact_name=r"L[CTE]0[4-9]_L2SP",
        needs_file=needs_file,
        scale=2.75e-5,
        offset=-0.2,
        fills=(0,),
        quality=(("QA_PIXEL", (_LANDSAT_CLEAR,)),),
        native=30.0,
        roles=roles,
    )


LANDSAT_TM = _landsat(
    "Landsat 4-7 SR", "Landsat 4-7 Collection 2 surface reflectance", r"L[TE]0[457]_", _TM, needs_file=True
)
LANDSAT_OLI = _landsat(
    "Landsat 8-9 SR", "Landsat 8-9 Collection 2 surface reflectance", r"LC0[89]_", _OLI, needs_file=True
)

GUIDANCE_RULES: tuple[Rule, ...] = (
    Rule(
        "MOD09/MYD09",
        "MODIS surface reflectance",
        layer=r"sur_refl_b0?(\d)(?:_1)?",
        exact_name=r"M[OY]D09(?:GA|GQ|A1|Q1)",
        scale=1e-4,
        fills=(-28672,),
        quality=(
            ("state_1km_1", _MODIS_STATE),
            ("state_1km", _MODIS_STATE),
            ("sur_refl_state_500m", _MODIS_STATE),
            ("sur_refl_state_250m", _MODIS_STATE),
            ("StateQA", _MODIS_STATE),  # as Earth Engine calls it
            ("QC_250m_1", (Bits(0, 2, frozenset({0, 1})),)),
            ("QC_250m", (Bits(0, 2, frozenset({0, 1})),)),
        ),
        overpass={"": 10.5},
        psf="triangular",
        roles=_MODIS_BANDS,
    ),
    Rule(
        "MCD43A3",
        "MODIS albedo",
        layer=r"Albedo_(?:BSA|WSA)_((?:Band)?\w+?)(?=_doy|_aid|\b)",
        exact_name=r"MCD43A3",
        scale=1e-3,
        fills=(32767,),
        quality=((r"BRDF_Albedo_Band_Mandatory_Quality_\1", (Bits(0, 8, frozenset({0, 1})),)),),
        roles={"shortwave": "albedo", **{f"Band{band}": role for band, role in _MODIS_BANDS.items()}},
    ),
    LANDSAT_TM,
    LANDSAT_OLI,
    Rule(
        "Sentinel-2 L2A",
        "Sentinel-2 surface reflectance",
        layer=r"(?:^|_)B(\d{1,2}A?)(?=_\d0m|$)",
        file=r"T\d{2}[A-Z]{3}_\d{8}T\d{6}_B",
        needs_file=True,
        scale=1e-4,
        fills=(0,),
        quality=(("_SCL", (_SCENE_CLASSES,)),),
        roles=_MSI,
    ),
    Rule("MCD12Q1", "MODIS land cover", layer=r"LC_(?:Type|Prop)\d(?!_Assess)", fills=(255,), roles={"": "landcover"}),
    Rule(
        "DEM",
        "Elevation",
        layer=r"",
        file=r"(?i)SRTM|NASADEM|ASTGTM|Copernicus_DSM|^[NS]\d{2}[EW]\d{3}\.(?:hgt|tif)",
        exact_name=r"(?i)SRTM(?:GL[13])?|NASADEM|ASTGTM|Copernicus_DSM",
        needs_file=True,
        fills=(-32768,),
        roles={"": "dem"},
    ),
)
