"""GrokLST's own networks: what they see, and how far."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.grid import Margins
from groklst_engine.layers.local_regression import GuidanceWindows
from groklst_engine.models.guided_residual import GuidedResidual
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.resample import upsample

OWN = ("guided-residual", "guided-context")
SIZES = {"width": 8, "dilations": (1, 2), "windows": (1, 2)}


def network(name: str, scale: int, bands: int) -> nn.Module:
    """A small one whose layers that begin as zero have random weights."""
    torch.manual_seed(0)
    made = create_model(name, scale=scale, guidance_bands=bands, **SIZES).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.2)
    return made


def scene(scale: int, bands: int, side: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    lst = torch.randn(1, 1, side, side, generator=generator)
    return lst, torch.randn(1, bands, scale * side, scale * side, generator=generator)


@pytest.mark.parametrize("name", OWN)
def test_training_begins_at_bicubic(name: str) -> None:
    lst, guidance = scene(4, 3)
    torch.testing.assert_close(
        create_model(name, scale=4, guidance_bands=3)(lst, guidance), upsample(lst, 4, "bicubic")
    )


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_nothing_beyond_the_radius_matters(name: str, scale: int) -> None:
    made, (lst, guidance) = network(name, scale, 3), scene(scale, 3)
    radius = get_spec(name).radius(scale, **SIZES)
    assert radius is not None
    with torch.inference_mode():
        before = made(lst, guidance)
        lst[..., 0], guidance[..., :scale] = 50.0, -50.0
        changed = (made(lst, guidance) != before)[0, 0].any(0).nonzero().max().item()
    assert 2 * scale < changed < (1 + radius) * scale


@pytest.mark.parametrize("spare", [Margins(9, 9, 9, 9), Margins(0, 12, 3, 0), Margins(1, 0, 0, 2)], ids=str)
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_margins_that_do_not_count_are_spared(name: str, scale: int, spare: Margins) -> None:
    made, (lst, guidance) = network(name, scale, 3), scene(scale, 3)
    assert isinstance(made, GuidedResidual)
    convolved: list[int] = []
    made.stem.register_forward_hook(lambda layer, seen, found: convolved.append(found[0, 0].numel()))
    with torch.inference_mode():
        whole, sparing = made(lst, guidance), made(lst, guidance, spare)
    assert sparing.shape == whole.shape
    inner = slice(spare.top * scale, (40 - spare.bottom) * scale), slice(spare.left * scale, (40 - spare.right) * scale)
    torch.testing.assert_close(sparing[0, 0][inner], whole[0, 0][inner], rtol=0, atol=0)
    narrow = spare.less(math.ceil(made.reach / scale))
    rows, columns = 40 - narrow.top - narrow.bottom, 40 - narrow.left - narrow.right
    assert convolved == [1600 * scale**2, rows * columns * scale**2]


@pytest.mark.parametrize("name", OWN)
def test_a_network_for_no_guidance(name: str) -> None:
    lst, _ = scene(3, 1)
    made = network(name, 3, 0)(lst, None)
    assert made.shape == (1, 1, 120, 120)
    assert not torch.equal(made, upsample(lst, 3, "bicubic"))


def test_the_context_sees_where_guidance_explains_nothing() -> None:
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(1, 2, 30, 30, generator=generator)
    noise = torch.randn(1, 1, 30, 30, generator=generator)
    lst = 2 * coarse[:, :1] - coarse[:, 1:]
    lst[..., 15:] += 3 * noise[..., 15:]
    window = GuidanceWindows.of(coarse, radius=3, ridge=1e-4)
    left, rms, spread = window.misfit(lst, window.slopes(lst)).unbind(1)
    explained, unexplained = (..., slice(0, 8)), (..., slice(22, 30))
    assert left[explained].abs().max() < 1e-2
    assert rms[explained].max() < 1e-2 < 1 < rms[unexplained].min()
    torch.testing.assert_close(spread.mean(), lst.std(), rtol=0.1, atol=0)
