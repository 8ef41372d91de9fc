"""``auto`` as it is listed; what it does is ``groklst_engine.auto``, which runs before a method is built."""

from __future__ import annotations

from groklst_engine.errors import ModelError
from groklst_engine.methods.base import BuildOptions, Downscaler, MethodSpec

AUTO = "auto"


def _build(options: BuildOptions) -> Downscaler:
    raise ModelError("'auto' chooses a method before one is built: give it to downscale().")


SPECS = (
    MethodSpec(
        AUTO,
        "Automatic",
        "Tries methods on your own rasters, one scale up, and takes the best; bicubic where nothing beats it.",
        "automatic",
        True,
        _build,
    ),
)
