"""Band roles: what a guidance band shows, whatever its sensor calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal, get_args

Role = Literal[
    "coastal", "blue", "green", "red", "rededge", "nir", "swir1", "swir2",
    "ndvi", "ndwi", "ndbi", "ndmvi", "savi", "albedo",
    "dem", "slope", "aspect", "northness", "eastness", "hillshade", "landcover", "other",
]  # fmt: skip
ROLES: tuple[Role, ...] = get_args(Role)

# The plugin reads the same file, so that both guess alike.
_NAMES: dict[Role, list[str]] = json.loads((Path(__file__).parent / "band_roles.json").read_text("utf-8"))


def guess_role(text: str) -> Role | None:
    """The role a band description or file name speaks of, or None.

    The longest known name that stands as a word of its own wins: ``S2_B8A.tif`` is ``nir``, ``red edge 1`` is
    ``rededge``, ``scored.tif`` is nothing.
    """
    words = " ".join(re.findall(r"[a-z]+[0-9]*[a-z]?|[0-9]+", text.lower()))
    best: tuple[int, Role] | None = None
    for role, names in _NAMES.items():
        for name in names:
            plain = " ".join(re.findall(r"[a-z]+[0-9]*[a-z]?|[0-9]+", name))
            if re.search(rf"\b{re.escape(plain)}\b", words) and (best is None or len(plain) > best[0]):
                best = (len(plain), role)
    return best[1] if best else None


def guess_roles(path: str, descriptions: tuple[str | None, ...]) -> tuple[Role, ...]:
    """A role for each band of a raster, from its descriptions, then (single-band files only) from its name."""
    from_name = guess_role(Path(path).stem) if len(descriptions) == 1 else None
    return tuple((guess_role(text) if text else None) or from_name or "other" for text in descriptions)
