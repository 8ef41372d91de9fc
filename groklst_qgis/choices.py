"""What a run may be told beside its layers, with the words for it: for the dock and for Processing."""

from __future__ import annotations

import re
from typing import NamedTuple

from .engine import EngineError
from .roles import LABELS

# The engine knows exactly these (groklst_engine/physics_jobs.py, inputs.py).
PSFS = {"box": "Mean of its area", "gaussian": "Gaussian blur", "triangular": "MODIS, triangular along the scan"}
DOMAINS = {"temperature": "Temperature", "radiance": "Emitted radiance"}
PRECISIONS = {"auto": "Automatic", "float32": "Full, 32 bit", "bf16": "Half, bfloat16"}
CLUSTER = r"^(local:[1-9]\d{0,2}|(tcp|tls|ucx)://.+)$"

COG = "Cloud-optimised GeoTIFF"
COG_HELP = "with overviews, and laid out so that parts of it can be read over a network"
WORKERS = "Workers"
WORKERS_HELP = (
    "local:2 shares the work among two processes here, tcp://10.0.0.1:8786 among the workers of a Dask scheduler.\n"
    "That pays with several machines, or where a method uses one core"
)


class Derived(NamedTuple):
    """Guidance that can be derived.

    Attributes:
        label: For people.
        bands: Roles of the bands that it is made of.
    """

    label: str
    bands: tuple[str, ...]


DERIVED = {
    "slope": Derived("Slope", ("dem",)),
    "northness": Derived("Aspect, northness", ("dem",)),
    "eastness": Derived("Aspect, eastness", ("dem",)),
    "hillshade": Derived("Hillshade at the overpass", ("dem",)),
    "ndvi": Derived("NDVI", ("red", "nir")),
    "ndwi": Derived("NDWI", ("green", "nir")),
    "ndbi": Derived("NDBI", ("nir", "swir1")),
    "ndmvi": Derived("NDMVI", ("red", "nir")),
    "savi": Derived("SAVI", ("red", "nir")),
    "albedo": Derived("Albedo", ("blue", "red", "nir", "swir1", "swir2")),
}

INDICES = ("ndvi", "ndwi", "ndbi", "savi", "albedo")
"""Those that a network which knows them gets without being asked for, where their bands are there."""


def check_derived(derived: list[str], roles: set[str]) -> None:
    """See that guidance can be derived.

    Args:
        derived: Names of what is wanted.
        roles: Of the bands that are given.

    Raises:
        EngineError: One cannot; names the bands that are missing.
    """
    for name in derived:
        missing = [LABELS[band] for band in DERIVED[name].bands if band not in roles]
        if missing and name not in roles:
            raise EngineError(
                f"{DERIVED[name].label} cannot be derived, because no guidance band is {' or '.join(missing)}: add "
                "such a band, or give the bands' roles."
            )


def parse_workers(text: str) -> str | None:
    """Who shares the work, such as ``local:2``; None for one process.

    Raises:
        EngineError: It is nobody that the engine knows.
    """
    workers = text.strip()
    if workers and not re.match(CLUSTER, workers):
        raise EngineError(
            f"The workers '{workers}' are unknown: give a number of processes, such as local:2, or the address of a "
            "Dask scheduler, such as tcp://10.0.0.1:8786."
        )
    return workers or None


def parse_steps(text: str, scale: int) -> list[int]:
    """Steps such as ``2,2``; none for one step.

    Raises:
        EngineError: They are no scales, or do not make the scale.
    """
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    wrong = next((word for word in words if not word.isdecimal() or int(word) < 2), None)
    if wrong is not None:
        raise EngineError(f"'{wrong}' is no step: give whole numbers of 2 or more with commas between, such as 2,2.")
    steps = [int(word) for word in words]
    product = 1
    for step in steps:
        product *= step
    if steps and product != scale:
        raise EngineError(f"The steps {text.strip()} make the scale {product}, not {scale}: change one of them.")
    return steps
