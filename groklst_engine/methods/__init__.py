"""The downscaling methods by name: classical ones, the one that trains on the scene, and trained networks."""

from __future__ import annotations

import difflib
from contextlib import suppress
from pathlib import Path

from groklst_engine.errors import ModelError
from groklst_engine.methods import (
    automatic,
    dms,
    ensembles,
    interpolation,
    kriging,
    local,
    network,
    regression,
    self_scale,
    tsharp,
)
from groklst_engine.methods.base import MethodSpec
from groklst_engine.weights import SUFFIX, shipped_weights, user_weights

METHODS: dict[str, MethodSpec] = {
    spec.name: spec
    for module in (automatic, interpolation, tsharp, regression, local, dms, ensembles, kriging, self_scale)
    for spec in module.SPECS
}


def list_methods() -> list[MethodSpec]:
    """All methods: shipped networks, the user's, the others.

    A network whose file is damaged is left out, and says so when it is called for.
    """
    networks: list[MethodSpec] = []
    for name, path in _weights().items():
        with suppress(ModelError):
            networks.append(network.spec_of(name, path))
    return networks + list(METHODS.values())


def get_method(name: str) -> MethodSpec:
    """A method by its name, by the name of shipped or the user's weights, or by the path of a weights file.

    Raises:
        ModelError: There is no such method; the message suggests the nearest.
    """
    if name.lower() in METHODS:
        return METHODS[name.lower()]
    weights = _weights()
    if name.lower() in weights:
        return network.spec_of(name.lower(), weights[name.lower()])
    if name.endswith(SUFFIX) or Path(name).exists():
        return network.spec_of(Path(name).stem, Path(name))
    known = [*weights, *METHODS]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    raise ModelError(
        f"Unknown method '{name}'"
        + (f" (did you mean '{near[0]}'?)" if near else "")
        + f": choose {', '.join(known)}, or give a weights file."
    )


def _weights() -> dict[str, Path]:
    """Weights by name; the names of shipped ones and of other methods win over the user's."""
    own = {name: path for name, path in user_weights().items() if name not in METHODS}
    return shipped_weights() | own
