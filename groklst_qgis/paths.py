"""Where the plugin finds its own files, installed from a zip or run from a checkout."""

from __future__ import annotations

from pathlib import Path

PLUGIN_DIR = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """A file of ``resources/``, which lies inside the installed plugin or beside it in a checkout."""
    inside = PLUGIN_DIR / "resources"
    return (inside if inside.is_dir() else PLUGIN_DIR.parent / "resources") / name


def engine_root() -> Path | None:
    """The folder that holds the package ``groklst_engine``: ``engine/`` in the plugin, or an ancestor in a checkout."""
    candidates = (PLUGIN_DIR / "engine", *PLUGIN_DIR.parents)
    return next((folder for folder in candidates if (folder / "groklst_engine" / "__init__.py").is_file()), None)
