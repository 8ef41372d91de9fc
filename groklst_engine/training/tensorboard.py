"""The curves of a training in TensorBoard, beside the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groklst_engine.errors import InputError
from groklst_engine.events import Event, OnEvent


@contextmanager
def with_tensorboard(folder: Path | None, on_event: OnEvent) -> Iterator[OnEvent]:
    """An ``OnEvent`` that also writes each metric to a folder for TensorBoard; without a folder, the one given.

    Raises:
        InputError: TensorBoard is not installed, or the folder cannot be written.
    """
    if folder is None:
        yield on_event
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "TensorBoard is not installed: run `pip install 'groklst[tensorboard]'`, or leave --tensorboard out."
        ) from error
    try:
        writer = SummaryWriter(str(folder))
    except OSError as error:
        raise InputError(f"The folder '{folder}' for TensorBoard cannot be written: choose another.") from error

    def listen(event: Event) -> None:
        on_event(event)
        for name, value in event.values.items():
            if name != "step":
                writer.add_scalar(name, value, int(event.values.get("step", 0)))

    try:
        yield listen
    finally:
        writer.close()
