"""Read, compute, write: three threads side by side, joined by queues that hold a few items only."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from torch import nn

from groklst_engine.events import CancelToken

DEPTH = 2
"""Items that may wait in a queue: enough to hide a slow moment, few enough to bound the memory."""

POLL = 0.1
"""Seconds after which a waiting thread looks whether it is still wanted."""

T = TypeVar("T")
U = TypeVar("U")


class _StoppedError(Exception):
    """Another thread failed; its exception is the one to tell."""


class _Queue(Generic[T]):
    """A bounded queue with an end, whose waiting sides let go as soon as another thread fails or the job is cancelled.

    Args:
        stop: Set when a thread failed.
        cancel: Of the job.
    """

    def __init__(self, stop: threading.Event, cancel: CancelToken) -> None:
        self._items: queue.Queue[tuple[T] | None] = queue.Queue(DEPTH)
        self._stop = stop
        self._cancel = cancel

    def put(self, item: T) -> None:
        self._put((item,))

    def end(self) -> None:
        self._put(None)

    def _put(self, item: tuple[T] | None) -> None:
        while True:
            self._check()
            try:
                return self._items.put(item, timeout=POLL)
            except queue.Full:
                continue

    def __iter__(self) -> Iterator[T]:
        while True:
            self._check()
            try:
                item = self._items.get(timeout=POLL)
            except queue.Empty:
                continue
            if item is None:
                return
            yield item[0]

    def _check(self) -> None:
        self._cancel.check()
        if self._stop.is_set():
            raise _StoppedError


def run_pipeline(read: Iterable[T], compute: Callable[[T], U], write: Callable[[U], None], cancel: CancelToken) -> None:
    """Read items in one thread, compute in the caller's, and write in a third, in order.

    Whatever any of them uses must be its own while this runs, raster files above all.

    Args:
        read: Iterated in the reading thread.
        compute: Called in the caller's thread, where PyTorch has its threads already.
        write: Called in the writing thread.
        cancel: Looked at before each item and within networks.

    Raises:
        Cancelled: ``cancel`` was raised.
        Exception: Whatever a thread raised first; no thread runs any more.
    """
    stop = threading.Event()
    inputs, outputs = _Queue[T](stop, cancel), _Queue[U](stop, cancel)
    failures: list[BaseException] = []

    def reading() -> None:
        for item in read:
            inputs.put(item)
        inputs.end()

    def writing() -> None:
        for item in outputs:
            write(item)

    def computing() -> None:
        with stoppable(cancel):
            for item in inputs:
                outputs.put(compute(item))
        outputs.end()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except _StoppedError:
            pass
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in (reading, writing)]
    for thread in threads:
        thread.start()
    guarded(computing)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def stoppable(cancel: CancelToken) -> Iterator[None]:
    """Make every network look at ``cancel`` before each of its layers: a tile may take minutes."""
    handle = nn.modules.module.register_module_forward_pre_hook(lambda *_: cancel.check())
    try:
        yield
    finally:
        handle.remove()
