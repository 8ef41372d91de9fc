"""GrokLST's engine: land surface temperature downscaling without a screen."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groklst_engine.benchmarking.benchmark import benchmark
    from groklst_engine.data.prepare import prepare
    from groklst_engine.evaluation import evaluate
    from groklst_engine.models.zoo import create_model, list_models
    from groklst_engine.predict import downscale
    from groklst_engine.training.train import train

__version__ = "0.1.0"
__all__ = ["__version__", "benchmark", "create_model", "downscale", "evaluate", "list_models", "prepare", "train"]

_HOME = {
    "benchmark": "groklst_engine.benchmarking.benchmark",
    "create_model": "groklst_engine.models.zoo",
    "downscale": "groklst_engine.predict",
    "evaluate": "groklst_engine.evaluation",
    "list_models": "groklst_engine.models.zoo",
    "prepare": "groklst_engine.data.prepare",
    "train": "groklst_engine.training.train",
}


def __getattr__(name: str) -> Any:
    """Import the public functions on first use: ``--help`` and the pre-flight must not wait for torch."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
