"""`groklst bench`: figures that fit together, tables, cancelling; no figure is held against a clock."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
from processes import failing, holding, waiting

from groklst_engine.cli import main
from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, GroklstError
from groklst_engine.events import CancelToken, Event, ignore
from groklst_engine.inference.precision import BOUND
from groklst_engine.jobs import parse_job
from groklst_engine.performance import networks, series, training
from groklst_engine.performance.bench import bench
from groklst_engine.performance.cost import Cost, cost_of
from groklst_engine.performance.page import Column, Table
from groklst_engine.performance.process import apart
from groklst_engine.performance.runs import job_document
from groklst_engine.performance.scenes import Inputs, write_inputs
from groklst_engine.performance_jobs import BenchJob

FORMS = ("published", "float32", "bf16")


def job_of(folder: Path, what: str, **options: Any) -> BenchJob:
    """A small one."""
    given = {"scale": 2, "sides": [64], "sizes": [64], "rounds": 1, "device": "cpu", **options}
    job = parse_job({"kind": "bench", "what": [what], "output": str(folder / "speed"), **given})
    assert isinstance(job, BenchJob)
    return job


def forward(name: str, batch: int = 1, **more: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"scale": 8, "side": 64, "rounds": 1, "device": "cpu", "compile": False, **more}
    return networks.forward_pass(name=name, batch=batch, on_event=ignore, cancel=CancelToken(), **options)


def test_a_forward_pass() -> None:
    small, srcnn, twice = forward("groklst-small"), forward("srcnn"), forward("SRCNN", batch=2)
    assert (small["weights"], srcnn["weights"]) == ("real", "random")
    for row in (small, srcnn, twice):
        assert min(row[f"{form}_seconds"] for form in FORMS) > 0
        assert row["gain"] == pytest.approx(row["published_seconds"] / row["bf16_seconds"])
        assert row["megapixels"] > 0
        assert min(row["bf16_teraflops"], row["bf16_share"]) > 0
        assert row["peak_gigabytes"] > 0.1
    assert 0 < small["error"] <= BOUND
    assert (small["runs_in"], srcnn["runs_in"]) == ("bf16", "float32")  # whose spec says that bfloat16 costs too much
    assert small["gigaflop"] > srcnn["gigaflop"] > 0
    assert twice["gigaflop"] == pytest.approx(2 * srcnn["gigaflop"])


def test_a_compiled_forward_pass() -> None:
    assert forward("srcnn", compile=True)["compiled_seconds"] > 0


def test_training_steps() -> None:
    options: dict[str, Any] = {"rounds": 1, "device": "cpu", "on_event": ignore, "cancel": CancelToken()}
    guided = training.training_steps(name="groklst-small", scale=4, **options)
    single = training.training_steps(name="edsr", scale=8, **options)
    assert (guided["scale"], guided["image"]) == (4, "12 → 48, 4 at once")
    assert (single["scale"], single["image"]) == (8, "12 → 96, 2 at once")
    for row in (guided, single):
        assert min(row["float32_seconds"], row["bf16_seconds"], row["drawing"]) > 0
        assert row["gain"] == pytest.approx(row["float32_seconds"] / row["bf16_seconds"])
    assert 0 < guided["recompute_megabytes"] < 0.9 * guided["kept_megabytes"]


def test_a_network_that_cannot_be_measured_is_left_out(tmp_path: Path) -> None:
    events: list[Event] = []
    job = job_of(tmp_path, "training", networks=["mocolsk", "srcnn"], scale=3, sides=[72], sizes=[72])
    rows = bench(job, events.append, CancelToken())["tables"]["training"]
    assert [(row["network"], row["scale"]) for row in rows] == [("srcnn", 3)]
    said = [event.message for event in events if event.level == "warning"]
    assert said == ["'mocolsk' is left out: 'mocolsk' has no scale that divides 3: choose of 2, 4, 8."]


def test_random_weights_do_something() -> None:
    network = networks.random_network("mocolsk", 2)
    assert all(parameter.any() for parameter in network.parameters() if parameter.dim() > 1)


def test_a_pipeline(tmp_path: Path) -> None:
    fractions: list[float] = []

    def listen(event: Event) -> None:
        if event.fraction is not None:
            fractions.append(event.fraction)

    job = job_of(tmp_path, "pipeline", methods=["bicubic", "srcnn"], sizes=[128], tiles=[64], threads=[1])
    ours, gdal, network = bench(job, listen, CancelToken())["tables"]["pipeline"]
    assert (ours["method"], gdal["method"], network["method"]) == ("bicubic", "GDAL's warp, cubic", "srcnn")
    for row in (ours, network):
        assert (row["threads"], row["tiles"]) == (1, 4)
        assert row["with_halo"] > 1
        assert 0 < row["setup"] < row["seconds"]
        assert row["efficiency"] == pytest.approx(row["seconds"] / row["bare"])
        assert row["cpu_efficiency"] == pytest.approx(row["cpu"] / row["bare_cpu"])
        assert row["megapixels"] == pytest.approx(128**2 / 1e6 / row["seconds"])
    assert ours["to_gdal"] == pytest.approx(gdal["seconds"] / ours["seconds"])
    assert network["to_gdal"] is None
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert sorted(path.name for path in job.output.iterdir()) == ["pipeline.json", "pipeline.md"]


def test_the_command_writes_and_prints_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "bench",
        "--what",
        "memory",
        "--methods",
        "bicubic",
        "--scale",
        "2",
        "--sizes",
        "64,256",
        "--memory",
        "2",
    ]
    assert main([*command, "-o", str(tmp_path)]) == 0
    page, document = (tmp_path / "memory.md").read_text("utf-8"), json.loads((tmp_path / "memory.json").read_bytes())
    assert page in capsys.readouterr().out
    small, large = document["rows"]
    assert [row["coarse"] for row in (small, large)] == [32, 128]
    assert all(row["cap"] == 2 and 0.1 < row["peak_gigabytes"] < 2 for row in (small, large))
    assert (small["to_smallest"], large["to_smallest"]) == (1, large["peak_gigabytes"] / small["peak_gigabytes"])
    assert f"| bicubic | 128 | 256 | 2.0 | 1 | 256 | {large['peak_gigabytes']:.2f} |" in page
    assert document["versions"]["torch"] in page
    assert document["job"]["sizes"] == [64, 256]
    assert main([*command, "-o", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err


def test_cancelling_keeps_what_is_measured(tmp_path: Path) -> None:
    job, cancel = job_of(tmp_path, "memory", methods=["bicubic"], sizes=[64, 128]), CancelToken()

    def stop(event: Event) -> None:
        if event.type == "log":
            cancel.cancel()

    with pytest.raises(Cancelled, match="what was measured until then is in"):
        bench(job, stop, cancel)
    assert [row["size"] for row in json.loads((job.output / "memory.json").read_bytes())["rows"]] == [64]
    assert sorted(path.name for path in job.output.iterdir()) == ["memory.json", "memory.md"]


def test_a_series(cloudy: ScenePaths, tmp_path: Path) -> None:
    job, inputs = job_of(tmp_path, "series", scale=4), Inputs((cloudy.lst, cloudy.lst), (cloudy.guidance, cloudy.dem))
    singles, together = (
        [job_document(job, inputs, "groklst-small", tmp_path / f"{kind}{date}.tif", date) for date in range(2)]
        for kind in ("single", "together")
    )
    row = series.both_ways(singles=singles, together=together, times=1, on_event=ignore, cancel=CancelToken())
    assert row["difference"] == 0
    assert row["single"] > 0
    assert row["faster"] == pytest.approx(row["single"] / row["together"])
    assert len(list(tmp_path.glob("*.tif"))) == 4


@pytest.mark.slow
def test_workers(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    job = job_of(tmp_path, "workers", methods=["bicubic"], sizes=[128], workers=[2])
    alone, process, shared = bench(job, ignore, CancelToken())["tables"]["workers"]
    assert [row["who"] for row in (alone, process, shared)] == ["one thread", "one process", "2 workers"]
    assert (alone["speed_up"], alone["efficiency"], alone["start"]) == (1, 1, None)
    assert shared["start"] > 0
    assert 0 < shared["setup"] < shared["seconds"]
    assert shared["cores"] == min(2, os.cpu_count() or 1) * max(1, (os.cpu_count() or 1) // 2)
    assert shared["efficiency"] == pytest.approx(shared["speed_up"] / shared["cores"])
    assert {row["same"] for row in (alone, process, shared)} == {"yes"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--what", "speed"], "what"),
        (["--what", "networks", "--networks", "mocosk"], "did you mean 'mocolsk'"),
        (["--what", "training", "--networks", "mocosk"], "did you mean 'mocolsk'"),
        (["--methods", "bicubi"], "did you mean 'bicubic'"),
        (["--sizes", "1000"], "1000 pixels are no multiple of 8 times the scale: take 1024"),
        (["--scale", "1"], "scale"),
        (["--rounds", "0"], "rounds"),
    ],
)
def test_wrong_options_are_said_in_a_sentence(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *options, "-o", str(tmp_path / "speed")]) == 1
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "speed").exists()


def test_a_scene_is_mirrored(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path, 1152, 8, guided=True, dates=2, cancel=CancelToken())
    with rasterio.open(inputs.guidance[0]) as guidance, rasterio.open(inputs.guidance[1]) as dem:
        assert guidance.shape == dem.shape == (1152, 1152)
        assert guidance.descriptions[0] == "blue"
        values = guidance.read(4)
    np.testing.assert_array_equal(values[:, 512:1024], values[:, 511::-1])
    np.testing.assert_array_equal(values[:512], values[1023:511:-1])
    np.testing.assert_array_equal(values[1024:], values[:128])
    lsts = []
    for path in inputs.lsts:
        with rasterio.open(path) as lst:
            lsts.append(lst.read(1))
    assert lsts[0].shape == (144, 144)
    assert 0.1 < np.abs(lsts[0] - lsts[1]).mean() < 1


def test_cost_counts_what_is_done() -> None:
    cost, result = cost_of(lambda: sum(number * number for number in range(200_000)))
    assert result == sum(number * number for number in range(200_000))
    assert cost.seconds > 0
    assert cost.cpu > 0
    assert cost + Cost(1, 2) == Cost(cost.seconds + 1, cost.cpu + 2)


def test_columns_without_values_are_left_out() -> None:
    table = Table("T", "N", (Column("a", "A", 1), Column("b", "B"), Column("c", "C")))
    assert table.markdown([{"a": 1.24, "c": None}, {"a": None, "b": "x"}]) == (
        "| A | B |\n| --- | --- |\n| 1.2 | – |\n| – | x |"
    )


def test_memory_is_that_of_the_process_alone() -> None:
    ballast = np.ones(30_000_000)  # 240 MB of ours, which are not its
    events: list[Event] = []
    found = apart(holding, {"megabytes": 200}, events.append, CancelToken())
    assert found["pid"] != os.getpid()
    assert found["more"] == pytest.approx(200e6, rel=0.1)
    assert found["sum"] == 200 * 125_000
    assert [event.message for event in events] == ["holding"]
    assert ballast[0] == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [("sentence", "It is too hot"), ("bug", "failed unexpectedly .ValueError"), ("die", "ended with code 9")],
)
def test_an_error_there_is_an_error_here(error: str, said: str) -> None:
    with pytest.raises(GroklstError, match=said):
        apart(failing, {"error": error}, ignore, CancelToken())


def test_cancelling_ends_the_process(tmp_path: Path) -> None:
    cancel, note = CancelToken(), tmp_path / "pid"

    def stop() -> None:
        while not (note.exists() and note.read_text()):
            time.sleep(0.05)
        cancel.cancel()

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Cancelled):
        apart(waiting, {"note": str(note)}, ignore, cancel)
    assert not psutil.pid_exists(int(note.read_text()))
