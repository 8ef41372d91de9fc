"""The catalogue of networks: what each is, where it was published, what it costs.

``python -m groklst_engine.models.catalogue`` measures the costs again and rewrites ``costs.json`` and the page
``docs/models.md``; tests hold both equal to what it would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from groklst_engine.models.spec import ModelSpec, Paper
from groklst_engine.models.zoo import MODELS, create_model, list_models

FINE_SIDE = 512
"""Fine pixels per side of the image whose multiply-adds are counted: the GrokLST benchmark's."""

GUIDANCE_BANDS = 10
SCALES = (2, 4, 8)
_COSTS = Path(__file__).with_name("costs.json")
_PAGE = Path(__file__).parents[2] / "docs" / "models.md"

_INTRODUCTION = f"""# Networks

The networks of `groklst models`, with the published arguments. Parameters in millions; multiply-adds (GMAC) of
convolutions and matrix products for one image of {FINE_SIDE} × {FINE_SIDE} fine pixels and {GUIDANCE_BANDS} guidance
bands. *Reach* is how many coarse pixels around a coarse pixel its fine pixels depend on, at the largest scale; a
network that looks at the whole *image*, or at windows counted from its corner, is computed on blended tiles.

This page is written by `python -m groklst_engine.models.catalogue`.
"""


def measure(name: str, scale: int) -> dict[str, float]:
    """Count parameters and multiply-adds of a network in its published size, without computing anything.

    Returns:
        ``parameters`` and ``gmacs``, the latter per image of ``FINE_SIDE``² fine pixels.
    """
    coarse = FINE_SIDE // scale
    with torch.device("meta"), torch.no_grad():
        network = create_model(name, scale=scale, guidance_bands=GUIDANCE_BANDS).eval()
        lst = torch.empty(1, 1, coarse, coarse)
        guidance = torch.empty(1, GUIDANCE_BANDS, FINE_SIDE, FINE_SIDE) if MODELS[name].guided else None
        with FlopCounterMode(display=False) as counter:
            network(lst, guidance)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "gmacs": round(counter.get_total_flops() / 2e9, 2)}


@lru_cache(maxsize=1)
def costs() -> dict[str, dict[str, dict[str, float]]]:
    """What ``measure`` gave, by network and scale."""
    stored: dict[str, dict[str, dict[str, float]]] = json.loads(_COSTS.read_text("utf-8"))
    return stored


def measure_all() -> dict[str, dict[str, dict[str, float]]]:
    """``measure`` for every network and scale."""
    return {
        name: {str(scale): measure(name, scale) for scale in SCALES if scale in MODELS[name].scales}
        for name in list_models()
    }


def entries() -> list[dict[str, Any]]:
    """One JSON object per network, for ``groklst models``."""
    return [
        {
            "name": spec.name,
            "label": spec.label,
            "description": spec.description,
            "guided": spec.guided,
            "scales": list(spec.scales),
            "several_scales": isinstance(spec.scales, range),
            "presets": list(spec.presets),
            "arguments": spec.defaults,
            "bf16_ok": spec.bf16_ok,
            "size_multiple": spec.size_multiple,
            "receptive_radius": {str(scale): spec.radius(scale) for scale in SCALES if scale in spec.scales},
            "licence": spec.licence,
            "paper": spec.paper and asdict(spec.paper),
            "costs": costs().get(spec.name, {}),
        }
        for spec in (MODELS[name] for name in list_models())
    ]


def page() -> str:
    """The page ``docs/models.md``."""
    return "\n".join([_INTRODUCTION, *_section("Guided", True), "", *_section("Single image", False), ""])


def _section(title: str, guided: bool) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield "| network | scales | parameters (M) | GMAC | reach | good for | published |"
    yield "|---|---|---|---|---|---|---|"
    for name in list_models():
        spec = MODELS[name]
        if spec.guided is guided:
            own = costs()[name]
            parameters = " / ".join(f"{own[scale]['parameters'] / 1e6:.3g}" for scale in own)
            gmacs = " / ".join(f"{own[scale]['gmacs']:.4g}" for scale in own)
            yield (
                f"| `{name}` | {_scales(spec)} | {parameters} | {gmacs} | {_reach(spec)} | {spec.description} "
                f"| {_published(spec.paper)} |"
            )


def _scales(spec: ModelSpec) -> str:
    if isinstance(spec.scales, range):
        return f"{spec.scales[0]}–{spec.scales[-1]}"
    return ", ".join(map(str, spec.scales))


def _reach(spec: ModelSpec) -> str:
    radius = spec.radius(max(scale for scale in SCALES if scale in spec.scales))
    return "image" if radius is None else str(radius)


def _published(paper: Paper | None) -> str:
    if paper is None:
        return "here"
    text = f"{paper.authors}: *{paper.title}*, {paper.venue} {paper.year}"
    return f"{text}, {paper.doi}" if paper.doi else text


def main() -> None:
    """Measure all networks and rewrite the costs and the page."""
    rows = [f"  {json.dumps(name)}: {json.dumps(cost)}" for name, cost in measure_all().items()]
    _COSTS.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")
    costs.cache_clear()
    _PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
