"""What a running job tells its caller, and how the caller stops it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from groklst_engine.errors import Cancelled

EventType = Literal["progress", "log", "metric"]


@dataclass(frozen=True)
class Event:
    """One message of a running job.

    Attributes:
        type: ``progress`` (fraction and message), ``log`` (message and level) or ``metric`` (message and values).
        message: One plain sentence.
        fraction: Done share of the whole job, 0 to 1; only for ``progress``.
        level: ``info`` or ``warning``; only for ``log``.
        values: Named numbers; only for ``metric``.
        preview: A picture of what they are of; only for ``metric``.
    """

    type: EventType
    message: str = ""
    fraction: float | None = None
    level: Literal["info", "warning"] | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    preview: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The event as a JSON object, without its empty fields."""
        return {key: value for key, value in asdict(self).items() if value not in (None, "", {})}


OnEvent = Callable[[Event], None]


def leads() -> bool:
    """Whether this process is the one that talks and writes, where torchrun has started several."""
    return os.environ.get("RANK", "0") == "0"


def ignore(event: Event) -> None:
    """An ``OnEvent`` for callers who do not listen."""


def progress(on_event: OnEvent, fraction: float, message: str) -> None:
    """Report the done share (0 to 1) of the whole job."""
    on_event(Event("progress", message, fraction=min(1.0, max(0.0, fraction))))


def log(on_event: OnEvent, message: str) -> None:
    """Report a fact worth a line in the log."""
    on_event(Event("log", message, level="info"))


def warn(on_event: OnEvent, message: str) -> None:
    """Report something the user should know before trusting the result."""
    on_event(Event("log", message, level="warning"))


def part(on_event: OnEvent, start: float, stop: float) -> OnEvent:
    """An ``OnEvent`` for a step that covers only ``start`` to ``stop`` of the whole job's progress."""

    def forward(event: Event) -> None:
        if event.fraction is None:
            on_event(event)
        else:
            progress(on_event, start + (stop - start) * event.fraction, event.message)

    return forward


class CancelToken:
    """A flag that any thread may raise and the job looks at after each tile and each training step."""

    def __init__(self) -> None:
        self._flag = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._flag.is_set()

    def check(self) -> None:
        """Stop here if somebody asked to.

        Raises:
            Cancelled: After ``cancel()``.
        """
        if self._flag.is_set():
            raise Cancelled
