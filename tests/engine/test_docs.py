"""Figures in the texts are those of the shipped weights' card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groklst_engine.weights import read_card, shipped_weights

ROOT = Path(__file__).parents[2]
SCALES = (2, 4, 8)
THREE_REGIONS = ("lethbridge", "flathead", "pennsylvania")


def rows(name: str) -> list[dict[str, Any]]:
    return [row for row in read_card(shipped_weights()[name]).metrics if row["method"] != "bicubic"]


def means(name: str, of: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Per scale the mean over regions of the mean over their scenes."""
    found = []
    for scale in SCALES:
        regions: dict[str, list[float]] = {}
        for row in rows(name):
            if row["scale"] == scale and of(row):
                regions.setdefault(row["region"], []).append(row["rmse_to_bicubic"])
        found.append(f"{np.mean([np.mean(ratios) for ratios in regions.values()]):.2f}")
    return found


def everywhere(row: dict[str, Any]) -> bool:
    return True


def in_three_regions(row: dict[str, Any]) -> bool:
    return row["region"] in THREE_REGIONS


def test_the_readme_states_the_cards_accuracy() -> None:
    said = " ".join((ROOT / "README.md").read_text("utf-8").split())
    small = rows("groklst-small")
    assert (
        f"`groklst-small` has {' / '.join(means('groklst-small', everywhere))} times the error (RMSE) of bicubic"
        in said
    )
    assert f"{' / '.join(means('groklst-small', in_three_regions))} on six Landsat scenes of three regions" in said
    assert f"averaged over {len({row['region'] for row in small})} regions" in said
    assert f"({len({row['scene'] for row in small})} scenes:" in said
    assert f"`groklst-large`, has {' / '.join(means('groklst-large', everywhere))}" in said


@pytest.mark.parametrize("name", ["groklst-small", "groklst-large"])
def test_the_accuracy_page_states_the_cards(name: str) -> None:
    said = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
    assert f"| **`{name}`** | {' | '.join(f'**{mean}**' for mean in means(name, in_three_regions))} |" in said
    assert f"| `{name}`, 17 regions | {' | '.join(means(name, everywhere))} |" in said


@pytest.mark.parametrize("name", ["groklst-small", "groklst-large"])
def test_where_it_is_worse_than_bicubic_is_said(name: str) -> None:
    worse = {row["region"] for row in rows(name) if row["rmse_to_bicubic"] > 1.02 and row["region"] != "france"}
    assert worse == {"losangeles"}
    assert "Los Angeles" in (ROOT / "README.md").read_text("utf-8")
