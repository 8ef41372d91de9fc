"""Figures in the texts are those of the shipped weights' card."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from groklst_engine.weights import read_card, shipped_weights

ROOT = Path(__file__).parents[2]


def test_the_stated_accuracy_is_the_cards() -> None:
    rows = [row for row in read_card(shipped_weights()["groklst-small"]).metrics if row["method"] != "bicubic"]
    ratios = {scale: [row["rmse_to_bicubic"] for row in rows if row["scale"] == scale] for scale in (2, 4, 8)}
    means = [f"{np.mean(values):.2f}" for values in ratios.values()]
    assert {len(values) for values in ratios.values()} == {6}
    assert " / ".join(means) in (ROOT / "README.md").read_text("utf-8")
    table_row = "| **`groklst-small`** | " + " | ".join(f"**{mean}**" for mean in means) + " |"
    assert table_row in (ROOT / "docs" / "accuracy.md").read_text("utf-8")
