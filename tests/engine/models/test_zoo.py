"""What every network of the zoo must do; driven by ``list_models()``, so a new network is tested when it is listed."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from groklst_engine.inference.device import placed
from groklst_engine.models.zoo import MODELS, create_model, get_spec, list_models

HEIGHT, WIDTH = 17, 23
KELVIN_PER_UNIT = 14.7
"""Standard deviation of the LST by which networks' units are usually made."""

MAY_START_IDLE = {
    "act": (
        r"attention\.(squeeze\.|excite\.weight)",
        "as mocolsk's",
    ),
    "dagf": (
        r"attention\.2\.2\.weight|tail\.1\.weight",
        "the slope of a PReLU has no effect where its one channel is positive everywhere",
    ),
    "fenet": (
        r"attention\w*\.(squeeze\.|excite\.weight)",
        "as mocolsk's",
    ),
    "mocolsk": (
        r"attention\.(squeeze\.|excite\.weight)",
        "the few hidden units of a channel attention can all start on the dead side of their ReLU",
    ),
    "rsag": (
        r"attention\.(squeeze\.|excite\.weight)|split\.last_narrow_slope",
        "as mocolsk's; and a 1×1 convolution of positive values may have no negative one for the slope behind it",
    ),
    "sgnet": (
        r"attention\.(squeeze\.|excite\.weight)",
        "as mocolsk's",
    ),
}
"""Parameters that may lack a gradient in the first steps, and why; most of them must have one."""


def small(name: str, scale: int, bands: int = 3, seed: int = 0, **arguments: Any) -> nn.Module:
    """The network in its smallest size, its parameters moved off the zeros that some start from."""
    torch.manual_seed(seed)
    preset = "small" if "small" in get_spec(name).presets else None
    network = create_model(name, scale=scale, guidance_bands=bands, preset=preset, **arguments)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return network


def inputs(
    scale: int, bands: int = 3, batch: int = 1, height: int = HEIGHT, width: int = WIDTH
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    lst = torch.randn(batch, 1, height, width, generator=generator)
    return lst, torch.randn(batch, bands, scale * height, scale * width, generator=generator)


def scales_of(name: str) -> list[int]:
    return [scale for scale in (2, 3, 4, 8) if scale in get_spec(name).scales]


EVERY_MODEL = pytest.mark.parametrize("name", list_models())
EVERY_SCALE = pytest.mark.parametrize(
    ("name", "scale"), [(name, scale) for name in list_models() for scale in scales_of(name)]
)
LOCAL_MODELS = pytest.mark.parametrize("name", [name for name in list_models() if MODELS[name].receptive_radius])


@EVERY_SCALE
def test_awkward_sizes_give_the_fine_shape(name: str, scale: int) -> None:
    lst, guidance = inputs(scale)
    before = lst.clone(), guidance.clone()

    with torch.no_grad():
        result = small(name, scale).eval()(lst, guidance)

    assert result.shape == (1, 1, scale * HEIGHT, scale * WIDTH)
    assert result.dtype == torch.float32
    assert result.isfinite().all()
    assert torch.equal(lst, before[0])
    assert torch.equal(guidance, before[1])


@EVERY_MODEL
@pytest.mark.parametrize("bands", [1, 3, 10])
def test_any_number_of_guidance_bands(name: str, bands: int) -> None:
    scale = min(scales_of(name))
    lst, guidance = inputs(scale, bands, height=16, width=16)
    network = small(name, scale, bands).eval()

    with torch.no_grad():
        result = network(lst, guidance)
        without_guidance = network(lst)
        all_bands_absent = network(lst, torch.zeros_like(guidance))
        last_band_changed = network(lst, torch.cat([guidance[:, :-1], guidance[:, -1:] + 1], dim=1))

    assert torch.equal(without_guidance, all_bands_absent)
    assert torch.equal(result, last_band_changed) is not get_spec(name).guided


@EVERY_MODEL
def test_results_are_repeatable_and_independent_of_batch_mates(name: str) -> None:
    scale = min(scales_of(name))
    network = small(name, scale).double().eval()
    lst, guidance = (10 * values.double() for values in inputs(scale, batch=3))

    with torch.no_grad():
        together = network(lst, guidance)
        again = network(lst, guidance)
        alone = torch.cat([network(lst[i : i + 1], guidance[i : i + 1]) for i in range(3)])

    assert torch.equal(together, again)
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-6)


@EVERY_MODEL
def test_every_parameter_receives_gradient(name: str) -> None:
    scale = min(scales_of(name))
    network = small(name, scale).train()
    lst, guidance = inputs(scale, batch=2, height=16, width=16)
    target = torch.randn(2, 1, 16 * scale, 16 * scale)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    idle = {parameter for parameter, _ in network.named_parameters()}

    for _ in range(3):
        optimizer.zero_grad()
        (network(lst, guidance) - target).abs().mean().backward()
        idle -= {
            key for key, parameter in network.named_parameters() if parameter.grad is not None and parameter.grad.any()
        }
        optimizer.step()

    pattern, _ = MAY_START_IDLE.get(name, ("(?!)", "no exception"))
    excepted = {key for key, _ in network.named_parameters() if re.search(pattern, key)}
    assert idle <= excepted
    assert len(idle) <= len(excepted) / 2


@EVERY_MODEL
def test_channels_last_in_memory_changes_nothing(name: str) -> None:
    scale = min(scales_of(name))
    network = small(name, scale).eval()
    lst, guidance = inputs(scale)

    with torch.no_grad():
        result = network(lst, guidance)
        torch.testing.assert_close(placed(network, torch.device("cpu"))(lst, guidance), result, rtol=1e-3, atol=1e-4)


@EVERY_MODEL
def test_saved_parameters_are_all_there_is(name: str) -> None:
    scale = min(scales_of(name))
    lst, guidance = inputs(scale)
    network = small(name, scale).eval()
    twin = small(name, scale, seed=99).eval()
    twin.load_state_dict(network.state_dict())

    with torch.no_grad():
        assert torch.equal(twin(lst, guidance), network(lst, guidance))


@pytest.mark.parametrize("name", [name for name in list_models() if MODELS[name].bf16_ok])
def test_bf16_costs_less_than_declared(name: str) -> None:
    scale = max(scales_of(name))
    network = small(name, scale).eval()
    lst, guidance = inputs(scale, height=16, width=16)

    with torch.no_grad():
        exact = network(lst, guidance)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(lst, guidance)

    assert rough.dtype == torch.float32
    error = (rough - exact).square().mean().sqrt() / exact.std()
    assert error * KELVIN_PER_UNIT < 0.05


@LOCAL_MODELS
def test_nothing_beyond_the_receptive_radius_matters(name: str) -> None:
    for scale in scales_of(name):
        network = small(name, scale).double().eval()
        preset = "small" if "small" in get_spec(name).presets else None
        radius = get_spec(name).radius(scale, **get_spec(name).arguments(preset))
        assert radius is not None
        centre = radius + 2
        side = 2 * centre + 1
        lst, guidance = (values.double() for values in inputs(scale, height=side, width=side))
        lst_changed, guidance_changed = lst.clone(), guidance.clone()
        lst_changed[..., centre, centre] += 1000
        block = slice(scale * centre, scale * (centre + 1))
        guidance_changed[..., block, block] += 1000

        with torch.no_grad():
            changed = network(lst, guidance) != network(lst_changed, guidance_changed)

        coarse = changed[0, 0].unflatten(1, (side, scale)).unflatten(0, (side, scale)).any(dim=3).any(dim=1)
        rows, columns = coarse.nonzero().sub(centre).abs().amax(dim=0).tolist()
        assert radius - 2 <= rows <= radius
        assert radius - 2 <= columns <= radius
