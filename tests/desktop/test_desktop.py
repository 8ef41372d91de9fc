from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_options_page(play: Callable[..., None]) -> None:
    play("options", engine_python=str(ROOT / ".venv" / "bin" / "python"))
