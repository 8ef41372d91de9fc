"""What a network makes of its guidance alone, kept for the next LST over the same guidance where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
Others = ParamSpec("Others")
Made = TypeVar("Made")


class _Last(NamedTuple):
    guidance: Tensor  # held, so that no other tensor takes its place
    others: tuple[object, ...]
    made: object


def of_guidance(
    make: Callable[Concatenate[Network, Tensor, Others], Made],
) -> Callable[Concatenate[Network, Tensor, Others], Made]:
    """Make a function of a network and its guidance remember its last result, once ``keep_guidance`` was called.

    Args:
        make: Its result depends on network, guidance and its other arguments alone, and nobody changes it. The very
            same tensor counts as the same guidance.
    """
    place = f"_last_of_{make.__name__.strip('_')}"

    @wraps(make)
    def once(network: Network, guidance: Tensor, /, *others: Others.args, **named: Others.kwargs) -> Made:
        if not getattr(network, "keeps_guidance", False):
            return make(network, guidance, *others, **named)
        last: _Last | None = getattr(network, place, None)
        asked = (*others, *named.values())
        if last is None or last.guidance is not guidance or last.others != asked:
            setattr(network, place, None)  # first, so that old and new need not fit into memory together
            last = _Last(guidance, asked, make(network, guidance, *others, **named))
            setattr(network, place, last)
        made: Made = last.made  # type: ignore[assignment]
        return made

    return once


def keep_guidance(networks: Iterable[nn.Module]) -> None:
    """Make networks and all their parts keep what they make of a guidance."""
    for network in networks:
        for module in network.modules():
            setattr(module, "keeps_guidance", True)  # noqa: B010 - to a Module's type any attribute is a tensor
