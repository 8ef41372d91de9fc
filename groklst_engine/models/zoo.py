"""The zoo: every network by name. To add one, write its module with a ``SPEC`` and name it in ``MODELS``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from groklst_engine.errors import ModelError
from groklst_engine.models import (
    act,
    ahmf,
    cfgn,
    codon,
    ctn,
    cunet,
    dagf,
    dbpn,
    dct,
    dctlsa,
    dgf,
    djf,
    djfr,
    dkn,
    dsrn,
    edsr,
    egasr,
    fdkn,
    fdsr,
    fen,
    fenet,
    guided_context,
    guided_residual,
    han,
    haunet,
    mocolsk,
    msg,
    ngswin,
    omni,
    p2p,
    pac,
    pmba,
    rcan,
    rdn,
    rsag,
    safmn,
    san,
    sgnet,
    srcnn,
    srda,
    srfbn,
    suft,
    svlrm,
    swinir,
)
from groklst_engine.models.spec import ModelSpec, closest

MODELS: dict[str, ModelSpec] = {
    "act": act.SPEC,
    "ahmf": ahmf.SPEC,
    "cfgn": cfgn.SPEC,
    "codon": codon.SPEC,
    "ctn": ctn.SPEC,
    "cunet": cunet.SPEC,
    "dagf": dagf.SPEC,
    "dbpn": dbpn.SPEC,
    "dct": dct.SPEC,
    "dctlsa": dctlsa.SPEC,
    "dgf": dgf.SPEC,
    "djf": djf.SPEC,
    "djfr": djfr.SPEC,
    "dkn": dkn.SPEC,
    "dsrn": dsrn.SPEC,
    "edsr": edsr.SPEC,
    "egasr": egasr.SPEC,
    "fdkn": fdkn.SPEC,
    "fdsr": fdsr.SPEC,
    "FEN": fen.SPEC,
    "fenet": fenet.SPEC,
    "guided-context": guided_context.SPEC,
    "guided-residual": guided_residual.SPEC,
    "han": han.SPEC,
    "haunet": haunet.SPEC,
    "mocolsk": mocolsk.SPEC,
    "msg": msg.SPEC,
    "ngswin": ngswin.SPEC,
    "omni": omni.SPEC,
    "p2p": p2p.SPEC,
    "pac": pac.SPEC,
    "pmba": pmba.SPEC,
    "rcan": rcan.SPEC,
    "rdn": rdn.SPEC,
    "rsag": rsag.SPEC,
    "safmn": safmn.SPEC,
    "san": san.SPEC,
    "sgnet": sgnet.SPEC,
    "srcnn": srcnn.SPEC,
    "srda": srda.SPEC,
    "srfbn": srfbn.SPEC,
    "suft": suft.SPEC,
    "svlrm": svlrm.SPEC,
    "swinir": swinir.SPEC,
}


def list_models() -> list[str]:
    """The names of all networks, sorted."""
    return sorted(MODELS, key=str.lower)


def get_spec(name: str) -> ModelSpec:
    """The facts of a network.

    Args:
        name: As in ``list_models()``; upper and lower case are equal.

    Raises:
        ModelError: If there is no such network; the message suggests the nearest name.
    """
    by_lower_case = {known.lower(): spec for known, spec in MODELS.items()}
    if name.lower() in by_lower_case:
        return by_lower_case[name.lower()]
    near = closest(name, MODELS)
    suggestion = f"did you mean '{near}'? `groklst models` lists all." if near else "`groklst models` lists all."
    raise ModelError(f"Unknown network '{name}': {suggestion}")


def create_model(
    name: str,
    *,
    scale: int,
    guidance_bands: int = 10,
    preset: str | None = None,
    reference_compat: bool = False,
    **arguments: Any,
) -> nn.Module:
    """Build a network with fresh weights.

    Its ``forward(lst, guidance)`` takes ``(B, 1, h, w)`` and ``(B, guidance_bands, scale·h, scale·w)`` (None or nothing
    for a single-image network) and returns ``(B, 1, scale·h, scale·w)``, all in normalised units.

    Args:
        name: As in ``list_models()``; upper and lower case are equal.
        scale: Coarse pixel divided by fine pixel.
        guidance_bands: Number of guidance bands; single-image networks ignore it.
        preset: A named size of the network.
        reference_compat: Build the published form where it differs from ours, to compare numbers with it.
        **arguments: The network's own arguments; they win over the preset.

    Raises:
        ModelError: If the name, the scale, the preset or an argument is unknown or cannot be used.
    """
    spec = get_spec(name)
    if scale not in spec.scales:
        raise ModelError(f"Network '{spec.name}' cannot downscale by {scale}: choose a scale {_listed(spec.scales)}.")
    wanted = {"scale": scale, **spec.arguments(preset, **arguments)}
    if spec.guided:
        if guidance_bands < spec.min_guidance_bands:
            raise ModelError(
                f"Network '{spec.name}' cannot be built for {guidance_bands} guidance bands: "
                f"give at least {spec.min_guidance_bands}."
            )
        wanted["guidance_bands"] = guidance_bands
    if spec.differs_from_published:
        wanted["reference_compat"] = reference_compat
    return spec.build(**wanted)


def _listed(scales: Sequence[int]) -> str:
    if isinstance(scales, range):
        return f"from {scales[0]} to {scales[-1]}"
    return "of " + " or ".join(map(str, scales))
