"""The report of a run: one self-contained HTML page for people, and the same content as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groklst_engine import __version__
from groklst_engine.errors import GroklstError, OutputError
from groklst_engine.whole_file import write_whole

Unit = Literal["K", "°C"]


@dataclass(frozen=True)
class Panel:
    """A map.

    Attributes:
        title: For people.
        values: ``(H, W)``; NaN and infinities are nodata.
        extent: Left, right, bottom and top edge in CRS units.
        unit: Of the values.
        diverging: A difference, coloured around 0; temperatures share one colour range.
        quantity: What is shown, if it is no difference.
    """

    title: str
    values: NDArray[np.float32]
    extent: tuple[float, float, float, float]
    unit: Unit
    diverging: bool = False
    quantity: str = "Temperature"


@dataclass(frozen=True)
class Scatter:
    """Pairs of values of the same pixels.

    Attributes:
        x_label: What ``x`` is.
        y_label: What ``y`` is.
        x: ``(N,)`` values.
        y: ``(N,)`` values.
        unit: Of both.
    """

    x_label: str
    y_label: str
    x: NDArray[np.floating]
    y: NDArray[np.floating]
    unit: Unit


@dataclass(frozen=True)
class Histogram:
    """Distributions to compare.

    Attributes:
        series: Label to ``(N,)`` values.
        unit: Of all values.
    """

    series: Mapping[str, NDArray[np.floating]]
    unit: Unit


@dataclass(frozen=True)
class Report:
    """What a report tells.

    Attributes:
        title: Headline.
        summary: One sentence: what was done, and how good it is.
        panels: Input, output, difference.
        scatter: None leaves it out.
        histogram: None leaves it out.
        scores: Rows with ``label``, ``protocol``, ``rmse``, ``mae``, ``bias`` (K), ``cc``, ``rsd`` and ``n``.
        trials: Methods tried in the closed loop: ``method``, ``rmse`` (K), ``ratio``, ``blocks``, ``added`` (K),
            ``gain``, ``detail``, ``damped`` (K), ``seconds`` and whether it was ``chosen``.
        trial_note: One sentence about them.
        registration: What was found in cross-sensor mode: ``rows``, ``columns`` and ``sigma`` in coarse pixels,
            ``explained`` and ``unregistered`` shares of the variance, ``pixels``; None without.
        reliability: Rows of ``multiple`` of the standard error, ``nominal`` and ``actual`` share of errors within.
        warnings: What to know before trusting the result, in plain words.
        parameters: The job in full.
        provenance: Versions, weights, inputs, time.
    """

    title: str
    summary: str
    panels: tuple[Panel, ...] = ()
    scatter: Scatter | None = None
    histogram: Histogram | None = None
    scores: tuple[Mapping[str, float | str | int], ...] = ()
    trials: tuple[Mapping[str, float | str], ...] = ()
    trial_note: str = ""
    registration: Mapping[str, float] | None = None
    reliability: tuple[Mapping[str, float], ...] = ()
    warnings: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


def require_packages() -> None:
    """Fail early when a report is wanted that cannot be drawn.

    Raises:
        GroklstError: matplotlib or jinja2 is missing.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise GroklstError(
            "The report needs matplotlib and jinja2: install them with `pip install 'groklst[report]'`."
        ) from error


def write_report(report: Report, directory: Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.json``.

    Args:
        report: What to tell. Panels should come decimated to about 1200 pixels per side.
        directory: Made if it is not there; earlier reports in it are replaced.

    Returns:
        The paths of the HTML and the JSON file.

    Raises:
        GroklstError: matplotlib or jinja2 is missing.
        OutputError: The files cannot be written.
    """
    require_packages()
    content = report_content(report)
    texts = {
        directory / "report.html": _html(report, content),
        directory / "report.json": json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            write_whole(path, text)
    except OSError as error:
        raise OutputError(
            f"The report cannot be written to '{directory}' ({error.strerror}): choose another folder."
        ) from error
    html, as_json = texts
    return html, as_json


def report_content(report: Report) -> dict[str, Any]:
    """All words and numbers of the report as JSON types, maps as statistics; what is not finite becomes None."""
    content: dict[str, Any] = _plain(
        {
            "title": report.title,
            "summary": report.summary,
            "warnings": report.warnings,
            "maps": [_statistics(panel) for panel in report.panels],
            "scores": report.scores,
            "trials": report.trials,
            "trial_note": report.trial_note,
            "registration": report.registration,
            "reliability": report.reliability,
            "parameters": report.parameters,
            "provenance": report.provenance,
        }
    )
    return content


def _statistics(panel: Panel) -> dict[str, Any]:
    valid = panel.values[np.isfinite(panel.values)].astype(np.float64)
    return {
        "title": panel.title,
        "unit": panel.unit,
        "extent": panel.extent,
        "minimum": valid.min() if valid.size else None,
        "mean": valid.mean() if valid.size else None,
        "maximum": valid.max() if valid.size else None,
        "valid": valid.size / max(1, panel.values.size),
    }


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return str(value)


def _html(report: Report, content: Mapping[str, Any]) -> str:
    from markupsafe import Markup

    from groklst_engine import figures

    limits = figures.shared_limits(report.panels)
    maps = []
    for number, (panel, statistics) in enumerate(zip(report.panels, content["maps"], strict=True)):
        own = figures.difference_limits if panel.diverging else figures.own_limits
        panel_limits = limits if figures.is_temperature(panel) else own(panel)
        svg = Markup(figures.draw_map(panel, panel_limits, f"map{number}"))
        maps.append({**statistics, "diverging": panel.diverging, "svg": svg})
    return render(
        "report.html.j2",
        **{**content, "maps": maps},
        scatter=report.scatter and Markup(figures.draw_scatter(report.scatter)),
        scatter_labels=report.scatter and (report.scatter.x_label, report.scatter.y_label),
        histogram=report.histogram and Markup(figures.draw_histogram(report.histogram)),
        series=list(report.histogram.series) if report.histogram else [],
        parameter_rows=list(_rows(content["parameters"])) if content["parameters"] else [],
    )


def render(template: str, **content: Any) -> str:
    """Fill a template of this package; all texts are escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template(template).render(content, version=__version__)


def _rows(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested parameters as rows of a name, such as ``guidance 1 › path``, and a text."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _rows(item, f"{name} › {key}" if name else key)
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for number, item in enumerate(value, start=1):
            yield from _rows(item, f"{name} {number}")
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    """A plain value as people write it."""
    if isinstance(value, (list, dict)):
        return ", ".join(map(_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)


def _number(value: float | str | None, digits: int = 3, sign: bool = False) -> str:
    """A number for a table: fixed digits, narrow spaces between thousands, a real minus; a dash where there is none."""
    if not isinstance(value, (int, float)):
        return value or "–"
    return f"{value:{'+' if sign else ''},.{digits}f}".replace(",", "\u202f").replace("-", "−")
