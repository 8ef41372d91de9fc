"""What the methods promise: TsHARP its polynomial, networks their roles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rasters import PIXEL, block_means, fine, place_of, read, repeated, run, write

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.degrade import block_mean
from groklst_engine.errors import InputError
from groklst_engine.layers.local_regression import local_regression
from groklst_engine.methods import METHODS, get_method, list_methods
from groklst_engine.methods.automatic import AUTO
from groklst_engine.methods.base import BuildOptions
from groklst_engine.resample import upsample

SCALE = 4


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "fine.tif"


def test_methods_are_listed_once_and_found_by_name() -> None:
    names = [spec.name for spec in list_methods()]
    assert len(set(names)) == len(names)
    assert set(METHODS) <= set(names)
    for name in names:
        assert get_method(name.upper()).name == name
        assert get_method(name).label
        assert get_method(name).description.endswith(".")


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {AUTO}))
def test_a_method_without_its_guidance_says_so(name: str) -> None:
    options = BuildOptions(SCALE, (), torch.device("cpu"))
    spec = get_method(name)
    if spec.guided:
        with pytest.raises(InputError, match="needs"):
            spec.build(options)
    else:
        assert spec.build(options).radius is not None


# --- TsHARP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_bands", [False, True], ids=["ndvi", "red and nir"])
def test_tsharp_recovers_a_quadratic_relation(as_bands: bool, out: Path, tmp_path: Path) -> None:
    """Each block has the same variance of NDVI, so that the relation is quadratic at the coarse scale, too."""
    random = np.random.default_rng(0)
    pattern = np.kron([[1, -1], [-1, 1]], np.ones((2, 2))) * 0.1
    ndvi = repeated(random.uniform(0.1, 0.8, (20, 20)), SCALE) + np.tile(pattern, (20, 20))
    truth = 320 - 15 * ndvi - 8 * ndvi**2
    total = random.uniform(0.2, 0.6, ndvi.shape)
    bands = np.stack([total * (1 - ndvi) / 2, total * (1 + ndvi) / 2]) if as_bands else ndvi[None]
    names = ["red", "nir"] if as_bands else ["ndvi"]
    lst = write(tmp_path / "lst.tif", block_means(truth, SCALE).astype(np.float32))
    guidance = write(tmp_path / "g.tif", bands.astype(np.float32), pixel=PIXEL / SCALE, names=names)
    np.testing.assert_allclose(fine(lst, guidance, output=out, method="tsharp"), truth, atol=0.02)


# --- the local regression --------------------------------------------------------------------------------------------


def test_local_regression_recovers_a_linear_relation() -> None:
    guidance = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    guidance[:, 2] = 0  # an absent band
    weights = torch.tensor([0.8, -0.5, 0.0])[:, None, None]
    lst = block_mean((guidance * weights).sum(1, keepdim=True), SCALE)
    detail = guidance - upsample(block_mean(guidance, SCALE), SCALE, "bicubic")
    found = local_regression(lst, guidance, detail, SCALE, radius=3, ridge=1e-6)
    torch.testing.assert_close(found, (detail * weights).sum(1, keepdim=True), atol=0.01, rtol=0)


def test_local_regression_is_local() -> None:
    """Where the sign of the relation changes from west to east, it follows."""
    guidance = torch.randn(1, 1, 96, 192, generator=torch.Generator().manual_seed(0))
    sign = torch.where(torch.arange(192) < 96, 1.0, -1.0)
    lst = block_mean(guidance * sign, SCALE)
    detail = guidance - upsample(block_mean(guidance, SCALE), SCALE, "bicubic")
    found = local_regression(lst, guidance, detail, SCALE, radius=2, ridge=1e-6)
    far = torch.cat([torch.arange(72), torch.arange(120, 192)])
    torch.testing.assert_close(found[..., far], (detail * sign)[..., far], atol=0.01, rtol=0)


# --- networks --------------------------------------------------------------------------------------------------------


def test_a_network_ignores_roles_it_does_not_know(
    clear: ScenePaths, local_network: Path, out: Path, tmp_path: Path
) -> None:
    albedo = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    unknown = write(tmp_path / "albedo.tif", albedo, transform=place_of(clear.dem))
    inputs, method = (clear.lst, clear.guidance, clear.dem), str(local_network)
    result = run(*inputs, unknown, output=out, method=method)
    (warning,) = result.warnings
    assert warning.endswith("does not use: blue, green, swir1, swir2, albedo.")  # red serves for the NDVI
    assert np.array_equal(read(out), fine(*inputs, output=tmp_path / "known.tif", method=method))


def test_a_network_serves_with_some_of_its_roles_and_with_none(
    clear: ScenePaths, local_network: Path, tmp_path: Path
) -> None:
    method = str(local_network)
    none = run(clear.lst, output=tmp_path / "none.tif", method=method)
    assert any("got no guidance it knows" in warning for warning in none.warnings)
    some = run(clear.lst, clear.dem, output=tmp_path / "some.tif", method=method)
    assert some.warnings == ()
    every = run(clear.lst, clear.dem, clear.guidance, output=tmp_path / "every.tif", method=method)
    for result in (none, some, every):
        assert np.isfinite(read(result.output)).all()
        assert result.scores[0]["rmse"] < 0.01
    assert np.abs(read(some.output) - read(none.output)).max() > 0.1
    assert np.abs(read(every.output) - read(some.output)).max() > 0.1


def test_the_order_of_the_guidance_does_not_matter(clear: ScenePaths, local_network: Path, tmp_path: Path) -> None:
    job = {"method": str(local_network)}
    one = fine(clear.lst, clear.dem, clear.guidance, output=tmp_path / "a.tif", **job)
    other = fine(clear.lst, clear.guidance, clear.dem, output=tmp_path / "b.tif", **job)
    assert np.array_equal(one, other)


def test_gains_of_the_guidance_do_not_matter(clear: ScenePaths, local_network: Path, tmp_path: Path) -> None:
    """The network sees the scene's own z-scores: a DEM in feet serves as well as one in metres."""
    feet = write(tmp_path / "dem.tif", read(clear.dem) / np.float32(0.3048) + 50, transform=place_of(clear.dem))
    job = {"method": str(local_network), "precision": "float32"}
    one = fine(clear.lst, clear.dem, output=tmp_path / "a.tif", **job)
    np.testing.assert_allclose(fine(clear.lst, feet, output=tmp_path / "b.tif", **job), one, atol=0.01)
