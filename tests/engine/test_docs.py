"""Figures in the texts are those of the shipped weights' card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from groklst_engine.weights import read_card, shipped_weights

ROOT = Path(__file__).parents[2]
SCALES = (2, 4, 8)
THREE_REGIONS = ("lethbridge", "flathead", "pennsylvania")


def rows() -> list[dict[str, Any]]:
    return [row for row in read_card(shipped_weights()["groklst-small"]).metrics if row["method"] != "bicubic"]


def means(of: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Per scale the mean over regions of the mean over their scenes."""
    found = []
    for scale in SCALES:
        regions: dict[str, list[float]] = {}
        for row in rows():
            if row["scale"] == scale and of(row):
                regions.setdefault(row["region"], []).append(row["rmse_to_bicubic"])
        found.append(f"{np.mean([np.mean(ratios) for ratios in regions.values()]):.2f}")
    return found


def test_the_stated_accuracy_is_the_cards() -> None:
    said = (ROOT / "README.md").read_text("utf-8")
    everywhere, three = means(lambda row: True), means(lambda row: row["region"] in THREE_REGIONS)
    assert f"has {' / '.join(everywhere)} times the error (RMSE) of bicubic" in said
    assert f"{' / '.join(three)} on six Landsat scenes of three regions" in said
    assert f"averaged over {len({row['region'] for row in rows()})} regions" in " ".join(said.split())
    assert f"({len({row['scene'] for row in rows()})} scenes:" in said
    table_row = "| **`groklst-small`** | " + " | ".join(f"**{mean}**" for mean in three) + " |"
    assert table_row in (ROOT / "docs" / "accuracy.md").read_text("utf-8")


def test_where_it_is_worse_than_bicubic_is_said() -> None:
    worse = {row["region"] for row in rows() if row["rmse_to_bicubic"] > 1.02 and row["region"] != "france"}
    assert worse == {"losangeles"}
    assert "Los Angeles" in (ROOT / "README.md").read_text("utf-8")
