from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from qgis.core import QgsSettings

from groklst_qgis import engine as engine_module
from groklst_qgis.engine import (
    PYTHON_SETTING,
    PYTHON_VARIABLE,
    Engine,
    EngineCancelled,
    EngineError,
    find_engine,
    run_job,
    stop_all,
)

RESULT = ["say", {"type": "result", "answer": 42}]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pid_of(messages: list[dict]) -> int:
    return next(int(m["message"].split()[1]) for m in messages if m.get("message", "").startswith("pid "))


def test_result_and_messages_arrive_in_order(fake_engine: Engine) -> None:
    progress = {"type": "progress", "fraction": 0.5, "message": "Half ä"}
    messages: list[dict] = []
    result = run_job({"steps": [["say", progress], ["print", "no JSON"], ["log", "to stderr"], RESULT]},
                     messages.append, engine=fake_engine)  # fmt: skip
    assert result["answer"] == 42
    assert [message for message in messages if message.get("level") != "debug"][1:] == [progress]
    assert {"type": "log", "level": "debug", "message": "no JSON"} in messages
    assert {"type": "log", "level": "debug", "message": "to stderr"} in messages
    assert not is_running(pid_of(messages))


def test_engine_gets_a_clean_environment(fake_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PROJ_LIB", "GDAL_DATA", "QT_PLUGIN_PATH", "LD_LIBRARY_PATH", "QGIS_PREFIX_PATH"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "kept")
    result = run_job({"steps": [["environment"]]}, engine=fake_engine)
    assert "/nowhere" not in result["environment"].values()
    assert result["environment"]["HTTPS_PROXY"] == "kept"
    assert result["environment"]["PYTHONPATH"] == str(fake_engine.source)
    assert not Path(result["folder"]).exists(), "the job's folder is removed"


def test_refusal_is_passed_on(fake_engine: Engine) -> None:
    refusal = {"type": "error", "error": "InputError", "message": "Layer a.tif has no CRS: set one."}
    with pytest.raises(EngineError, match=r"^Layer a\.tif has no CRS: set one\.$") as caught:
        run_job({"steps": [["log", "more"], ["say", refusal], ["exit", 1]]}, engine=fake_engine)
    assert "more" in caught.value.details


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (["kill", signal.SIGKILL], "probably out of memory"),
        (["exit", 137], "probably out of memory"),
        (["kill", signal.SIGTERM], "stopped by another program"),
        (["kill", signal.SIGSEGV], "crashed"),
        (["import", "no_such_package"], "lacks the package no_such_package"),
        (["exit", 5], r"ended unexpectedly \(code 5\)"),
        (["exit", 0], r"ended unexpectedly \(code 0\)"),
    ],
)
def test_silent_end_becomes_a_sentence(fake_engine: Engine, step: list, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        run_job({"steps": [step]}, engine=fake_engine)


def test_killed_engine_leaves_no_partial_output(fake_engine: Engine, tmp_path: Path) -> None:
    output, stranger = tmp_path / "out[1].tif", tmp_path / "other.tif.part"
    stranger.write_text("not ours")
    parts = tmp_path / ".out[1].tif.parts-x1"
    parts.mkdir()
    written = [f"{output}.part", f"{output}.part.msk", str(parts / "0.npy")]
    steps = [*(["write", name] for name in written), ["kill", signal.SIGKILL]]
    with pytest.raises(EngineError):
        run_job({"output": str(output), "steps": steps}, engine=fake_engine)
    assert list(tmp_path.iterdir()) == [stranger]


def test_end_of_the_process_counts_even_when_a_child_holds_the_pipes(fake_engine: Engine) -> None:
    start = time.monotonic()
    with pytest.raises(EngineError, match="out of memory"):
        run_job({"steps": [["die_with_child"]]}, engine=fake_engine)
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("behaviour", ["wait_for_cancel", "be_stubborn"])
def test_cancel_ends_polite_and_stubborn_engines(fake_engine: Engine, tmp_path: Path, behaviour: str) -> None:
    messages: list[dict] = []
    output = tmp_path / "out.tif"
    steps = [[behaviour]] if behaviour == "wait_for_cancel" else [["write", f"{output}.part"], [behaviour]]
    start = time.monotonic()
    with pytest.raises(EngineCancelled):
        run_job({"output": str(output), "steps": steps}, messages.append, lambda: bool(messages), fake_engine)
    assert time.monotonic() - start < (2 if behaviour == "wait_for_cancel" else 8)
    assert not is_running(pid_of(messages))
    assert list(tmp_path.iterdir()) == []


def test_stop_all_ends_jobs_of_other_threads(fake_engine: Engine) -> None:
    messages: list[dict] = []
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            run_job({"steps": [["wait_for_cancel"]]}, messages.append, engine=fake_engine)
        except EngineCancelled as cancelled:
            outcome.append(cancelled)

    thread = threading.Thread(target=work)
    thread.start()
    while not messages:
        time.sleep(0.01)
    stop_all()
    assert not is_running(pid_of(messages))
    thread.join(5)
    assert len(outcome) == 1
    assert engine_module.EngineProcess.running == set()


def test_no_process_survives_an_error_in_a_callback(fake_engine: Engine) -> None:
    seen: list[dict] = []

    def fail(message: dict) -> None:
        seen.append(message)
        raise LookupError

    with pytest.raises(LookupError):
        run_job({"steps": [["be_stubborn"]]}, fail, engine=fake_engine)
    assert not is_running(pid_of(seen))


def test_python_that_cannot_start(fake_engine: Engine, tmp_path: Path) -> None:
    no_program = tmp_path / "python"
    no_program.write_text("")
    with pytest.raises(EngineError, match=r"cannot be started .*Settings ▸ Options ▸ GrokLST"):
        run_job({"steps": [RESULT]}, engine=Engine(no_program, fake_engine.source))


class TestFindEngine:
    @pytest.fixture(autouse=True)
    def _nothing_chosen(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        QgsSettings().remove(PYTHON_SETTING)
        monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
        (tmp_path / "groklst_engine").mkdir()
        monkeypatch.setattr(engine_module, "engine_root", lambda: tmp_path)

    def test_settings_then_variable_then_venv_beside_the_source(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with pytest.raises(EngineError, match="Settings ▸ Options ▸ GrokLST"):
            find_engine()
        pythons = [tmp_path / name for name in (".venv/bin/python", "from_variable", "from_settings")]
        for python in pythons:
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text("")
        assert find_engine() == Engine(pythons[0], tmp_path)
        monkeypatch.setenv(PYTHON_VARIABLE, str(pythons[1]))
        assert find_engine().python == pythons[1]
        QgsSettings().setValue(PYTHON_SETTING, str(pythons[2]))
        assert find_engine().python == pythons[2]
        assert find_engine(sys.executable).python == Path(sys.executable)
        QgsSettings().remove(PYTHON_SETTING)

    def test_chosen_python_that_is_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(PYTHON_VARIABLE, "/no/such/python")
        with pytest.raises(EngineError, match=r"^The engine's Python /no/such/python does not exist: choose"):
            find_engine()

    def test_plugin_without_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine_module, "engine_root", lambda: None)
        with pytest.raises(EngineError, match="install the GrokLST plugin again"):
            find_engine()
