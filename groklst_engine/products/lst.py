"""LST products: what they are called, how they are packed, which pixels are good.

Scales, fills and bits, and where they were confirmed:

* MOD11, MYD11: Earth Engine data catalogue.
* MOD21, MYD21, VNP21A1, VNP21A2: LAADS file specifications; attributes of files of MYD21A1D and MYD21A2 as NASA's
  OPeNDAP servers list them. VNP21: public readers of its files. Not confirmed: that its QC has the daily bits.
* Landsat: Earth Engine data catalogue (Collection 2 Level 2).
* ECOSTRESS: *Level 2 Product User Guide*, collection 3: tables 3, 6 and 7.
* SLSTR: flags as the readers of SNAP and ORAC have them; names of files and variables in public readers.
* ASTER: LP DAAC, page of AST_08 (scale). Not confirmed: 2000 as a mark of failure; it is 200 K, colder than any land.
* ERA5-Land: the name ``skt`` in public files. SDGSAT-1: not confirmed.
"""

from __future__ import annotations

from groklst_engine.products.model import Bits, Rule

_PRODUCED = Bits(0, 2, frozenset({0, 1}))
_CLOUD_FREE = Bits(4, 2, frozenset({0}))
"""Of the 16-bit QC; not thin cirrus (1), within two pixels of a cloud (2), or cloudy (3)."""
_CLEAR_BYTE = Bits(0, 8, frozenset({0}))
_LANDSAT_CLEAR = Bits(0, 6, frozenset({0}))
"""QA_PIXEL bits 0 to 5: fill, dilated cloud, cirrus, cloud, cloud shadow, snow."""

LST_RULES: tuple[Rule, ...] = (
    Rule(
        "MOD11A1/MYD11A1",
        "MODIS land surface temperature, 1 km",
        layer=r"LST_(Day|Night)_1km",
        exact_name=r"M[OY]D11A[12]",
        scale=0.02,
        fills=(0,),
        valid=(7500, 65535),
        # bits 6-7: average LST error, 0 up to 1 K, 1 up to 2 K
        quality=((r"QC_\1", (_PRODUCED, Bits(6, 2, frozenset({0, 1})))),),
        view_time=r"\1_view_time",
        overpass={"day": 10.5, "night": 22.5},
        psf="triangular",
        native=1000.0,
    ),
    Rule(
        "VNP21A1",
        "VIIRS or MODIS land surface temperature by temperature and emissivity separation, 1 km",
        layer=r"LST_(?:(Day|Night)_)?1KM",
        exact_name=r"(?:VNP|VJ1|VJ2|MOD|MYD)21A[12][DN]?",
        scale=0.02,
        fills=(0,),
        valid=(7500, 65535),
        # the daily QC has 16 bits; that of eight days has 8, none of them for clouds
        quality=(("QC", (_PRODUCED, _CLOUD_FREE)), (r"QC_\1", (_PRODUCED,))),
        view_time=r"View_Time",
        overpass={"day": 13.5, "night": 1.5, "": 13.5},
        psf="triangular",
        native=1000.0,
    ),
    Rule(
        "VNP21",
        "VIIRS land surface temperature, swath, 750 m",
        layer=r"^LST$",
        file=r"V(?:NP|J[12])21[._]",
        exact_name=r"V(?:NP|J[12])21(?=[._])",
        needs_file=True,
        scale=0.02,
        fills=(0,),
        valid=(7500, 65535),
        quality=(("QC", (_PRODUCED, _CLOUD_FREE)),),
        error="LST_err",
        error_scale=0.04,
        overpass={"": 13.5},
        psf="triangular",
        native=750.0,
        swath=("latitude", "longitude"),
    ),
    Rule(
        "Landsat C2 ST",
        "Landsat Collection 2 Level 2 surface temperature, 30 m",
        layer=r"ST_B(?:10|6)(?!\d)",
        exact_name=r"L[CTE]0[4-9]_L2SP",
        scale=0.00341802,
        offset=149.0,
        fills=(0,),
        valid=(1, 65535),
        quality=(("QA_PIXEL", (_LANDSAT_CLEAR,)),),
        error="ST_QA",
        error_scale=0.01,
        psf="gaussian",
        native=100.0,
    ),
    Rule(
        "ECO_L2T_LSTE",
        "ECOSTRESS land surface temperature, 70 m",
        layer=r"(?<![A-Za-z])LST(?![A-Za-z]|_[Ee]rr)",
        file=r"ECO(?:v\d{3})?_L2[TG]_LSTE",
        exact_name=r"ECO(?:v\d{3})?_L2[TG]_LSTE",
        needs_file=True,
        scale=0.02,
        fills=(0,),
        quality=(("QC", (_PRODUCED,)), ("cloud", (_CLEAR_BYTE,)), ("cloud_mask", (_CLEAR_BYTE,))),
        error="LST_err",
        psf="gaussian",
        native=70.0,
    ),
    Rule(
        "SL_2_LST",
        "Sentinel-3 SLSTR land surface temperature, swath, 1 km",
        layer=r"^LST$",
        file=r"^LST_in\.nc$",
        needs_file=True,
        scale=0.002,
        offset=290.0,
        fills=(-32768,),
        quality=(
            ("flags_in.nc:confidence_in", (Bits(14, 1, frozenset({0})),)),  # summary cloud
            ("flags_in.nc:bayes_in", (Bits(1, 1, frozenset({0})),)),  # single view, moderate
        ),
        error="LST_uncertainty",
        overpass={"": 10.0},
        psf="gaussian",
        native=1000.0,
        swath=("geodetic_in.nc:latitude_in", "geodetic_in.nc:longitude_in"),
    ),
    Rule(
        "AST_08",
        "ASTER surface kinetic temperature, 90 m",
        layer=r"KineticTemperature|SKT(?!_QA)",
        file=r"AST_08",
        needs_file=True,
        scale=0.1,
        fills=(0, 2000),
        psf="gaussian",
        native=90.0,
    ),
    Rule(
        "SDGSAT-1 LST",
        "LST derived from the thermal imager of SDGSAT-1, 30 m",
        layer=r"",
        file=r"KX10_TIS|SDGSAT",
        needs_file=True,
        psf="gaussian",
        native=30.0,
    ),
    Rule(
        "ERA5-Land skt",
        "ERA5-Land skin temperature, 0.1°",
        layer=r"^(?:skt|SKT)$|[Ss]kin temperature",
        native=9000.0,
        crs="EPSG:4326",
    ),
)

BY_NAME = {rule.name: rule for rule in LST_RULES}


def by_numbers(median: float, pixel: float) -> Rule | None:
    """The packing that whole numbers without any name must have, or None.

    The packings do not overlap: 230 to 345 K is stored as 11,500 to 17,250 by MODIS and VIIRS, as 23,698 to 57,343 by
    Landsat. The pixel, in metres, must fit as well.
    """
    if 11_500 <= median <= 17_250 and 500 <= pixel <= 8000:
        return BY_NAME["MOD11A1/MYD11A1"]
    if 23_698 <= median <= 57_343 and 15 <= pixel <= 120:
        return BY_NAME["Landsat C2 ST"]
    return None
