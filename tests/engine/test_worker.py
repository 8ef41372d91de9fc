"""The worker as its callers meet it: a real process, spoken to through its pipes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from groklst_engine.data.synthetic import ScenePaths, synthetic_scene, write_scene
from groklst_engine.worker import describe, to_text

# What a library could do to standard output, then the real worker.
NOISY = """
import os, sys
import groklst_engine.probe as module, groklst_engine.worker as worker
probe = module.probe
def noisy():
    print("a print"); os.write(1, b"a write\\n"); os.system("echo a child")
    return probe()
module.probe = noisy
sys.exit(worker.main(sys.argv[1:]))
"""
FAILING = """
import sys
import groklst_engine.probe as module, groklst_engine.worker as worker
def fail():
    raise {error}
module.probe = fail
sys.exit(worker.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    return write_scene(synthetic_scene(size=128), tmp_path_factory.mktemp("scene"), 4)


def start(folder: Path, job: Any, program: str | None = None) -> subprocess.Popen[str]:
    file = folder / "job.json"
    file.write_text(job if isinstance(job, str) else json.dumps(job), "utf-8")
    entry = ["-c", program] if program else ["-m", "groklst_engine.worker"]
    return subprocess.Popen(
        [sys.executable, *entry, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, messages, log. Standard input stays open until the worker ends: its end means cancel."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    with process.stdin, process.stdout, process.stderr:
        messages = [json.loads(line) for line in process.stdout]
        return process.wait(30), messages, process.stderr.read()


def downscale_job(scene: ScenePaths, folder: Path, **changes: Any) -> dict[str, Any]:
    job = {
        "kind": "downscale",
        "lst": {"path": str(scene.lst)},
        "guidance": [{"path": str(scene.guidance)}],
        "scale": 4,
        "method": "bicubic",
        "output": str(folder / "out" / "fine.tif"),
    }
    return job | changes


def slow_job(folder: Path) -> dict[str, Any]:
    """A job of many tiles, so that there is time to stop it."""
    scene = write_scene(synthetic_scene(size=1024), folder, 2)
    return downscale_job(scene, folder, scale=8, tile=32)


def left_behind(folder: Path) -> list[Path]:
    return list((folder / "out").glob("*"))


def test_result_is_the_last_line(scene: ScenePaths, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    code, messages, _ = finish(start(tmp_path, downscale_job(scene, tmp_path)))
    assert code == 0
    assert (messages[-1]["type"], messages[-1]["kind"]) == ("result", "downscale")
    assert Path(messages[-1]["output"]).is_file()
    fractions = [message["fraction"] for message in messages if message["type"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions
    assert 0 <= fractions[0] <= fractions[-1] <= 1


def test_probe_and_inspect(scene: ScenePaths, tmp_path: Path) -> None:
    code, messages, _ = finish(start(tmp_path, {"kind": "probe"}))
    assert code == 0
    assert messages[-1]["default_method"] in {method["name"] for method in messages[-1]["methods"]}
    job = downscale_job(scene, tmp_path)
    code, messages, _ = finish(
        start(tmp_path, {"kind": "inspect"} | {key: job[key] for key in ("lst", "guidance", "scale")})
    )
    assert code == 0
    assert [layer["kind"] for layer in messages[-1]["layers"]] == ["lst", "guidance"]


def test_what_libraries_print_goes_to_the_log(tmp_path: Path) -> None:
    code, messages, log = finish(start(tmp_path, {"kind": "probe"}, NOISY))
    assert code == 0
    assert [message["type"] for message in messages] == ["result"]
    assert {"a print", "a write", "a child"} <= set(log.splitlines())


@pytest.mark.parametrize(
    ("job", "word"),
    [
        ("not JSON", "JSON"),
        ([1], "dictionary"),
        ({"kind": "unheard-of"}, "unheard-of"),
        ({"kind": "inspect", "lst": {"path": "a.tif"}, "scale": 2.5}, "whole number"),
        ({"kind": "inspect", "lst": {"path": "missing.tif"}, "scale": 2}, "missing.tif"),
    ],
)
def test_an_error_is_one_sentence(job: Any, word: str, tmp_path: Path) -> None:
    code, messages, log = finish(start(tmp_path, job))
    assert code == 1
    assert [(message["type"], message["error"]) for message in messages] == [("error", "InputError")]
    assert word in messages[0]["message"]
    assert messages[0]["message"].endswith(".")
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("error", "name", "word"),
    [
        ("ZeroDivisionError('secret')", "InternalError", "log"),
        ("MemoryError()", "OutOfMemory", "memory"),
        ('RuntimeError("DefaultCPUAllocator: can\'t allocate memory")', "OutOfMemory", "memory"),
    ],
)
def test_an_unexpected_error_leaves_its_traceback_in_the_log(error: str, name: str, word: str, tmp_path: Path) -> None:
    code, messages, log = finish(start(tmp_path, {"kind": "probe"}, FAILING.format(error=error)))
    assert code == 1
    assert messages[-1]["error"] == name
    assert word in messages[-1]["message"]
    assert "Traceback" in log


def test_wrong_usage() -> None:
    run = subprocess.run([sys.executable, "-m", "groklst_engine.worker"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert "usage" in run.stderr


@pytest.mark.parametrize("how", ["line", "closed pipe"])
def test_cancel(how: str, tmp_path: Path) -> None:
    job = slow_job(tmp_path)
    (tmp_path / "out").mkdir()
    process = start(tmp_path, job)
    assert process.stdin
    assert process.stdout
    first = json.loads(process.stdout.readline())
    if how == "line":
        process.stdin.write("cancel\n")
        process.stdin.flush()
    else:
        process.stdin.close()
    asked = time.monotonic()
    rest = [json.loads(line) for line in process.stdout]
    assert process.wait(30) == 3
    assert time.monotonic() - asked < 5
    assert first["type"] != "result"
    assert (rest[-1]["type"], rest[-1]["error"]) == ("error", "Cancelled")
    assert left_behind(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows terminates without asking")
def test_a_terminated_job_cleans_up(tmp_path: Path) -> None:
    job = slow_job(tmp_path)
    (tmp_path / "out").mkdir()
    process = start(tmp_path, job)
    assert process.stdout
    while json.loads(process.stdout.readline()).get("fraction", 0) < 0.01:
        pass
    process.send_signal(signal.SIGTERM)
    code, messages, _ = finish(process)
    assert code == 128 + signal.SIGTERM
    assert messages == [] or messages[-1]["type"] != "result"
    assert left_behind(tmp_path) == []


def test_numbers_that_are_not_finite_become_null() -> None:
    text = to_text({"scores": [{"cc": float("nan"), "n": 3}], "range": (float("inf"), 1.0)})
    assert json.loads(text) == {"scores": [{"cc": None, "n": 3}], "range": [None, 1.0]}


def test_torch_out_of_memory_is_recognised() -> None:
    torch = pytest.importorskip("torch")
    assert describe(torch.OutOfMemoryError("CUDA out of memory"))[0] == "OutOfMemory"
