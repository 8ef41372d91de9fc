"""What is known of a network without building it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from groklst_engine.errors import ModelError

# Arguments of ``build`` that ``create_model`` sets itself.
_RESERVED = ("scale", "guidance_bands", "reference_compat")


@dataclass(frozen=True)
class Paper:
    """Where a network was published.

    Attributes:
        authors: As printed, or the first with "et al.".
        title: Title.
        venue: Journal or conference.
        year: Year.
        doi: DOI or arXiv identifier; empty when unknown.
    """

    authors: str
    title: str
    venue: str
    year: int
    doi: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """Static facts of a network, for listings, tiling and training.

    Attributes:
        name: As in ``create_model``.
        label: For people.
        description: One sentence: what it is good for.
        build: Makes the network from keyword arguments: ``scale``, ``guidance_bands`` if guided, ``reference_compat``
            if the published form differs, and its own arguments, all of them with defaults.
        guided: Whether it uses guidance.
        scales: Scales it can be built for.
        paper: Where it was published; None for GrokLST's own networks.
        licence: Of the original code.
        min_guidance_bands: Fewest guidance bands a guided network can be built for.
        size_multiple: Coarse height and width must be multiples of it; 1 takes any size.
        receptive_radius: How many coarse pixels around a coarse pixel its fine pixels depend on, from a mapping of all
            arguments (``scale`` included); None when it is the whole image (global statistics), or depends on where
            the image begins (windows).
        bf16_ok: Whether bfloat16 is worth a try: False where it was seen to cost more than 0.05 K (root mean square).
        presets: Named sizes: arguments that differ from the defaults.
    """

    name: str
    label: str
    description: str
    build: Callable[..., nn.Module]
    guided: bool
    scales: Sequence[int]
    paper: Paper | None
    licence: str = "not stated"
    min_guidance_bands: int = 1
    size_multiple: int = 1
    receptive_radius: Callable[[Mapping[str, Any]], int] | None = None
    bf16_ok: bool = True
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, Any]:
        """The network's own arguments and their defaults."""
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in _RESERVED}

    @property
    def differs_from_published(self) -> bool:
        """Whether ``reference_compat`` changes the network."""
        return "reference_compat" in inspect.signature(self.build).parameters

    def arguments(self, preset: str | None = None, **arguments: Any) -> dict[str, Any]:
        """All arguments of the network: the given ones over the preset's over the defaults.

        Raises:
            ModelError: If the preset or an argument does not exist, or a value is of the wrong kind.
        """
        if preset is not None and preset not in self.presets:
            choice = _choice(preset, self.presets, "presets")
            raise ModelError(f"Network '{self.name}' has no preset '{preset}': {choice}.")
        defaults = self.defaults
        resolved = {**defaults, **(self.presets[preset] if preset else {})}
        for name, value in arguments.items():
            if name not in defaults:
                choice = _choice(name, defaults, "arguments")
                raise ModelError(f"Network '{self.name}' has no argument '{name}': {choice}.")
            resolved[name] = _checked(f"Argument '{name}' of network '{self.name}'", value, defaults[name])
        return resolved

    def radius(self, scale: int, **arguments: Any) -> int | None:
        """The receptive radius in coarse pixels for these arguments; None when the network sees the whole image."""
        if self.receptive_radius is None:
            return None
        return self.receptive_radius({"scale": scale, **self.arguments(**arguments)})


def require(condition: bool, network: str, message: str) -> None:
    """Raise a ModelError saying that the network cannot be built, and why, unless ``condition`` holds."""
    if not condition:
        raise ModelError(f"Network '{network}' cannot be built: {message}.")


def closest(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that was probably meant, upper and lower case being equal; None when none is near."""
    lower = {candidate.lower(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.lower(), lower, n=1)
    return lower[matches[0]] if matches else None


def _choice(name: str, names: Iterable[str], kind: str) -> str:
    names = list(names)
    if not names:
        return f"it has no {kind}"
    if near := closest(name, names):
        return f"did you mean '{near}'"
    return f"its {kind} are {', '.join(names)}"


def _checked(what: str, value: Any, example: Any) -> Any:
    """The value if it is of the example's kind: argument values come from job and weights files."""
    if isinstance(example, tuple) and isinstance(value, (list, tuple)):  # JSON has no tuples
        return tuple(_checked(f"{what}, item {i}", item, example[0]) for i, item in enumerate(value, start=1))
    kinds = (int, float) if isinstance(example, float) else type(example)
    if not isinstance(value, kinds) or isinstance(value, bool) is not isinstance(example, bool):
        raise ModelError(f"{what} is {value!r}: give a value of type {type(example).__name__}, such as {example!r}.")
    if not isinstance(value, (bool, str)) and value <= 0:
        raise ModelError(f"{what} is {value!r}: give a positive number, such as {example!r}.")
    return value
