"""What a person sees in a terminal: progress and messages on standard error, tables as text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from groklst_engine.events import Event


class ProgressPrinter:
    """An ``OnEvent`` that keeps one line up to date on a terminal, and writes a line per tenth elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._tenth = -1

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if event.fraction is not None:
            self._show(event.fraction, event.message)
        else:
            values = "".join(f"  {name} {value:.4g}" for name, value in event.values.items())
            prefix = "warning: " if event.level == "warning" else ""
            self.close()
            print(f"{prefix}{event.message}{values}", file=self._stream, flush=True)

    def close(self) -> None:
        """Wipe the line off the terminal."""
        if self._live:
            print("\r\033[K", end="", file=self._stream, flush=True)

    def _show(self, fraction: float, message: str) -> None:
        percent = f"{100 * fraction:3.0f} %"
        if self._live:
            line = f"[{'#' * round(20 * fraction):20}] {percent}  {message}"
            print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", end="", file=self._stream, flush=True)
        elif int(10 * fraction) > self._tenth:
            self._tenth = int(10 * fraction)
            print(f"{percent}  {message}", file=self._stream, flush=True)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns aligned by spaces: numbers with three decimals, to the right; nothing is a dash."""
    cells = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(_is_number(text) for text in column[1:]) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )


def score_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of score rows: what they are scores of, then the scores (errors in kelvin) and the number of pixels."""
    labels = {"rmse": "RMSE (K)", "mae": "MAE (K)", "bias": "BIAS (K)", "cc": "CC", "r2": "R²", "rsd": "RSD"}
    labels |= {"rmse_to_bicubic": "÷ bicubic", "regions_to_bicubic": "over regions", "worst_to_bicubic": "at worst"}
    labels |= {"worse_than_bicubic": "cases over 1"}
    labels |= {"within_1_sigma": "≤ 1 σ", "within_2_sigma": "≤ 2 σ"}
    labels |= {"sigma_correlation": "σ ~ |error|", "with_sigma": "with σ", "n": "pixels"}
    keys = [key for key in rows[0] if key not in labels] + [key for key in labels if key in rows[0]]
    return table([labels.get(key, key) for key in keys], ([row[key] for key in keys] for row in rows))


def show_downscale(result: Mapping[str, Any]) -> str:
    """What ``groklst downscale`` says."""
    low, high = result["range"]
    text = (
        f"{result['output']}: {result['width']} × {result['height']} pixels, {result['method']} at scale "
        f"{result['scale']}, {low:.1f} to {high:.1f} {result['unit']}, {result['seconds']:.1f} s"
    )
    if result["choice"]:
        text += f"\n{result['choice']['reason']}"
    if result["uncertainty"]:
        text += f"\nStandard error: {result['uncertainty']}"
    if result["report_html"]:
        text += f"\nReport: {result['report_html']}"
    if result["scores"]:
        text += f"\n\n{score_table(result['scores'])}"
    return text


def show_info(result: Mapping[str, Any]) -> str:
    """What ``groklst info`` says: the pre-flight table."""
    fine = result["fine"]
    rows = (
        (
            layer["kind"],
            Path(layer["path"]).name,
            layer["crs"],
            _size(layer["width"], layer["height"]),
            f"{_size(*layer['pixel'])} {layer['pixel_unit']}",
            f"{100 * layer['coverage']:.0f} %",
            ",".join(band["role"] or "-" for band in layer["bands"]),
            layer["action"],
        )
        for layer in result["layers"]
    )
    return "\n".join(
        [
            f"Result: {_size(fine['width'], fine['height'])} pixels of {_size(*fine['pixel'])} "
            f"{result['layers'][0]['pixel_unit']} in {fine['crs']}; unit {result['unit']}",
            "",
            table(("layer", "file", "CRS", "size", "pixel", "covers", "roles", "action"), rows),
            *(f"warning: {warning}" for warning in result["warnings"]),
        ]
    )


def show_simulate(result: Mapping[str, Any]) -> str:
    """What ``groklst simulate`` says."""
    return f"Aggregated by {result['scale']} and downscaled back:\n{score_table(result['rows'])}"


def show_evaluate(result: Mapping[str, Any]) -> str:
    """What ``groklst evaluate`` says."""
    text = f"{score_table(result['rows'])}\n\nMean over the scenes:\n{score_table(result['means'])}"
    if result["without_sigma"]:
        text += f"\n\nNo standard error, because too small: {', '.join(result['without_sigma'])}"
    return text


def show_benchmark(result: Mapping[str, Any]) -> str:
    """What ``groklst benchmark`` says: the main table in short, and where the rest is."""
    heads = {"rmse": "RMSE (K)", "cc": "CC", "rmse_to_bicubic": "÷ bicubic"}
    rows = (
        (
            row["label"],
            f"x{row['scale']}",
            *(row["scores"][score] for score in heads),
            f"{row['cpu_seconds_per_mpx']:.1f}",
            row["mean_rank"],
        )
        for row in result["rows"]
        if row["main"]
    )
    lines = [table(("method", "scale", *heads.values(), "CPU s per Mpx", "mean rank"), rows), ""]
    lines += [f"left out: {sentence}" for sentence in result["left_out"]]
    return "\n".join([*lines, *(f"{kind}: {path}" for kind, path in result["files"].items())])


def show_train(result: Mapping[str, Any]) -> str:
    """What ``groklst train`` says."""
    metrics = result["card"]["metrics"]
    return f"{result['output']}\n\n{score_table(metrics)}" if metrics else str(result["output"])


def show_statistics(result: Mapping[str, Any]) -> str:
    """What ``groklst statistics`` says."""
    rows = result["bands"]
    return table([name.replace("_", " ") for name in rows[0]], (row.values() for row in rows))


def show_methods(result: Mapping[str, Any]) -> str:
    """What ``groklst methods`` says."""
    rows = (
        (
            method["name"] + (" *" if method["name"] == result["default_method"] else ""),
            method["kind"],
            "yes" if method["guided"] else "no",
            _scales(method["scales"] or range(2, method["max_scale"] + 1)),
            method["description"],
        )
        for method in result["methods"]
    )
    return table(("method", "kind", "guided", "scales", "what it does"), rows) + "\n\n* the default"


def show_models(result: Mapping[str, Any]) -> str:
    """What ``groklst models`` says."""
    rows = (
        (
            model["name"],
            "yes" if model["guided"] else "no",
            _scales(model["scales"]),
            " / ".join(f"{cost['parameters'] / 1e6:.3g}" for cost in model["costs"].values()),
            " / ".join(f"{cost['gmacs']:.4g}" for cost in model["costs"].values()),
            _published(model["paper"]),
            model["description"],
        )
        for model in result["models"]
    )
    heads = ("network", "guided", "scales", "parameters (M)", "GMAC", "published", "what it is good for")
    return table(heads, rows) + "\n\nParameters and multiply-adds per 512 × 512 fine pixels at scale 2 / 4 / 8."


def _published(paper: Mapping[str, Any] | None) -> str:
    """First author, venue and year."""
    if paper is None:
        return "–"
    first, *others = paper["authors"].split(", ")
    return f"{first}{' et al.' if others else ''}, {paper['venue']} {paper['year']}"


def show_demo(result: Mapping[str, Any]) -> str:
    """What ``groklst demo`` says: where everything is."""
    inputs = result["inputs"]
    rows = (
        ("coarse LST", inputs["lst"]),
        ("guidance", f"{inputs['guidance']}, {inputs['dem']}"),
        ("fine LST", result["output"]),
        ("true fine LST", inputs["truth"]),
        ("report", result["report_html"]),
    )
    files = table(("what", "where"), rows)
    return f"{show_downscale({**result, 'report_html': None})}\n\n{files}"


def _scales(scales: Sequence[int]) -> str:
    return ",".join(map(str, scales)) if len(scales) < 8 else f"{scales[0]}–{scales[-1]}"


def _size(width: float, height: float) -> str:
    return f"{width:g} × {height:g}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "–" if value in (None, "") else str(value)


def _is_number(text: str) -> bool:
    return text == "–" or text.lstrip("-").replace(".", "", 1).isdigit()
