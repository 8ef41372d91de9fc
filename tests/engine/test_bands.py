"""Band roles from names, and indices from roles."""

from __future__ import annotations

import pytest
import torch

from groklst_engine.bands import ROLES, Role, guess_role, guess_roles
from groklst_engine.physics.indices import available, select


@pytest.mark.parametrize(
    ("text", "role"),
    [("blue", "blue"), ("Band 4 (Red)", "red"), ("red edge 1", "rededge"), ("RedEdge", "rededge"), ("B8A", "nir"),
     ("S2A_MSIL2A_B11_20m", "swir1"), ("SWIR 2", "swir2"), ("NDVI_2023-07", "ndvi"), ("srtm_30m", "dem"),
     ("Land cover", "landcover"), ("coastal aerosol", "coastal"), ("scored", None), ("temperature", None), ("", None),
     ("infrared", None), ("bluebird", None)],
)  # fmt: skip
def test_a_name_speaks_of_a_role(text: str, role: Role | None) -> None:
    assert guess_role(text) == role


@pytest.mark.parametrize("role", [role for role in ROLES if role != "other"])
def test_every_role_is_its_own_name(role: Role) -> None:
    assert guess_role(role) == role


def test_a_file_name_speaks_for_a_single_band_only() -> None:
    assert guess_roles("/data/blue/ndvi.tif", (None,)) == ("ndvi",)
    assert guess_roles("/data/ndvi.tif", ("red",)) == ("red",)
    assert guess_roles("/data/ndvi.tif", (None, "nir", "noise")) == ("other", "nir", "other")
    assert guess_roles("/data/blue/layer.tif", (None,)) == ("other",)


GUIDANCE = torch.rand(1, 4, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.05
BANDS: tuple[Role, ...] = ("green", "red", "nir", "swir1")


@pytest.mark.parametrize(("index", "a", "b"), [("ndvi", 2, 1), ("ndwi", 0, 2), ("ndbi", 3, 2)])
def test_indices_are_normalised_differences(index: Role, a: int, b: int) -> None:
    (found,) = select(GUIDANCE, BANDS, [index])
    one, other = GUIDANCE[:, a : a + 1], GUIDANCE[:, b : b + 1]
    torch.testing.assert_close(found, (one - other) / (one + other))


def test_a_given_index_wins_over_a_computed_one() -> None:
    (found,) = select(GUIDANCE, ("ndvi", "red", "nir", "other"), ["ndvi"])
    assert torch.equal(found, GUIDANCE[:, :1])


def test_wanted_bands_come_in_order_and_absent_ones_are_none() -> None:
    swir, absent, red = select(GUIDANCE, BANDS, ["swir1", "dem", "red"])
    assert absent is None
    assert torch.equal(swir, GUIDANCE[:, 3:])
    assert torch.equal(red, GUIDANCE[:, 1:2])


def test_the_first_of_several_bands_of_a_role_counts() -> None:
    (found,) = select(GUIDANCE, ("red", "red", "nir", "nir"), ["red"])
    assert torch.equal(found, GUIDANCE[:, :1])
    both = select(GUIDANCE[:, :2], ("other", "other"), ("other", "other"))
    assert torch.equal(torch.cat(both, 1), GUIDANCE[:, :2])


def test_dark_pixels_have_an_index_too() -> None:
    dark = torch.tensor([0.0, 0.0, -0.01, 0.011]).reshape(1, 2, 1, 2)
    (found,) = select(dark, ("red", "nir"), ["ndvi"])
    assert torch.isfinite(found).all()
    assert (found.abs() <= 1).all()


def test_available() -> None:
    assert available(BANDS) == {*BANDS, "ndvi", "ndwi", "ndbi", "savi"}
    assert available(["red", "dem"]) == {"red", "dem"}
