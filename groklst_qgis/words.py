"""Numbers and messages of the engine in words."""

from __future__ import annotations

from typing import Any


def duration(seconds: float) -> str:
    """A time for people: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{max(seconds, 0.1):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def log_line(message: dict[str, Any]) -> str:
    """A ``log`` or ``metric`` message of the engine as a line of a log."""
    text = str(message.get("message", ""))
    if message.get("type") == "metric":
        numbers = {name: value for name, value in message.get("values", {}).items() if isinstance(value, (int, float))}
        return f"{text}: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items() if name != "step")
    return f"Warning: {text}" if message.get("level") == "warning" else text
