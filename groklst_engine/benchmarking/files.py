"""The benchmark's files: results as CSV and JSON, tables as Markdown and as a self-contained page."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from groklst_engine.benchmarking.results import Result, Unit
from groklst_engine.benchmarking.table import METRICS, Cell, Table
from groklst_engine.errors import OutputError
from groklst_engine.report import render
from groklst_engine.whole_file import write_whole


def write_files(table: Table, results: Mapping[Unit, Result], folder: Path, figure: Path) -> dict[str, Path]:
    """Write all files; the scores of single scenes are in the JSON.

    Args:
        table: What they tell.
        results: What it sums up.
        folder: Where to.
        figure: PNG to show in the page.

    Returns:
        The files by kind: ``html``, ``markdown``, ``csv`` and ``json``.

    Raises:
        OutputError: They cannot be written.
    """
    scenes = [{**row, "unit": unit.stem} for unit, result in results.items() for row in result.scenes]
    texts = {
        "html": ("table.html", _html(table, figure)),
        "markdown": ("table.md", "\n".join(_markdown(table, figure))),
        "csv": ("results.csv", _csv(table)),
        "json": ("benchmark.json", json.dumps({**table.to_json(), "scenes": scenes}, indent=1, ensure_ascii=False)),
    }
    try:
        for name, text in texts.values():
            write_whole(folder / name, text)
    except OSError as error:
        raise OutputError(f"The tables cannot be written to '{folder}': check folder and disk space.") from error
    return {kind: folder / name for kind, (name, _) in texts.items()}


def _csv(table: Table) -> str:
    """A line for each network or method at each scale."""
    lines = []
    for row in table.to_json()["rows"]:
        nested = {kind: row.pop(kind) for kind in ("scores", "published", "ranks")}
        published = {f"published_{metric}": nested["published"].get(metric) for metric in METRICS}
        ranks = {f"rank_{metric}": nested["ranks"].get(metric) for metric in METRICS}
        lines.append({**row, **nested["scores"], **published, **ranks})
    text = io.StringIO()
    file = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    file.writeheader()
    file.writerows(lines)
    return text.getvalue()


def _markdown(table: Table, figure: Path) -> Iterator[str]:
    yield f"# {table.title}"
    yield ""
    yield from (f"* {name}: {text}" for name, text in table.facts.items())
    yield ""
    yield "The best figure of a column is **bold**, the second best <u>underlined</u>."
    for section in table.sections():
        yield from ("", f"## {section.title}", "", section.note, "")
        groups = [head for head, count in section.groups for _ in range(count)] or [""] * (len(section.columns) - 1)
        heads = [f"{group} {head}".strip() for group, head in zip(groups, section.columns[1:], strict=True)]
        yield f"| {' | '.join([section.columns[0], *heads])} |"
        yield "|---" + "|---:" * len(heads) + "|"
        yield from (f"| {' | '.join([label, *map(_text, cells)])} |" for label, cells in section.lines)
    if table.left_out:
        yield from ("", "## Left out", "", *(f"* {sentence}" for sentence in table.left_out))
    yield from ("", "## One crop", "", table.crop, "", f"![What each method makes of one crop]({figure.name})", "")


def _text(cell: Cell) -> str:
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.mark, cell.text)
    return f"{text} ({cell.published})" if cell.published else text


def _html(table: Table, figure: Path) -> str:
    return render(
        "benchmark.html.j2",
        title=table.title,
        table=table,
        sections=table.sections(),
        figure=base64.b64encode(figure.read_bytes()).decode(),
    )
