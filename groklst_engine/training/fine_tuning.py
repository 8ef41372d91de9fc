"""Going on from trained weights, with other guidance bands, and with parts that keep their values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from groklst_engine.data.sources import roles_in
from groklst_engine.errors import ModelError
from groklst_engine.models.spec import closest
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.registry import named_or_file
from groklst_engine.training_jobs import TrainJob
from groklst_engine.weights import ModelCard, load_weights, read_card


def start_file(job: TrainJob) -> Path | None:
    """The weights file a training goes on from.

    Raises:
        ModelError: There is none of that name.
    """
    return None if job.start_from is None else named_or_file(job.start_from)


def completed(job: TrainJob) -> TrainJob:
    """The job with what it does not say taken from the weights it goes on from, or from its data set.

    Without weights, a guided network takes all bands of the data set. With them, the guidance bands are those of the
    weights and, behind them, the job's further ones: a band that the training scenes lack is masked.

    Raises:
        ModelError: The weights cannot be used, or are of another network than the one asked for.
        InputError: The data set cannot be read.
    """
    file, said = start_file(job), job.model_fields_set
    if file is None:
        if job.dataset is None or "roles" in said or not get_spec(job.model).guided:
            return job
        return job.model_copy(update={"roles": roles_in(job.dataset)})
    card = read_card(file)
    if "model" in said and get_spec(job.model).name != card.architecture:
        raise ModelError(
            f"The weights '{job.start_from}' are of the network '{card.architecture}', not '{job.model}': leave the "
            "model out."
        )
    known = get_spec(card.architecture).arguments(**_own(card.arguments))
    wanted = get_spec(card.architecture).arguments(job.preset, **(_own(card.arguments) | _own(job.arguments)))
    if job.preset is not None or job.arguments:
        other = next((name for name in known if known[name] != wanted[name]), None)
        if other is not None:
            raise ModelError(
                f"The weights '{job.start_from}' have the argument {other} = {known[other]!r}, not {wanted[other]!r}: "
                "leave it out, or train from the beginning."
            )
    return job.model_copy(
        update={
            "model": card.architecture,
            "preset": None,
            "arguments": dict(card.arguments),
            "roles": card.roles + tuple(role for role in job.roles if role not in card.roles),
            "scales": job.scales if "scales" in said else card.scales,
            "normalize_lst": job.normalize_lst if "normalize_lst" in said else card.units.lst.mode,
            "normalize_guidance": job.normalize_guidance if "normalize_guidance" in said else card.units.guidance.mode,
        }
    )


def _own(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "reference_compat"}


def take_over(network: nn.Module, job: TrainJob) -> None:
    """Give a new network the values of the weights that the job goes on from; further bands count nothing at first.

    Raises:
        ModelError: The weights do not serve the scale, or the network cannot take further bands.
    """
    file = start_file(job)
    if file is None:
        return
    scale = job.scales[0]
    card = read_card(file)
    old, card = load_weights(file, scale if scale in card.scales else card.scales[0])
    if len(card.roles) == len(job.roles):
        _load(network, old.state_dict(), job)
        return
    probe = create_model(
        card.architecture, scale=scale, guidance_bands=len(job.roles), **_own(dict(card.arguments))
    ).eval()
    channels = _channels_of_old_bands(probe, scale, len(job.roles), card)
    values = old.state_dict()
    for name, fresh in network.state_dict().items():
        known = values.get(name)
        if known is None or known.shape == fresh.shape:
            continue
        kept = channels.get(name.removesuffix(".weight"))
        if kept is None or int(kept.sum()) != known.shape[1] or fresh[:, kept].shape != known.shape:
            raise ModelError(
                f"The network '{card.architecture}' cannot take over weights for other bands: give roles of "
                f"{', '.join(card.roles)}."
            )
        widened = torch.zeros_like(fresh)
        widened[:, kept] = known.to(fresh)
        values[name] = widened
    _load(network, values, job)


def _load(network: nn.Module, values: dict[str, Tensor], job: TrainJob) -> None:
    try:
        network.load_state_dict(values)
    except RuntimeError as error:
        raise ModelError(
            f"The weights '{job.start_from}' do not fit the network at scale {job.scales[0]}: choose a scale they were "
            "trained for."
        ) from error


@torch.inference_mode()
def _channels_of_old_bands(network: nn.Module, scale: int, bands: int, card: ModelCard) -> dict[str, Tensor]:
    """For each convolution, the input channels that do not come from the further bands alone.

    Found by trying: a channel that changes with the further bands, but neither with the LST nor with the old bands,
    is theirs.

    Returns:
        A mask of the input channels by the layer's name.
    """
    side, old = 8 * get_spec(card.architecture).size_multiple, len(card.roles)
    random = torch.Generator().manual_seed(0)
    lst = torch.randn(1, 1, side, side, generator=random)
    guidance = torch.randn(1, bands, scale * side, scale * side, generator=random)
    noise = torch.randn(guidance.shape, generator=random)
    is_old = (torch.arange(bands) < old)[:, None, None]
    before = _inputs(network, lst, guidance)
    by_lst = _inputs(network, lst.flip(-1), guidance)
    by_old = _inputs(network, lst, guidance + noise * is_old)
    by_further = _inputs(network, lst, guidance + noise * ~is_old)

    def changed(name: str, after: dict[str, Tensor]) -> Tensor:
        return (before[name] - after[name]).abs().amax((0, 2, 3)) > 0

    return {name: ~changed(name, by_further) | changed(name, by_lst) | changed(name, by_old) for name in before}


def _inputs(network: nn.Module, lst: Tensor, guidance: Tensor) -> dict[str, Tensor]:
    """What each convolution gets, at its first use."""
    seen: dict[str, Tensor] = {}

    def watch(name: str, module: nn.Module) -> RemovableHandle:
        def look(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, given[0])

        return module.register_forward_pre_hook(look)

    hooks = [watch(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    try:
        network(lst, guidance)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def freeze(network: nn.Module, beginnings: Sequence[str]) -> None:
    """Keep the values of the parameters whose names begin so.

    Raises:
        ModelError: No parameter's name does, or all do.
    """
    names = [name for name, _ in network.named_parameters()]
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in names):
            parts = sorted({".".join(name.split(".")[:depth]) for name in names for depth in (1, 2, 3)})
            near = closest(beginning, parts)
            tops = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise ModelError(
                f"No parameter's name begins with '{beginning}': "
                + (f"did you mean '{near}'?" if near else f"the network's parts are {tops}.")
            )
    for name, parameter in network.named_parameters():
        if name.startswith(tuple(beginnings)):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ModelError("Every parameter is frozen, so there is nothing to learn: freeze less.")
