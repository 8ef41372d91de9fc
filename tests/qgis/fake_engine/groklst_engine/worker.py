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
    {"name": "auto", "label": "Automatic", "description": "Tries some.", "guided": True,
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
            {
                **layer,
                "kind": "lst",
                "path": job["lst"]["path"],
                "action": "Taken as it is",
                "product": "MOD11A1" if "MOD11A1" in job["lst"]["path"] else None,
                "qc_kept": 0.834 if job["mask"] else None,
            },
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
        wait_for_cancel(*([] if job["resume"] else [f"{output}.part"]))
    if job["method"] == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    gdal.Translate(f"{output}.part", job["lst"]["path"], format="GTiff", widthPct=100 * scale, heightPct=100 * scale)
    Path(f"{output}.part").replace(output)
    error = None
    if job["uncertainty"]:
        error = str(Path(output).with_name(f"{Path(output).stem}_uncertainty.tif"))
        gdal.Translate(error, output, scaleParams=[[290, 310, 0, 2]])
    choice = None
    if job["method"] == "auto":
        trials = [{"method": "bicubic", "rmse": 2.0, "ratio": 1.0, "detail": 1.0, "damped": 2.0},
                  {"method": "dms", "rmse": 1.0, "ratio": 0.5, "detail": 0.8, "damped": 1.25}]  # fmt: skip
        method = "bicubic" if scale == 2 else "dms"
        choice = {
            "method": method,
            "trials": trials,
            "scale": scale,
            "pixels": 81,
            "reason": f"On your rasters {method} was best.",
        }
        job["method"] = method
    report = None
    if job["report"]:
        Path(job["report"]).mkdir()
        report = str(Path(job["report"], "report.html"))
        Path(report).write_text("<h1>Report</h1>")
    score = {"label": "Bicubic <plain>", "protocol": "Wald", "rmse": 0.5, "mae": 0.4, "bias": 0.0, "cc": 0.9,
             "rsd": None, "n": 80}  # fmt: skip
    registration = {"sentence": "Shift of 1 row."} if job["cross_sensor"] else None
    return {"output": output, "uncertainty": error, "choice": choice, "registration": registration,
            "report_html": report, "report_json": None, "method": job["method"], "scale": scale,
            "unit": "K", "width": 40, "height": 32, "range": [290.0, 310.0], "scores": [score],
            "warnings": ["Few <pixels>."], "seconds": 1.5}  # fmt: skip


def models(job):
    paper = {"authors": "A. Author", "title": "Kernels", "venue": "TGRS", "year": 2024, "doi": "10.1/2"}
    model = {"description": "A network.", "scales": [2, 4, 8], "several_scales": False, "presets": ["paper", "small"],
             "arguments": {}, "paper": paper, "costs": {"4": {"parameters": 2500000, "gmacs": 3.0}}}  # fmt: skip
    own = {"name": "guided-residual", "label": "Guided residual", "guided": True, "scales": list(range(2, 65)),
           "several_scales": True, "presets": [], "paper": None}  # fmt: skip
    return {
        "models": [
            {**model, "name": "edsr", "label": "EDSR", "guided": False},
            {**model, "name": "mocolsk", "label": "MoCoLSK", "guided": True},
            {**model, **own},
        ]
    }


def preview(job):
    if job.get("dataset") and not Path(job["dataset"], "manifest.json").is_file():
        refuse(f"The data set '{job['dataset']}' holds none.")
    names = [scene["name"] for scene in job["scenes"]] if job.get("scenes") else ["one", "two"]
    side = 32 if "small" in names else 200
    chip = {"region": "", "width": side, "height": side, "pixel": 30, "coverage": 0.4, "lst": "", "guidance": None}
    roles = ["nir", "red", "other"] if job.get("dataset") or all(scene["guidance"] for scene in job["scenes"]) else []
    return {"total": len(names), "roles": roles, "side": side, "chips": [{**chip, "name": name} for name in names],
            "warnings": [f"Only 40% of '{names[0]}' has LST and all guidance bands."]}  # fmt: skip


def step_time(job):
    return {"parameters": 2500000, "seconds": 0.25, "device": "cpu", "precision": "bf16"}


def prepare(job):
    Path(job["output"]).mkdir(parents=True)
    return {"output": job["output"], "chips": {"train": 6, "val": 0 if job["crop"] == 52 else 1, "test": 2}}


def train(job):
    """Learn by steps of ten; a training of 77 steps waits half-way to be cancelled."""
    output = Path(job["output"])
    log, checkpoint = output.with_suffix(".training.csv"), Path(f"{output}.checkpoint")
    if not job["resume"]:
        log.write_text("run,step,loss,rmse,rmse_to_bicubic\n")
    for step in (10, 20) if not job["resume"] else (30, 40):
        with log.open("a") as file:
            file.write(f"1,{step},{1 / step},,\n")
        say({"type": "metric", "message": f"Step {step}", "values": {"step": step, "loss": 1 / step}})
    say({"type": "progress", "fraction": 0.5, "message": "Training step 20 of 40"})
    if job["iterations"] == 77 and not job["resume"]:
        checkpoint.write_text("state")
        with log.open("a") as file:
            file.write("1,20,,0.8,0.6\n")
        sys.stdin.readline()
        say({"type": "error", "error": "Cancelled", "message": "Cancelled; what was learned is kept."})
        sys.exit(3)
    if job["iterations"] == 13:
        refuse("The training scenes hold too few crops.")
    checkpoint.unlink(missing_ok=True)
    values = {"step": 40, "rmse": 0.7, "mae": 0.5, "rmse_to_bicubic": 0.5}
    picture = str(output.with_suffix(".preview.png"))
    say({"type": "metric", "message": "Validation at step 40", "values": values, "preview": picture})
    output.write_text("weights")
    output.with_suffix(".md").write_text("# Card of mine\n")
    return {"output": str(output), "card": {}}


def benchmark(job):
    if job["scales"] == [3]:
        refuse("The test samples are too small.")
    folder = Path(job["output"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.html").write_text("<h1>Scores</h1>")
    scores = {"rmse": 1.4, "mae": 1.0, "bias": 0.0, "cc": 0.9, "rsd": 0.1}
    errors = {"bicubic": 1.4, job["methods"][-1]: 0.7}
    rows = [{"name": name, "label": name, "scale": scale, "scenes": 2,
             "scores": {**scores, "rmse": errors.get(name, 1.05)}}
            for scale in job["scales"] for name in job["methods"]]  # fmt: skip
    return {"files": {"html": str(folder / "table.html")}, "rows": rows}


def registry():
    return Path(os.environ["GROKLST_WEIGHTS"])


def list_weights(job):
    entry = {"shipped": True, "problem": None, "path": "shipped", "label": "A label", "architecture": "guided-residual",
             "scales": [2, 4]}  # fmt: skip
    own = [{**entry, "name": path.stem, "path": str(path), "shipped": False} for path in sorted(registry().glob("*"))]
    return {"folder": str(registry()), "weights": [{**entry, "name": "groklst-small"}, *own]}


def show_weights(job):
    name = job["name"]
    if "damaged" in name:
        refuse(f"The weights file '{name}' is missing or damaged: get it again.")
    mode = {"mode": "min-max", "bands": {}}
    card = {"label": "GrokLST small", "architecture": "guided-residual", "arguments": {"width": 48},
            "scales": [2, 3, 4, 8], "roles": ["blue", "red", "ndvi"], "normalization": "scene"}  # fmt: skip
    if name.endswith(".safetensors"):
        card |= {"label": "", "architecture": "edsr", "arguments": {}, "scales": [2], "roles": [],
                 "normalization": {"lst": {"mode": "z-score", "bands": {}}, "guidance": mode}}  # fmt: skip
    return {"name": name, "text": f"# Card of {name}", "card": card, "parts": ["stem.", "blocks.", "gain"]}


def add_weights(job):
    (registry() / f"{job['name']}.safetensors").write_bytes(Path(job["file"]).read_bytes())
    return {"name": job["name"]}


def rename_weights(job):
    if job["new_name"] == "groklst-small":
        refuse("'groklst-small' is the name of a method of GrokLST itself: give another name.")
    (registry() / f"{job['name']}.safetensors").rename(registry() / f"{job['new_name']}.safetensors")
    return {"name": job["new_name"]}


def export_weights(job):
    Path(job["file"]).write_text("exported")
    return {"output": job["file"]}


def delete_weights(job):
    (registry() / f"{job['name']}.safetensors").unlink()
    return {"deleted": job["name"]}


def import_weights(job):
    fits = job["scale"] == 4
    row = {"state": "matched", "name": "head.weight", "shape": [8, 1, 3, 3], "foreign": "a.w", "foreign_shape": [8, 1]}
    rows = [row, {**row, "state": "matched" if fits else "other shape", "name": "tail.weight"}]
    Path(job["report"]).write_text(json.dumps(rows))
    if not fits:
        refuse("1 of 2 tensors do not fit.")
    Path(job["output"]).write_text("weights")
    return {"output": job["output"], "arguments": job["arguments"]}


def refuse(sentence):
    say({"type": "error", "error": "InputError", "message": sentence})
    sys.exit(1)


JOBS = {
    "probe": probe,
    "inspect": inspect,
    "downscale": downscale,
    "models": models,
    "preview": preview,
    "step-time": step_time,
    "prepare": prepare,
    "train": train,
    "benchmark": benchmark,
    "weights-list": list_weights,
    "weights-show": show_weights,
    "weights-add": add_weights,
    "weights-rename": rename_weights,
    "weights-export": export_weights,
    "weights-delete": delete_weights,
    "weights-import": import_weights,
}

say({"type": "log", "level": "info", "message": f"pid {os.getpid()}"})
document = json.loads(Path(sys.argv[1]).read_text("utf-8"))
for name, *arguments in document.get("steps", ()):
    STEPS[name](*arguments)
if "kind" in document:
    answer = JOBS[document["kind"]](document)
    say({"type": "result", "kind": document["kind"], **answer})
