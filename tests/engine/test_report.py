"""The report: complete, self-contained, safe to open, and the same in HTML and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray

from groklst_engine import figures
from groklst_engine.errors import GroklstError, OutputError
from groklst_engine.report import Histogram, Panel, Report, Scatter, report_content, write_report

EXTENT = (360_000.0, 364_800.0, 5_515_200.0, 5_520_000.0)


def _panel(values: NDArray[np.float64], title: str = "Map", diverging: bool = False) -> Panel:
    return Panel(title, values.astype(np.float32), EXTENT, "K", diverging)


def _report(**changes: Any) -> Report:
    rng = np.random.default_rng(0)
    truth = 300 + 5 * rng.standard_normal((60, 60))
    output = truth + 0.5 * rng.standard_normal((60, 60))
    truth[:10, :10] = np.nan
    fields: dict[str, Any] = {
        "title": "Fine temperature of <Lethbridge> & around",
        "summary": "The error is 0.5 K.",
        "panels": (
            _panel(truth[::4, ::4], "Input: coarse"),
            _panel(output, "Output: fine"),
            _panel(output - truth, "Output minus bicubic", diverging=True),
        ),
        "scatter": Scatter("Reference", "Output $5", truth.ravel(), output.ravel(), "K"),
        "histogram": Histogram({"Input": truth.ravel(), "Output_^{": output.ravel()}, "K"),
        "scores": (
            {"label": "bicubic", "protocol": "reference", "rmse": 1.23456, "mae": 1.0, "bias": -0.25,
             "cc": float("nan"), "rsd": 0.01234, "n": 3500},
        ),
        "warnings": ("The guidance covers <half> of the scene.",),
        "parameters": {
            "kind": "downscale",
            "lst": {"path": Path("a b/lst.tif"), "scale": None},
            "guidance": [{"path": "s2.tif", "roles": ["red", None]}, {"path": "dem.tif", "roles": []}],
            "consistency": True,
        },
        "provenance": {"Weights SHA-256": "9f86d081", "GDAL": "3.9"},
    }  # fmt: skip
    return Report(**fields | changes)


class _Page(HTMLParser):
    """What a reader or a screen reader gets, and what a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    path, _ = write_report(_report(), tmp_path_factory.mktemp("report"))
    return path.read_text("utf-8")


def test_the_page_tells_everything(html: str) -> None:
    words = _Page(html).words
    for text in (
        "Fine temperature of <Lethbridge> & around",
        "The error is 0.5 K.",
        "The guidance covers <half> of the scene.",
        "Input: coarse",
        "Output: fine",
        "Output minus bicubic",
        *("bicubic", "reference", "1.235", "1.000", "−0.250", "–", "0.0123", "3\u202f500"),
        *("lst › path", "a b/lst.tif", "lst › scale", "not set", "guidance 1 › roles", "red, not set"),
        *("consistency", "yes"),
        *("Weights SHA-256", "9f86d081"),
    ):  # fmt: skip
        assert text in words, text


def test_warnings_come_before_the_maps_and_in_words(html: str) -> None:
    assert html.index("One warning") < html.index("&lt;half&gt;") < html.index('id="maps"')


def test_no_warnings_is_said_too(tmp_path: Path) -> None:
    path, _ = write_report(_report(warnings=()), tmp_path)
    assert "No warnings." in path.read_text("utf-8")


def test_what_was_tried_and_where_the_lst_lay_is_told(tmp_path: Path) -> None:
    trial = {"rmse": 1.5, "ratio": 0.75, "blocks": 0.9, "gain": 0.8, "added": 0.7, "detail": 0.37, "damped": 1.62}
    rows = ({"method": "tsharp", **trial, "seconds": 2.0, "chosen": True},
            {"method": "bicubic", **trial, "added": 0.0, "seconds": 0.1, "chosen": False})  # fmt: skip
    place = {"rows": 0.12, "columns": -0.34, "sigma": 0.56, "explained": 0.61, "unregistered": 0.4, "pixels": 1234,
             "nested": False}  # fmt: skip
    path, _ = write_report(_report(trials=rows, trial_note="Tried two.", registration=place), tmp_path)
    page = path.read_text("utf-8")
    assert page.count(">chosen<") == 1
    chosen = page[page.index(">tsharp") : page.index(">bicubic", page.index(">tsharp"))]
    assert "37 %" in chosen
    assert "1.620" in chosen
    assert "37 %" not in page[page.index("<h2", page.index(chosen)) :], "an interpolation has no detail to keep"
    for word in ("+0.12 coarse pixels", "−0.34 coarse pixels", "0.56 coarse pixels", "61 %", "1\u202f234"):
        assert word in page


def test_the_page_fetches_nothing(html: str) -> None:
    for tag, attributes in _Page(html).tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:image/png")), target
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_every_figure_has_words_for_those_who_cannot_see_it(html: str) -> None:
    tags = _Page(html).tags
    labels = [attributes["aria-label"] for _, attributes in tags if attributes.get("role") == "img"]
    assert len(labels) == sum(tag == "svg" for tag, _ in tags) == 5
    assert labels[0] is not None
    assert labels[0].startswith("Map: Input: coarse; 28")
    assert all(labels)


def test_ids_are_unique_even_where_titles_are_not(tmp_path: Path) -> None:
    path, _ = write_report(_report(panels=(_panel(np.eye(4)),) * 2), tmp_path)
    html = path.read_text("utf-8")
    ids = [attributes["id"] for _, attributes in _Page(html).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_figures_take_the_ink_of_the_page(html: str) -> None:
    assert "prefers-color-scheme: dark" in html
    assert "currentColor" in html
    assert "#010203" not in html


def test_json_has_the_same_content_and_no_pixels(tmp_path: Path) -> None:
    report = _report()
    _, path = write_report(report, tmp_path)
    content = json.loads(path.read_text("utf-8"))
    assert content == report_content(report)
    words = ["title", "summary", "warnings"]
    assert list(content) == [
        *words,
        "maps",
        "scores",
        "trials",
        "trial_note",
        "registration",
        "reliability",
        "parameters",
        "provenance",
    ]
    assert content["scores"][0] == {
        "label": "bicubic", "protocol": "reference", "rmse": 1.23456, "mae": 1.0, "bias": -0.25, "cc": None,
        "rsd": 0.01234, "n": 3500,
    }  # fmt: skip
    assert content["parameters"]["lst"] == {"path": "a b/lst.tif", "scale": None}
    output = report.panels[1].values
    assert content["maps"][1]["mean"] == pytest.approx(output.mean(), abs=1e-3)
    assert content["maps"][2]["valid"] == pytest.approx(1 - 100 / 3600)
    assert path.stat().st_size < 4000


def test_the_same_report_is_the_same_file(tmp_path: Path) -> None:
    first, second = (write_report(_report(), tmp_path / name)[0].read_bytes() for name in "ab")
    assert first == second


def test_gaps_infinities_and_constants_are_drawn(tmp_path: Path) -> None:
    nothing = np.full((8, 30), np.nan)
    holes = np.full((8, 30), 300.0)
    holes[0] = (np.inf, -np.inf, np.nan) * 10
    report = _report(
        panels=(_panel(nothing, "Nothing"), _panel(holes, "Holes"), _panel(nothing, "No difference", diverging=True)),
        scatter=Scatter("A", "B", np.array([np.nan, 1]), np.array([1, np.inf]), "K"),
        histogram=Histogram({"Flat": np.full(5, 300.0), "Empty": np.array([np.nan])}, "K"),
    )
    html, as_json = write_report(report, tmp_path)
    text = html.read_text("utf-8")
    assert text.count(">No data<") == 2
    assert "No pixels to compare" in text
    assert "300.0 to 300.0 K, mean 300.00 K, 87.5 % valid" in " ".join(text.split())
    maps = json.loads(as_json.read_text("utf-8"))["maps"]
    assert maps[0]["mean"] is None
    assert maps[0]["valid"] == 0
    assert maps[1]["maximum"] == 300


def test_a_report_of_words_only_works(tmp_path: Path) -> None:
    path, _ = write_report(Report("Title", "Summary."), tmp_path)
    text = path.read_text("utf-8")
    assert "<svg" not in text
    assert "<table" not in text


def test_input_and_output_share_the_colour_range_and_the_difference_is_centred() -> None:
    low, high = np.full((10, 10), 290.0), np.full((10, 10), 310.0)
    panels = (_panel(low), _panel(high), _panel(high - low + 500, diverging=True))
    assert figures.shared_limits(panels) == (290, 310)
    assert figures.difference_limits(_panel(np.array([[-4.0, 1.0]]), diverging=True)) == pytest.approx((-3.94, 3.94))


def test_the_thermal_ramp_is_perceptually_ordered() -> None:
    red, green, blue, _ = colormaps[figures.THERMAL_RAMP](np.linspace(0, 1, 64)).T
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    assert (np.diff(luminance) > 0).all()


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(GroklstError) as caught:
        write_report(_report(), tmp_path / "new")
    assert str(caught.value) == (
        "The report needs matplotlib and jinja2: install them with `pip install 'groklst[report]'`."
    )
    assert not (tmp_path / "new").exists()


def test_a_new_report_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    html, _ = write_report(_report(title="Old"), tmp_path)
    write_report(_report(title="New"), tmp_path)
    assert "<title>New</title>" in html.read_text("utf-8")

    def disk_full(path: Path, text: str, _encoding: str) -> int:
        path.write_bytes(text.encode()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", disk_full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(_report(title="Newest"), tmp_path)
    assert "<title>New</title>" in html.read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="choose another folder"):
        write_report(_report(), tmp_path / "file" / "report")


def test_pyplot_stays_out() -> None:
    code = "import sys, groklst_engine.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
