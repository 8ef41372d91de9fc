from __future__ import annotations

import pytest

from groklst_engine import bands
from groklst_qgis import roles

NAMES = ["S2_B8A", "B02", "red edge 1", "scored", "Landsat NIR08", "my-DEM_30m", "LST_Day", "near-infrared", "", "b4"]


def test_plugin_and_engine_know_the_same_roles() -> None:
    assert tuple(roles.LABELS) == bands.ROLES


@pytest.mark.parametrize("name", NAMES)
def test_plugin_and_engine_guess_alike(name: str) -> None:
    assert roles.guess_role(name) == bands.guess_role(name)
    assert roles.guess_roles(f"/a/{name}.tif", [None]) == list(bands.guess_roles(f"/a/{name}.tif", (None,)))
    assert roles.guess_roles("/a/dem.tif", [name, None]) == list(bands.guess_roles("/a/dem.tif", (name, None)))


def test_well_known_names() -> None:
    assert roles.guess_role("S2_B8A.tif") == "nir"
    assert roles.guess_role("red edge 1") == "rededge"
    assert roles.guess_role("scored.tif") is None
    assert roles.guess_roles("/a/dem.tif", [None]) == ["dem"]
    assert roles.guess_roles("/a/dem.tif", ["B02", None]) == ["blue", "other"]
