from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import desktop
import pytest
import scene

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"


@pytest.fixture(scope="session")
def plugin() -> Path:
    """The assembled plugin, as QGIS installs it."""
    subprocess.run(["make", "--silent", "plugin"], cwd=ROOT, check=True)
    return ROOT / "build" / "groklst"


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of a coarse LST and of finer reflectance."""
    return scene.make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def play(plugin: Path, tmp_path: Path) -> Callable[..., None]:
    """Plays a scenario in QGIS Desktop; its screenshots are kept in ``build/screenshots``."""

    def play(name: str, **arguments: Any) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for earlier in SCREENSHOTS.glob(f"{name}-*.png"):
            earlier.unlink()
        try:
            desktop.play(name, tmp_path / "desktop", plugin, **arguments)
        finally:
            for picture in (tmp_path / "desktop").glob("*.png"):
                (SCREENSHOTS / f"{name}-{picture.name}").write_bytes(picture.read_bytes())

    return play
