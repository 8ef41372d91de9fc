"""Measuring in a process of its own, so that nothing of an earlier measurement is still there."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeVar

from groklst_engine.errors import Cancelled, GroklstError
from groklst_engine.events import CancelToken, Event, OnEvent, part, progress, warn
from groklst_engine.worker import describe

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

POLL = 0.2
"""Seconds after which it is looked whether the measurement is still wanted."""

PATIENCE = 10.0
"""Seconds that a process may take to tidy up."""

Row = Mapping[str, Any]
"""What a measurement found, for JSON."""

T = TypeVar("T")


def in_turn(cases: Sequence[T], on_event: OnEvent) -> Iterator[tuple[T, OnEvent]]:
    """Cases one after the other, each with its share of the progress."""
    for number, case in enumerate(cases):
        share = part(on_event, number / len(cases), (number + 1) / len(cases))
        progress(share, 0.0, f"Measuring {', '.join(map(str, case)) if isinstance(case, tuple) else case}")
        yield case, share


def rounds(count: int, on_event: OnEvent) -> Iterator[OnEvent]:
    """The shares of rounds in which the same is measured again."""
    for _, share in in_turn([f"round {number + 1} of {count}" for number in range(count)], on_event):
        yield share


def apart(function: Callable[..., Row], arguments: Mapping[str, Any], on_event: OnEvent, cancel: CancelToken) -> Row:
    """Call a function in a fresh process.

    Args:
        function: Of a module; gets ``on_event`` and ``cancel`` beside the arguments.
        arguments: Of it, by name.
        on_event: Told about progress.
        cancel: Stops the process.

    Returns:
        What the function returned.

    Raises:
        GroklstError: The function failed, or its process died.
        Cancelled: ``cancel`` was raised; the process is gone.
    """
    context = _context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        while True:
            cancel.check()
            if not ours.poll(POLL):
                continue
            try:
                message = ours.recv()
            except EOFError as error:
                process.join()
                raise GroklstError(
                    f"A measurement's process ended with code {process.exitcode}, probably for lack of memory: measure "
                    "something smaller."
                ) from error
            if isinstance(message, Event):
                on_event(message) if message.fraction is not None else None
            elif isinstance(message, GroklstError):
                raise message
            else:
                result: Row = message
                return result
    finally:
        ours.close()  # for the process: nobody waits any more
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()


def apart_or_left_out(
    name: str, function: Callable[..., Row], arguments: Mapping[str, Any], on_event: OnEvent, cancel: CancelToken
) -> Iterator[Row]:
    """As ``apart``, but a failure, such as an image too small for a network's windows, leaves ``name`` out.

    Raises:
        Cancelled: ``cancel`` was raised; the process is gone.
    """
    try:
        yield apart(function, arguments, on_event, cancel)
    except Cancelled:
        raise
    except GroklstError as error:
        warn(on_event, f"'{name}' is left out: {error}")


def _context() -> ForkServerContext | SpawnContext:
    """How processes start: on Linux from one that has loaded the libraries already, and nothing else."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["groklst_engine.performance.bench"])
    return context


def _serve(caller: Connection, function: Callable[..., Row], arguments: Mapping[str, Any]) -> None:
    """In the fresh process."""
    cancel = CancelToken()

    def watch() -> None:
        try:
            caller.recv()  # nothing ever comes, but the end
        except (EOFError, OSError):
            cancel.cancel()

    def tell(message: Any) -> None:
        try:
            caller.send(message)
        except OSError:
            cancel.cancel()

    threading.Thread(target=watch, daemon=True).start()
    try:
        tell(function(**arguments, on_event=tell, cancel=cancel))
    except GroklstError as error:
        tell(error)
    except Exception as error:
        traceback.print_exc()
        tell(GroklstError(describe(error)[1]))
