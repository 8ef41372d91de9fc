"""What this engine is and can."""

from __future__ import annotations

import platform
import sys
from typing import Any

import numpy
import rasterio
import torch

from groklst_engine import __version__
from groklst_engine.inputs import DEFAULT_METHOD
from groklst_engine.methods import list_methods


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "groklst": __version__,
        "torch": torch.__version__,
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
        "numpy": numpy.__version__,
    }


def probe() -> dict[str, Any]:
    """Version, interpreter, devices and methods as a JSON object."""
    devices = [{"name": "cpu", "description": f"CPU, {torch.get_num_threads()} threads"}]
    if torch.cuda.is_available():
        devices += [
            {"name": "cuda", "description": torch.cuda.get_device_name(index)}
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "description": "Apple GPU"})
    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "versions": versions(),
        "devices": devices,
        "methods": [
            {
                "name": spec.name,
                "label": spec.label,
                "description": spec.description,
                "kind": spec.kind,
                "guided": spec.guided,
                "max_scale": spec.max_scale,
                "scales": None if spec.scales is None else list(spec.scales),
                "roles": list(spec.roles),
                "reference": spec.reference,
            }
            for spec in list_methods()
        ],
        "default_method": DEFAULT_METHOD,
    }
