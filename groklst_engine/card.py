"""A model card for people, in Markdown, from the card that travels inside a weights file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from groklst_engine.errors import OutputError
from groklst_engine.weights import ModelCard

_COLUMNS = ("rmse", "mae", "bias", "cc", "rsd")


def write_card(card: ModelCard, path: Path) -> None:
    """Write the card as Markdown.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        path.write_text(card_text(card), "utf-8")
    except OSError as error:
        raise OutputError(f"The model card '{path}' cannot be written: check folder and disk space.") from error


def card_text(card: ModelCard) -> str:
    """The card as Markdown."""
    sections = [
        f"# {card.label or card.name}",
        card.description,
        "\n".join(_facts(card)),
        "## Scores on scenes not used for training",
        "\n".join(_scores(card)) if card.metrics else "Not measured.",
        "## When not to trust it",
        card.limitations or "Not stated.",
        "## Training",
        f"Protocol {card.training.get('protocol', 'not stated')}. Written by GrokLST {card.engine_version}.",
        "\n".join(f"* {name.replace('_', ' ')}: {value}" for name, value in _options(card)),
        f"Scenes: {', '.join(card.training.get('scenes', ())) or 'not stated'}.",
        card.credits,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _facts(card: ModelCard) -> Iterator[str]:
    arguments = ", ".join(f"{name} {value}" for name, value in card.arguments.items())
    yield f"* Method name: `{card.name}`"
    yield f"* Network: `{card.architecture}`{f' ({arguments})' if arguments else ''}"
    yield f"* Scales: {', '.join(map(str, card.scales))}"
    yield f"* Guidance, any subset: {', '.join(card.roles) or 'none'}"
    yield f"* Licence: {card.licence}"
    yield f"* SHA-256 of card and tensors: `{card.sha256}`"


def _scores(card: ModelCard) -> Iterator[str]:
    """One row per region and scale, and the means per scale."""
    tested = card.training.get("options", {}).get("score_test")
    whose = (
        "The network was scored on the test split of its data set, which it has not seen."
        if tested
        else "Each scene was scored by a network trained without its whole region, with the same options."
    )
    yield (
        f"{whose} Means over a region's scenes, in kelvin; the last column is the mean of RMSE divided by bicubic's. "
        "Output corrected for coarse consistency. Scene by scene: `groklst weights show --json`."
    )
    yield ""
    yield "| region | scenes | scale | RMSE | MAE | BIAS | CC | RSD | bicubic RMSE | ÷ bicubic |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    bicubic = {(row["scene"], row["scale"]): row["rmse"] for row in card.metrics if row["method"] == "bicubic"}
    rows = [
        {**row, "bicubic": bicubic[row["scene"], row["scale"]]} for row in card.metrics if row["method"] != "bicubic"
    ]
    ratios: dict[int, list[float]] = {}
    for region, scale in sorted({(row["region"], row["scale"]) for row in rows}):
        own = [row for row in rows if (row["region"], row["scale"]) == (region, scale)]
        means = [_mean(own, name) for name in (*_COLUMNS, "bicubic", "rmse_to_bicubic")]
        ratios.setdefault(scale, []).append(means[-1])
        yield f"| {region} | {len(own)} | x{scale} | {' | '.join(f'{mean:.3f}' for mean in means)} |"
    for scale, values in sorted(ratios.items()):
        scenes = [row["rmse_to_bicubic"] for row in rows if row["scale"] == scale]
        for name, means in (("regions", values), ("scenes", scenes)):
            mean = sum(means) / len(means)
            yield f"| **mean of the {name}** | {len(means)} | x{scale} | | | | | | | **{mean:.3f}** |"


def _mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(sum(row[name] for row in rows)) / len(rows)


def _options(card: ModelCard) -> Iterator[tuple[str, Any]]:
    options: Mapping[str, Any] = card.training.get("options", {})
    for name, value in options.items():
        if value not in (None, "", [], {}):
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else value
