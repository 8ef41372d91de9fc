"""The summary of an archive job: a table of all scenes as a page, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groklst_engine.report import render
from groklst_engine.whole_file import write_whole

COLUMNS = {
    "scene": "scene",
    "status": "status",
    "method": "method",
    "low": "from",
    "high": "to",
    "unit": "unit",
    "consistency_rmse": "consistency RMSE (K)",
    "seconds": "seconds",
}
"""Fields of a row in the page, and their heads; warnings and messages stand below it."""


def write_archive_report(result: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Write all files.

    Args:
        result: Of an archive job, as a JSON object.
        folder: Made if it is not there; an earlier summary in it is replaced.

    Returns:
        The files by kind: ``html``, ``csv`` and ``json``.

    Raises:
        OSError: They cannot be written.
        GroklstError: jinja2 is missing.
    """
    rows = result["rows"]
    counts = {status: sum(row["status"] == status for row in rows) for status in ("done", "kept", "failed")}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    texts = {
        "html": render(
            "archive.html.j2",
            title=f"{len(rows)} scenes" if len(rows) != 1 else "1 scene",
            summary=f"{said}; {result['seconds']:.1f} s.",
            columns=COLUMNS,
            rows=rows,
        ),
        "csv": _csv(rows),
        "json": json.dumps({**result, "counts": counts}, indent=1, ensure_ascii=False) + "\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = {kind: folder / f"archive.{kind}" for kind in texts}
    for kind, text in texts.items():
        write_whole(files[kind], text)
    return files


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    file = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    file.writeheader()
    file.writerows({**row, "warnings": " ".join(row["warnings"])} for row in rows)
    return text.getvalue()
