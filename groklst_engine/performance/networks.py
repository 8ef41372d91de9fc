"""A network's forward pass: how long in float32 and bfloat16, and what bfloat16 costs in kelvin."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.utils.flop_counter import FlopCounterMode

from groklst_engine.bands import Role
from groklst_engine.errors import ModelError
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.inference.compiling import Compiled
from groklst_engine.inference.device import choose_device, placed, synchronize
from groklst_engine.inference.fusion import without_batch_norm
from groklst_engine.inference.heap import kept_memory
from groklst_engine.inference.pipeline import stoppable
from groklst_engine.inference.precision import BOUND, HalfPrecision
from groklst_engine.inputs import Device
from groklst_engine.methods.base import Batch, Scene
from groklst_engine.methods.network import channels, scene_normalizers
from groklst_engine.models.spec import ModelSpec
from groklst_engine.models.zoo import create_model, get_spec, list_models
from groklst_engine.normalize import in_units
from groklst_engine.performance.cost import Cost, cost_of, peak_memory, peak_of_gpu
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import Row, apart_or_left_out, in_turn
from groklst_engine.performance.scenes import generated_scene
from groklst_engine.performance_jobs import BenchJob
from groklst_engine.weights import ModelCard, load_weights, save_weights, shipped_weights, user_weights

ROLES: tuple[Role, ...] = ("blue", "green", "red", "nir", "swir1", "swir2", "ndvi", "ndwi", "ndbi", "dem")
"""Guidance of networks without weights."""

ENOUGH = 3.0
"""Seconds after which a form of a network is not timed again."""

PRODUCT_ON_CPU, PRODUCT_ON_GPU = 2048, 8192
"""Rows and columns of matrices whose product shows what a device can do."""

PRODUCTS = 5
"""How often it is timed; the shortest counts."""

TABLE = Table(
    "Networks",
    "One forward pass. *Published way*: float32, as PyTorch builds a network; *float32* and *bf16*: as the engine "
    "runs it; seconds of processor time on a CPU, which other programs disturb less, by the clock on a GPU. Timed by "
    "turns, the shortest counts. *Error*: root mean square difference of bf16 from float32 on a "
    "generated scene. Networks of the zoo have random weights (seed 0) and their published size; their error is "
    "what it would be if the output varied as much as the scene. *Runs in*: what the engine takes by itself where "
    f"the processor is fast in bfloat16: float32 when bf16 differs by more than {BOUND} K, or is known to. "
    "*TFLOP/s*: of the bf16 pass, by the clock; *÷ product*: by that of a bare product of large bf16 matrices just "
    "after it. *Peak*: of a process that does one pass in float32, libraries included.",
    (
        Column("network", "network"),
        Column("weights", "weights"),
        Column("image", "image"),
        Column("gigaflop", "GFLOP", 1),
        Column("published_seconds", "published way (s)", 3),
        Column("float32_seconds", "float32 (s)", 3),
        Column("bf16_seconds", "bf16 (s)", 3),
        Column("compiled_seconds", "bf16, compiled (s)", 3),
        Column("gain", "published ÷ bf16", 1),
        Column("error", "error (K)", 4),
        Column("runs_in", "runs in"),
        Column("megapixels", "Mpx/s by the clock", 2),
        Column("bf16_teraflops", "bf16 TFLOP/s", 3),
        Column("bf16_share", "÷ product", 2),
        Column("peak_gigabytes", "peak (GB)", 2),
        Column("gpu_gigabytes", "GPU (GB)", 2),
    ),
)


def measure(job: BenchJob, folder: Path, on_event: OnEvent, cancel: CancelToken) -> Iterator[Row]:
    """A row for each network, side and batch; one that fails stops no other."""
    names = job.networks or (*shipped_weights(), *list_models())
    for name, of_name in in_turn(names, on_event):
        for (side, batch), share in in_turn(list(product(job.sides, job.batches)), of_name):
            image = {"scale": job.scale, "side": side, "batch": batch}
            how = {"rounds": job.rounds, "device": job.device, "compile": job.compile}
            yield from apart_or_left_out(name, forward_pass, {"name": name, **image, **how}, share, cancel)


def weights_file(name: str) -> Path | None:
    """The file of weights by name or path; None for a network of the zoo."""
    known = {**user_weights(), **shipped_weights()}
    if name.lower() in known:
        return known[name.lower()]
    return Path(name) if Path(name).is_file() else None


def nearest_scale(spec: ModelSpec, scale: int) -> int:
    """The largest scale of a network that divides the one asked for.

    Raises:
        ModelError: None does.
    """
    scales = [own for own in spec.scales if scale % own == 0]
    if not scales:
        raise ModelError(
            f"'{spec.name}' has no scale that divides {scale}: choose of {', '.join(map(str, spec.scales))}."
        )
    return max(scales)


def random_network(name: str, scale: int) -> nn.Module:
    """A network of the zoo in its published size; its weights are random, those that would start at zero included."""
    torch.manual_seed(0)
    network = create_model(name, scale=scale, guidance_bands=len(ROLES)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1 and not parameter.any():
                parameter.normal_(std=0.02)
    return network


def with_weights(name: str, scale: int, folder: Path) -> str:
    """A method to run: the name itself, or, for a network of the zoo, a file with random weights."""
    try:
        spec = get_spec(name)
    except ModelError:
        return name
    file = folder / f"random-{spec.name.lower()}.safetensors"
    roles = ROLES if spec.guided else ()
    if not file.exists():
        card = ModelCard(name=spec.name, architecture=spec.name, arguments=spec.defaults, scales=(scale,), roles=roles)
        save_weights(file, random_network(spec.name, scale), card)
    return str(file)


def forward_pass(
    *,
    name: str,
    scale: int,
    side: int,
    batch: int,
    device: Device,
    rounds: int,
    compile: bool,
    on_event: OnEvent,
    cancel: CancelToken,
) -> dict[str, Any]:
    """Time a network in this process.

    Args:
        name: Of weights or of a network.
        scale: Coarse pixel divided by fine pixel, at most.
        side: Fine pixels per side.
        batch: Images at once.
        device: Where.
        rounds: How often, at most.
        compile: Whether to measure bfloat16 compiled, too.
        on_event: Not told anything.
        cancel: Looked at before each layer.

    Raises:
        ModelError: There is no such network.
    """
    there = choose_device(device)
    file = weights_file(name)
    if file is None:
        spec = get_spec(name)
        scale = nearest_scale(spec, scale)
        network, wanted = random_network(spec.name, scale), ROLES if spec.guided else ()
    else:
        network, card = load_weights(file, scale)
        spec = get_spec(card.architecture)
        network, wanted = in_units(network, card.units, card.roles), card.roles
    lst, guidance, kelvin = _inputs(wanted, side, scale, batch, cancel)
    lst, guidance = lst.to(there), None if guidance is None else guidance.to(there)

    def run(form: nn.Module) -> Tensor:
        fine: Tensor = form(lst, guidance)
        synchronize(there)
        return fine

    with (
        torch.no_grad(),
        stoppable(cancel),
    ):  # in inference mode, the counter cannot tell weight normalisation's products
        full = placed(without_batch_norm(copy.deepcopy(network)), there)
        with FlopCounterMode(display=False) as counter:
            exact = run(full)
        peak, gpu = peak_memory(), peak_of_gpu()
        half = HalfPrecision(full)
        differs = float((run(half) - exact).square().mean().sqrt())
        error = kelvin * (differs / float(exact.std()) if file is None else differs)
        published, forms = network.to(there), {"float32": full, "bf16": half}
        if compile:
            forms["compiled"] = Compiled(half)
            run(forms["compiled"])  # the first time compiles
        costs: dict[str, list[Cost]] = {form: [] for form in ("published", *forms)}
        for _ in range(rounds):
            costs["published"].append(cost_of(partial(run, published))[0])
            with kept_memory():  # as in a run, where a tile gets the memory of the one before
                for form, own in forms.items():
                    costs[form].append(cost_of(partial(run, own))[0])
            if sum(cost.seconds for cost in costs["published"]) > ENOUGH:
                break
    clock = "cpu" if there.type == "cpu" else "seconds"
    seconds = {form: min(getattr(cost, clock) for cost in found) for form, found in costs.items()}
    teraflops = counter.get_total_flops() / min(cost.seconds for cost in costs["bf16"]) / 1e12
    runs_in = "bf16" if spec.bf16_ok and error <= BOUND else "float32"
    return {
        "network": name,
        "weights": "random" if file is None else "real",
        "scale": scale,
        "side": side,
        "batch": batch,
        "image": f"{side // scale} → {side}" + (f", {batch} at once" if batch > 1 else ""),
        **{f"{form}_seconds": least for form, least in seconds.items()},
        "gain": seconds["published"] / seconds["bf16"],
        "gigaflop": counter.get_total_flops() / 1e9,
        "error": error,
        "runs_in": runs_in,
        "megapixels": batch * side**2 / 1e6 / min(cost.seconds for cost in costs[runs_in]),
        "bf16_teraflops": teraflops,
        "bf16_share": teraflops / product_teraflops(there),
        "peak_gigabytes": peak / 1e9,
        "gpu_gigabytes": None if gpu is None else gpu / 1e9,
    }


def product_teraflops(device: torch.device) -> float:
    """How fast a device multiplies large matrices in bfloat16, by the clock: what a network is compared with."""
    side = PRODUCT_ON_CPU if device.type == "cpu" else PRODUCT_ON_GPU
    factor = torch.ones(side, side, dtype=torch.bfloat16, device=device)

    def multiply() -> None:
        factor @ factor
        synchronize(device)

    with kept_memory():
        multiply()
        return 2 * side**3 / min(cost_of(multiply)[0].seconds for _ in range(PRODUCTS)) / 1e12


def _inputs(
    wanted: tuple[Role, ...], side: int, scale: int, batch: int, cancel: CancelToken
) -> tuple[Tensor, Tensor | None, float]:
    """LST and guidance of a generated scene in standard deviations, and the LST's standard deviation in kelvin."""
    land = generated_scene(side)
    whole = Batch(avg_pool2d(land.lst, scale), land.guidance, torch.ones_like(land.lst, dtype=torch.bool))
    of_lst, of_guidance = scene_normalizers(Scene((whole,), land.roles, scale), wanted, cancel)
    lst = of_lst.apply(whole.lst).repeat(batch, 1, 1, 1)
    kelvin = of_lst.scale[0]
    if not wanted:
        return lst, None, kelvin
    return lst, channels(whole.guidance, land.roles, wanted, of_guidance).repeat(batch, 1, 1, 1), kelvin
