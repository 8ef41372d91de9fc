from __future__ import annotations

import signal
from typing import Any

import pytest
from qgis.core import QgsApplication

from groklst_qgis.engine import Engine
from groklst_qgis.task import EngineTask


class Listener:
    """Remembers what a task says, and how it ended."""

    def __init__(self, task: EngineTask) -> None:
        self.messages: list[dict] = []
        self.ends: list[tuple] = []
        self.progress: list[float] = []
        task.messaged.connect(self.messages.append)
        task.progressChanged.connect(self.progress.append)
        task.succeeded.connect(lambda result: self.ends.append(("succeeded", result)))
        task.failed.connect(lambda sentence: self.ends.append(("failed", sentence)))
        task.stopped.connect(lambda sentence: self.ends.append(("stopped", sentence)))


def start(engine: Engine, *steps: list) -> tuple[EngineTask, Listener]:
    task = EngineTask("Test", {"steps": steps}, engine)
    listener = Listener(task)
    QgsApplication.taskManager().addTask(task)
    return task, listener


def test_success(fake_engine: Engine, qtbot: Any) -> None:
    progress = {"type": "progress", "fraction": 0.25, "message": "A quarter"}
    _, listener = start(fake_engine, ["say", progress], ["say", {"type": "result", "answer": 42}])
    qtbot.waitUntil(lambda: bool(listener.ends))
    assert listener.ends == [("succeeded", {"type": "result", "answer": 42})]
    assert progress in listener.messages
    assert 25 in listener.progress


def test_failure(fake_engine: Engine, qtbot: Any) -> None:
    _, listener = start(fake_engine, ["kill", signal.SIGKILL])
    qtbot.waitUntil(lambda: bool(listener.ends))
    assert listener.ends[0][0] == "failed"
    assert "out of memory" in listener.ends[0][1]


def test_cancel(fake_engine: Engine, qtbot: Any) -> None:
    task, listener = start(fake_engine, ["wait_for_cancel"])
    qtbot.waitUntil(lambda: bool(listener.messages))
    task.cancel()
    qtbot.waitUntil(lambda: bool(listener.ends))
    assert listener.ends == [("stopped", "Cancelled; nothing was written.")]


def test_cancel_before_the_start(fake_engine: Engine, qtbot: Any) -> None:
    task, listener = start(fake_engine, ["wait_for_cancel"])
    task.cancel()
    qtbot.waitUntil(lambda: bool(listener.ends))
    assert listener.ends == [("stopped", "Cancelled.")]


def test_no_room_for_the_job(fake_engine: Engine, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    _, listener = start(fake_engine)
    qtbot.waitUntil(lambda: bool(listener.ends))
    assert listener.ends[0][0] == "failed"
    assert "/no/such/folder" in listener.ends[0][1]
