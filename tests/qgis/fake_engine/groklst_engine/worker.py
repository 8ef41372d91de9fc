"""Runs the steps of a job, e.g. ``{"steps": [["say", {"type": "result"}]]}``, or answers as the engine would."""

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


def wait_for_cancel(*unfinished):
    sys.stdin.readline()
    for path in unfinished:
        Path(path).unlink()
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
    "environment": lambda: say({"type": "result", "environment": dict(os.environ), "folder": str(Path.cwd())}),
    "exit": sys.exit,
    "import": __import__,
    "write": write,
    "wait_for_cancel": wait_for_cancel,
    "be_stubborn": be_stubborn,
    "kill": lambda number: os.kill(os.getpid(), number),
    "die_with_child": die_with_child,
}

METHODS = [
    {"name": "bicubic", "label": "Bicubic", "description": "Smooth interpolation.", "guided": False,
     "max_scale": 12, "scales": None, "roles": []},
    {"name": "groklst-small", "label": "GrokLST small", "description": "A network.", "guided": True,
     "max_scale": 8, "scales": [2, 4, 8], "roles": ["red", "nir"]},
    {"name": "slow", "label": "Slow", "description": "Waits to be cancelled.", "guided": True,
     "max_scale": 64, "scales": None, "roles": []},
    {"name": "deadly", "label": "Deadly", "description": "Dies half-way.", "guided": True,
     "max_scale": 64, "scales": None, "roles": []},
]  # fmt: skip


def probe(job):
    return {
        "version": "0.0.1",
        "python": "3",
        "executable": sys.executable,
        "versions": {"torch": "2"},
        "devices": [{"name": "cpu", "description": "a processor"}],
        "methods": METHODS,
        "default_method": "groklst-small",
    }


def inspect(job):
    for source in [job["lst"], *job["guidance"]]:
        if not Path(source["path"]).is_file():
            refuse(f"The file {source['path']} does not exist.")
    layer = {"crs": "EPSG:32632", "pixel": [1000, 1000], "width": 10, "height": 8, "coverage": 0.875, "bands": []}
    scale = job["scale"]
    return {
        "unit": "K",
        "fine": {"crs": "EPSG:32632", "width": 10 * scale, "height": 8 * scale, "pixel": [1000 / scale] * 2},
        "layers": [
            {**layer, "kind": "lst", "path": job["lst"]["path"], "action": "Taken as it is"},
            *(
                {**layer, "kind": "guidance", "path": source["path"], "action": "Averaged from 100 m to 250 m"}
                for source in job["guidance"]
            ),
        ],
        "warnings": ["13 % of the temperature has no data."],
    }


def downscale(job):
    from osgeo import gdal

    output, scale = job["output"], job["scale"]
    write(f"{output}.part")
    say({"type": "progress", "fraction": 0.25, "message": "Downscaling tile 1 of 4"})
    if job["method"] == "slow":
        wait_for_cancel(f"{output}.part")
    if job["method"] == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    gdal.Translate(f"{output}.part", job["lst"]["path"], format="GTiff", widthPct=100 * scale, heightPct=100 * scale)
    Path(f"{output}.part").replace(output)
    report = None
    if job["report"]:
        Path(job["report"]).mkdir()
        report = str(Path(job["report"], "report.html"))
        Path(report).write_text("<h1>Report</h1>")
    score = {"label": "Bicubic <plain>", "protocol": "Wald", "rmse": 0.5, "mae": 0.4, "bias": 0.0, "cc": 0.9,
             "rsd": None, "n": 80}  # fmt: skip
    return {"output": output, "report_html": report, "report_json": None, "method": job["method"], "scale": scale,
            "unit": "K", "width": 40, "height": 32, "range": [290.0, 310.0], "scores": [score],
            "warnings": ["Few <pixels>."], "seconds": 1.5}  # fmt: skip


def refuse(sentence):
    say({"type": "error", "error": "InputError", "message": sentence})
    sys.exit(1)


say({"type": "log", "level": "info", "message": f"pid {os.getpid()}"})
document = json.loads(Path(sys.argv[1]).read_text("utf-8"))
for name, *arguments in document.get("steps", ()):
    STEPS[name](*arguments)
if "kind" in document:
    answer = {"probe": probe, "inspect": inspect, "downscale": downscale}[document["kind"]](document)
    say({"type": "result", "kind": document["kind"], **answer})
