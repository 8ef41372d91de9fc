"""Peak memory of the networks: ``python -m groklst_engine.models.memory [NETWORK …]`` prints a Markdown table.

Each network runs once in a process of its own, in its published size: one image of 64 × 64 coarse pixels, scale 8 (or
its largest), ten guidance bands, float32, on the CPU.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import torch

from groklst_engine.models.zoo import create_model, get_spec, list_models

SIDE = 64
BANDS = 10


def peak(name: str) -> dict[str, float]:
    """Run a network in this process.

    Returns:
        ``scale`` and the process's ``gigabytes`` at their highest.
    """
    scale = max(scale for scale in (2, 4, 8) if scale in get_spec(name).scales)
    network = create_model(name, scale=scale, guidance_bands=BANDS).eval()
    lst, guidance = torch.randn(1, 1, SIDE, SIDE), torch.randn(1, BANDS, scale * SIDE, scale * SIDE)
    with torch.inference_mode():
        network(lst, guidance if get_spec(name).guided else None)
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "scale": scale,
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9,
    }


def main(names: list[str]) -> None:
    """Print a row for each network."""
    print("| network | scale | peak GB |\n|---|---|---|")
    for name in names or list_models():
        command = [sys.executable, "-c", f"from {__spec__.name} import *; print(json.dumps(peak({name!r})))"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        print(f"| `{name}` | x{found['scale']} | {found['gigabytes']:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
