"""Runs the steps of a job, e.g. ``{"steps": [["say", {"type": "result"}]]}``."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def say(message):
    print(json.dumps(message), flush=True)


def write(path):
    Path(path).write_text("unfinished")


def wait_for_cancel():
    sys.stdin.readline()
    say({"type": "error", "error": "Cancelled", "message": "Cancelled; nothing was written."})
    sys.exit(3)


def be_stubborn():
    """Hear nothing: neither the word cancel nor a termination."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say({"type": "log", "level": "info", "message": "deaf"})
    time.sleep(60)


def die_with_child():
    """Leave a child behind that keeps the pipes open."""
    if os.fork() == 0:
        time.sleep(20)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


STEPS = {
    "say": say,
    "print": lambda text: print(text, flush=True),
    "log": lambda text: print(text, file=sys.stderr, flush=True),
    "environment": lambda: say({"type": "result", "environment": dict(os.environ), "folder": os.getcwd()}),
    "exit": sys.exit,
    "import": __import__,
    "write": write,
    "wait_for_cancel": wait_for_cancel,
    "be_stubborn": be_stubborn,
    "kill": lambda number: os.kill(os.getpid(), number),
    "die_with_child": die_with_child,
}

say({"type": "log", "level": "info", "message": f"pid {os.getpid()}"})
for name, *arguments in json.loads(Path(sys.argv[1]).read_text("utf-8"))["steps"]:
    STEPS[name](*arguments)
