"""Adding a network as CONTRIBUTING says: its own file, and a few lines beside it."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

TOY = '''"""Toy: the guidance's mean, scaled by one learned number, over bicubic interpolation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from groklst_engine.layers.resample import up_bicubic
from groklst_engine.models.spec import ModelSpec


class Toy(nn.Module):
    def __init__(self, *, scale: int, guidance_bands: int = 10) -> None:
        super().__init__()
        self.scale = scale
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, lst: Tensor, guidance: Tensor | None = None) -> Tensor:
        fine = up_bicubic(lst, self.scale)
        detail = torch.zeros_like(fine) if guidance is None else guidance.mean(1, keepdim=True)
        return fine + self.gain * detail


SPEC = ModelSpec(
    name="toy",
    label="Toy",
    description="Shows how to add a network.",
    build=Toy,
    guided=True,
    scales=(2, 4),
    receptive_radius=lambda arguments: 2,
    paper=None,
)
'''


def test_a_toy_network_needs_few_lines_beside_its_own_file(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "groklst_engine", tmp_path / "groklst_engine", ignore=shutil.ignore_patterns("__pycache__"))
    models = tmp_path / "groklst_engine" / "models"
    before = (models / "zoo.py").read_text("utf-8")

    (models / "toy.py").write_text(TOY, "utf-8")
    after = before.replace("    swinir,\n)", "    swinir,\n    toy,\n)", 1)
    after = after.replace('    "swinir": swinir.SPEC,\n', '    "swinir": swinir.SPEC,\n    "toy": toy.SPEC,\n', 1)
    (models / "zoo.py").write_text(after, "utf-8")

    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    assert changed == ["+     toy,", '+     "toy": toy.SPEC,']

    tests = [str(ROOT / "tests/engine/models/test_zoo.py"), str(ROOT / "tests/engine/models/test_networks_train.py")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests, "-k", "toy"],
        cwd=tmp_path,  # Python looks there first
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
