"""The engine as the plugin sees it: a Python, a source folder, and a process that speaks JSON lines.

``run_job`` blocks until the job ends, so it belongs on a task's or an algorithm's thread, never on the main one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, TextIO

from qgis.core import QgsSettings

from .paths import engine_root

PYTHON_SETTING = "groklst/engine_python"
PYTHON_VARIABLE = "GROKLST_ENGINE_PYTHON"
CHOOSE_PYTHON = "choose the engine's Python in Settings ▸ Options ▸ GrokLST"

Message = dict[str, Any]

# What belongs to the Python, GDAL, PROJ and Qt of QGIS would break those of the engine.
_FOREIGN = ("PYTHON", "PIP_USER", "PIP_TARGET", "QGIS", "QT_", "GDAL", "PROJ", "OSGEO", "LD_LIBRARY_PATH", "DYLD_")
_PATIENCE = 2.0  # seconds between asking to stop, terminating and killing
_PATIENCE_TO_SAVE = 20.0  # a training finishes its step and saves what it has learned, a cluster its tiles
_SAVING = ("prepare", "train", "benchmark", "archive-list")  # kinds of jobs that can go on later
_POLL = 0.1  # seconds between two looks at the cancel button


class EngineError(Exception):
    """The engine cannot be started or could not do its job.

    The message is one sentence for the user.

    Attributes:
        details: What the engine wrote to its log, for people who want to know more.
    """

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence)
        self.details = details


class EngineCancelled(Exception):  # noqa: N818 - a user's wish, not a failure
    """The job was stopped because the user asked for it; the message says what is left of it."""


@dataclass(frozen=True)
class Engine:
    """An engine that can be started.

    Attributes:
        python: Interpreter that has PyTorch, rasterio and the other packages the engine needs.
        source: Folder that holds the package ``groklst_engine``.
    """

    python: Path
    source: Path

    def environment(self) -> dict[str, str]:
        """The variables of this process without those of QGIS, and with the plugin's own engine first."""
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
        return {**kept, "PYTHONPATH": str(self.source), "PYTHONUTF8": "1"}


def find_engine(python: str | Path | None = None) -> Engine:
    """The engine to use.

    Args:
        python: Interpreter to use; None takes the one of the user's settings. Where that is empty, too, the
            environment variable ``GROKLST_ENGINE_PYTHON`` and then a virtual environment ``.venv`` beside the
            engine's source are looked at.

    Raises:
        EngineError: There is no engine, or its Python is not where it should be.
    """
    source = engine_root()
    if source is None:
        raise EngineError("The plugin's folder holds no engine: install the GrokLST plugin again.")
    if python is None:
        python = QgsSettings().value(PYTHON_SETTING, "", type=str)
    chosen = python or os.environ.get(PYTHON_VARIABLE)
    if chosen:
        if not Path(chosen).is_file():
            raise EngineError(f"The engine's Python {chosen} does not exist: {CHOOSE_PYTHON}.")
        return Engine(Path(chosen), source)
    beside = source / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not beside.is_file():
        raise EngineError(f"GrokLST does not know yet where its engine is: {CHOOSE_PYTHON}.")
    return Engine(beside, source)


def run_job(
    job: Mapping[str, Any],
    on_message: Callable[[Message], None] = lambda message: None,
    cancelled: Callable[[], bool] = lambda: False,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Run a job in the engine and wait for its result.

    Args:
        job: Document of the job, as in ``groklst_engine/jobs.py``.
        on_message: Called on this thread with each ``progress``, ``log`` and ``metric`` message.
        cancelled: Looked at ten times a second; True stops the engine: first asked, then terminated, then killed.
        engine: Which one; None looks for it.

    Returns:
        The result message.

    Raises:
        EngineError: One sentence about why there is no result.
        EngineCancelled: ``cancelled`` said so, or QGIS is closing.
    """
    engine = engine or find_engine()
    result: dict[str, Any] | None = None
    refusal: Message | None = None
    # The folder is also where the engine starts: what lies in the current one could shadow its modules.
    with tempfile.TemporaryDirectory(prefix="groklst_") as folder:
        job_file = Path(folder, "job.json")
        job_file.write_text(json.dumps(job, ensure_ascii=False), "utf-8")
        patience = _PATIENCE_TO_SAVE if job.get("kind") in _SAVING else _PATIENCE
        with EngineProcess(engine, job_file, patience) as process:
            for message in process.messages(cancelled):
                if message.get("type") == "result":
                    result = message
                elif message.get("type") == "error":
                    refusal = message
                else:
                    on_message(message)
    if result is not None:
        return result
    if refusal is None and job.get("output") and not job.get("resume"):  # it had no chance to clean up
        remove_leftovers(job["output"])
    if process.stopped or process.exit_code == 3:
        told = refusal if refusal and refusal.get("error") == "Cancelled" else {"message": "Cancelled."}
        raise EngineCancelled(str(told["message"]))
    if refusal is not None:
        raise EngineError(str(refusal.get("message", "")), process.log)
    raise EngineError(explain_exit(process.exit_code, process.log, engine), process.log)


def stop_all() -> None:
    """Stop every engine, and return when they are gone: QGIS is closing, or the plugin is unloaded."""
    for process in list(EngineProcess.running):
        process.stop()


def can_go_on(output: str) -> bool:
    """Whether an interrupted run has left an unfinished output, and a note of what is done of it."""
    return Path(f"{output}.part").is_file() and Path(f"{output}.part.done").is_file()


def remove_leftovers(output: str) -> None:
    """Remove the unfinished output of an engine that could not clean up itself, or shall not go on."""
    for leftover in Path(output).parent.glob(f"{escape(Path(output).name)}.part*"):
        with contextlib.suppress(OSError):
            leftover.unlink()
    for leftover in Path(output).parent.glob(f".{escape(Path(output).name)}.parts-*"):  # of workers
        shutil.rmtree(leftover, ignore_errors=True)


def explain_exit(code: int, log: str, engine: Engine) -> str:
    """One sentence for an engine that ended without saying why."""
    last_line = log.strip().rpartition("\n")[2]
    if code in (-9, 137):
        return (
            "The engine was stopped by the system, probably out of memory: "
            "close other programs or choose a simpler method."
        )
    if code in (-15, 143):
        return "The engine was stopped by another program: run the job again."
    if "No module named" in last_line:
        package = last_line.rpartition("No module named")[2].strip(" '\"")
        return f"The Python {engine.python} lacks the package {package}: {CHOOSE_PYTHON}."
    if code < 0 or code >= 0xC0000000:  # a signal, or a Windows exception
        return f"The engine crashed (code {code}): run the job again, and see the log if it happens again."
    return f"The engine ended unexpectedly (code {code}); the log ends with: {last_line or 'nothing'}."


class EngineProcess:
    """The engine at work on one job; leaving the ``with`` block leaves no process behind.

    Args:
        engine: Which one.
        job_file: The job.
        patience: Seconds between asking to stop, terminating and killing.

    Attributes:
        running: All that are at work now.
        stopped: Whether this side stopped it.
    """

    running: set[EngineProcess] = set()  # noqa: RUF012 - shared on purpose

    def __init__(self, engine: Engine, job_file: Path, patience: float = _PATIENCE) -> None:
        self._patience = patience
        command = [str(engine.python), "-m", "groklst_engine.worker", str(job_file)]
        on_windows = sys.platform == "win32"
        try:
            self._process = subprocess.Popen(
                command,
                cwd=job_file.parent,
                env=engine.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=not on_windows,  # a group of its own, to be killed with all its children
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            reason = error.strerror or error
            raise EngineError(f"{engine.python} cannot be started ({reason}): {CHOOSE_PYTHON}.") from error
        self.stopped = False
        self._lines: queue.Queue[Message] = queue.Queue()
        self._log: deque[str] = deque(maxlen=200)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = (
            threading.Thread(target=self._read_messages, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True),
        )
        for reader in self._readers:
            reader.start()
        EngineProcess.running.add(self)

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self._kill()
        for reader in self._readers:
            reader.join(_PATIENCE)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        EngineProcess.running.discard(self)

    @property
    def exit_code(self) -> int:
        """As the system gave it; negative for a signal."""
        return self._process.wait()

    @property
    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return "\n".join(self._log)

    def messages(self, cancelled: Callable[[], bool]) -> Iterator[Message]:
        """Everything it says until it ends, stopping it when ``cancelled``."""
        steps = iter((self._ask_to_stop, self._process.terminate, self._kill))
        next_step = 0.0
        while True:
            ended = self._process.poll() is not None
            if not ended and (self.stopped or cancelled()) and time.monotonic() >= next_step:
                next(steps, self._kill)()
                next_step = time.monotonic() + self._patience
            for reader in self._readers if ended else ():
                reader.join(_PATIENCE)  # until both have passed on everything
            try:
                yield self._lines.get(timeout=0 if ended else _POLL)
            except queue.Empty:
                if ended:
                    return

    def stop(self) -> None:
        """Stop it, politely first, and wait until it is gone; from any thread."""
        for step in (self._ask_to_stop, self._process.terminate, self._kill):
            step()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._patience)
                return

    def _ask_to_stop(self) -> None:
        self.stopped = True
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended, or another thread asked already
            self._process.stdin.write("cancel\n")
            self._process.stdin.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            if sys.platform == "win32":
                self._process.kill()
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _read_messages(self, stream: TextIO) -> None:
        for line in stream:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            self._lines.put(message if isinstance(message, dict) else _log_message(line))
        stream.close()

    def _read_log(self, stream: TextIO) -> None:
        for line in stream:
            self._log.append(line.rstrip("\n"))
            self._lines.put(_log_message(line))
        stream.close()


def _log_message(line: str) -> Message:
    return {"type": "log", "level": "debug", "message": line.rstrip("\n")}
