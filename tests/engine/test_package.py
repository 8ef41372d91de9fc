"""The zip that people install: complete, small, and working away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import groklst_engine
from groklst_engine.inputs import DEFAULT_NETWORK

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's folder as QGIS unpacks it."""
    folder = tmp_path_factory.mktemp("plugins")
    subprocess.run(["make", "-s", "package"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(ROOT / "dist" / f"groklst-{groklst_engine.__version__}.zip") as archive:
        archive.extractall(folder)
    return folder / "groklst"


def test_it_holds_what_qgis_and_the_engine_need(installed: Path) -> None:
    needed = ("__init__.py", "metadata.txt", "LICENSE", "resources/icons/groklst.svg", "engine/pyproject.toml")
    assert [name for name in needed if not (installed / name).is_file()] == []
    assert [path for path in installed.rglob("*") if path.name in ("__pycache__", "tests", ".venv")] == []
    # QGIS imports engine.py; a package of that name would hide it
    assert not (installed / "engine" / "__init__.py").exists()


def test_its_engine_finds_its_weights(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed / "engine")}
    command = [sys.executable, "-m", "groklst_engine", "methods", "--json"]
    listed = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True).stdout
    methods = json.loads(listed)
    assert DEFAULT_NETWORK in {method["name"] for method in methods["methods"] if method["kind"] == "network"}
