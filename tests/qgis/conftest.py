from __future__ import annotations

import sys
from pathlib import Path

import pytest

from groklst_qgis.engine import Engine


@pytest.fixture
def fake_engine() -> Engine:
    """An engine that needs no packages: its jobs list the steps it takes."""
    return Engine(Path(sys.executable), Path(__file__).parent / "fake_engine")
