"""What a figure was measured with: processor, threads, versions."""

from __future__ import annotations

import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import torch

from groklst_engine.probe import versions


def facts() -> dict[str, str]:
    """What to know beside any figure, by a head for people."""
    threads = torch.get_num_threads()
    said = {
        "Measured": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Processor": f"{_processor()}, {os.cpu_count()} cores, {threads} {'thread' if threads == 1 else 'threads'}",
        "Fast in bfloat16": _bf16(),
        "Memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "Other work": f"{os.getloadavg()[0]:.1f} processes on average in the minute before"
        if hasattr(os, "getloadavg")
        else "not known",
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }
    return {**said, "Versions": ", ".join(f"{name} {version}" for name, version in versions().items())}


def command() -> str:
    """How this program was called."""
    return " ".join(["groklst", *sys.argv[1:]])


def document() -> dict[str, Any]:
    """The same for programs."""
    return {
        "facts": facts(),
        "command": command(),
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "amx": bool(torch.cpu._is_amx_tile_supported()),
        "avx512_bf16": bool(torch.cpu._is_avx512_bf16_supported()),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {**versions(), "python": platform.python_version()},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _bf16() -> str:
    amx, avx = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
    return f"AMX {'yes' if amx else 'no'}, AVX512-BF16 {'yes' if avx else 'no'}"
