"""Band roles: what a guidance band shows, guessed as the engine guesses it, from the engine's own list of names."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from .paths import engine_root

# The engine knows exactly these (groklst_engine/bands.py).
LABELS = {
    "coastal": "Coastal aerosol",
    "blue": "Blue",
    "green": "Green",
    "red": "Red",
    "rededge": "Red edge",
    "nir": "NIR",
    "swir1": "SWIR 1",
    "swir2": "SWIR 2",
    "ndvi": "NDVI",
    "ndwi": "NDWI",
    "ndbi": "NDBI",
    "ndmvi": "NDMVI",
    "savi": "SAVI",
    "albedo": "Albedo",
    "dem": "Elevation",
    "slope": "Slope",
    "aspect": "Aspect",
    "northness": "Northness",
    "eastness": "Eastness",
    "hillshade": "Hillshade",
    "landcover": "Land cover",
    "other": "Other",
}


def guess_role(text: str) -> str | None:
    """The role a band description or file name speaks of, or None; the longest known name in it wins."""
    words = _words(text)
    found = [(len(name), role) for name, role in _names() if re.search(rf"\b{re.escape(name)}\b", words)]
    return max(found, key=lambda candidate: candidate[0])[1] if found else None


def guess_roles(path: str, descriptions: Sequence[str | None]) -> list[str]:
    """A role for each band of a raster, from its descriptions, then (single-band files only) from its name."""
    from_name = guess_role(Path(path).stem) if len(descriptions) == 1 else None
    return [(guess_role(text) if text else None) or from_name or "other" for text in descriptions]


@lru_cache(maxsize=1)
def _names() -> list[tuple[str, str]]:
    root = engine_root()
    if root is None:
        return []
    names = json.loads((root / "groklst_engine" / "band_roles.json").read_text("utf-8"))
    return [(_words(name), role) for role, known in names.items() for name in known]


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+[0-9]*[a-z]?|[0-9]+", text.lower()))
