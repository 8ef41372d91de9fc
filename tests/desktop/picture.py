"""Makes docs/images/dock.png of the demo scene: make demo plugin; .venv-qgis/bin/python tests/desktop/picture.py."""

from __future__ import annotations

import tempfile
from pathlib import Path

import desktop

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Play the scenario and keep its screenshot."""
    demo = ROOT / "demo"
    layers = {"lst": "lst_coarse.tif", "guidance": "guidance.tif", "dem": "dem.tif"}
    paths = {name: str(demo / file) for name, file in layers.items()}
    with tempfile.TemporaryDirectory() as folder:
        desktop.play("picture", Path(folder), ROOT / "build" / "groklst", size="1600x900", seconds=300, **paths)
        (ROOT / "docs" / "images" / "dock.png").write_bytes(Path(folder, "dock.png").read_bytes())


if __name__ == "__main__":
    main()
