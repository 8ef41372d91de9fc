"""What holds for the repository as a whole."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import groklst_engine
from groklst_engine.jobs import Job

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "groklst_engine": {"qgis", "PyQt5", "PyQt6", "PySide6", "groklst_qgis"},
    "groklst_qgis": {"torch", "rasterio", "safetensors", "pydantic", "groklst_engine"},
}
LONGEST = 400
FOLDERS = (".ci", "docs", "groklst_engine", "groklst_qgis", "resources", "tests", "weights")


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of all packages a module imports, wherever and however it does."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("import_module", "__import__", "find_spec"):
                names.add(str(node.args[0].value))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_the_packages_do_not_know_each_other(package: str) -> None:
    files = python_files(package)
    assert files
    guilty = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := imported(ast.parse(path.read_text("utf-8"))) & FORBIDDEN[package])
    }
    assert guilty == {}


def test_every_kind_of_import_is_seen() -> None:
    tree = ast.parse(
        "import torch.nn\ndef f():\n    from qgis.core import x\n    importlib.import_module('rasterio.io')"
    )
    assert imported(tree) == {"torch", "qgis", "rasterio"}


def test_long_files_say_why() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files("groklst_engine", "groklst_qgis", "tests")
        if len((text := path.read_text("utf-8")).splitlines()) > LONGEST
        and f"{LONGEST} lines" not in (ast.get_docstring(ast.parse(text)) or "")
    ]
    assert silent == [], f"Split them, or say in the docstring why they have more than {LONGEST} lines."


def test_plugin_and_engine_have_one_version() -> None:
    metadata = (ROOT / "metadata.txt").read_text("utf-8")
    match = re.search(r"^version=(.+)$", metadata, re.MULTILINE)
    assert match
    assert match[1] == groklst_engine.__version__


def test_nothing_names_a_developers_machine() -> None:
    machine = re.compile(rb"(?<![\w./])/(?:work|tmp|root|home)/\w|\.\./shared")
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.name != ".coverage"]
    generated = {".png", ".pyc"}
    guilty = [
        str(path.relative_to(ROOT))
        for path in files
        if path.suffix not in generated and path != Path(__file__) and machine.search(path.read_bytes())
    ]
    assert guilty == []


def test_the_job_boundary_starts_light() -> None:
    heavy = "{'torch', 'rasterio', 'numpy', 'scipy', 'matplotlib'}"
    program = f"import sys, groklst_engine.cli, groklst_engine.worker; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(set(groklst_engine.__all__) - {"__version__"}))
def test_public_functions_are_no_modules(name: str) -> None:
    """A module of the same name would hide the function as soon as anything imports it."""
    function = getattr(groklst_engine, name)
    assert callable(function)
    assert importlib.util.find_spec(f"groklst_engine.{name}") is None


def test_the_developer_guide_names_every_kind_of_job_and_only_modules_that_are_there() -> None:
    guide = (ROOT / "docs" / "developer-guide.md").read_text("utf-8")
    kinds = TypeAdapter(Job).json_schema()["discriminator"]["mapping"]
    assert {kind for kind in kinds if f"`{kind}`" not in guide} == set()
    modules = re.findall(r"`([a-z_*/]+\.py)`", guide)
    folders = (ROOT, ROOT / "groklst_engine", ROOT / "groklst_qgis")
    assert [module for module in modules if not any([*folder.glob(module)] for folder in folders)] == []
