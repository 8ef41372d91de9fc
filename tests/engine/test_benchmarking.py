"""The benchmark fills the published table for a generated data set in the layout of GrokLST."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import cropped, groklst_scene, write_groklst

from groklst_engine.benchmarking.benchmark import BenchmarkResult, benchmark
from groklst_engine.benchmarking.table import METRICS, published
from groklst_engine.cli import main
from groklst_engine.data.dataset import FineScene
from groklst_engine.data.groklst import BANDS
from groklst_engine.data.synthetic import ScenePaths, SyntheticScene
from groklst_engine.errors import Cancelled, InputError, ModelError, OutputError
from groklst_engine.evaluation import evaluate
from groklst_engine.events import CancelToken, Event
from groklst_engine.jobs import EvaluateJob
from groklst_engine.models.zoo import create_model, get_spec
from groklst_engine.training_jobs import BenchmarkJob
from groklst_engine.weights import read_card

NETWORKS = ("srcnn", "edsr", "fdsr", "djfr", "svlrm", "mocolsk")
SINGLE_IMAGE = ("srcnn", "edsr")  # these can do x3, too
SPLITS = {"train": ["a"], "val": ["b"], "trainval": ["a", "b"], "test": ["b", "c"]}


@pytest.fixture(scope="module")
def samples(landscape: SyntheticScene) -> list[FineScene]:
    return [groklst_scene(landscape, name, top, 48, 48) for name, top in (("a", 0), ("b", 64), ("c", 128))]


@pytest.fixture(scope="module")
def dataset(samples: list[FineScene], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini") / "GrokLST"
    write_groklst(folder, samples, SPLITS)
    return folder


def job_for(dataset: Path, output: Path, **options: Any) -> BenchmarkJob:
    short = {"preset": "small", "iterations": 2, "batch": 2, "crop": 32, "device": "cpu"}
    wish = {"models": ("srcnn", "fdsr"), "methods": ("bicubic",), "scales": (2,)} | short | options
    return BenchmarkJob(dataset=dataset, output=output, **wish)


def trainings(events: list[Event]) -> list[str]:
    """What was trained, by the log."""
    return [event.message.removeprefix("Training ") for event in events if re.match(r"Training .* x\d", event.message)]


@pytest.fixture(scope="module")
def full(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[BenchmarkJob, BenchmarkResult, list[Event]]:
    """Six networks and two methods at two scales."""
    events: list[Event] = []
    output = tmp_path_factory.mktemp("benchmark") / "six"
    job = job_for(dataset, output, models=NETWORKS, methods=("bilinear", "bicubic"), scales=(2, 3))
    return job, benchmark(job, events.append), events


def rows_of(result: BenchmarkResult) -> dict[tuple[str, int], dict[str, Any]]:
    with result.files["csv"].open(newline="", encoding="utf-8") as file:
        return {(row["name"], int(row["scale"])): row for row in csv.DictReader(file) if row["main"] == "True"}


def test_every_network_is_trained_and_scored(full: Any) -> None:
    job, result, events = full
    expected = {(name, 2) for name in (*NETWORKS, "bicubic", "bilinear")}
    expected |= {(name, 3) for name in (*SINGLE_IMAGE, "bicubic", "bilinear")}
    rows = rows_of(result)
    assert set(rows) == expected
    assert len(trainings(events)) == 8
    document = json.loads(result.files["json"].read_text("utf-8"))
    for (name, scale), row in rows.items():
        scenes = [one for one in document["scenes"] if (one["method"], one["scale"]) == (name, scale)]
        assert [one["scene"] for one in scenes] == ["b", "c"]
        for metric in METRICS:
            assert float(row[metric]) == pytest.approx(np.mean([one[metric] for one in scenes]))
        assert float(row["cpu_seconds_per_mpx"]) > 0
    card = read_card(job.output / "weights" / "fdsr_x2_z-score_z-score.safetensors")
    assert card.roles == tuple(BANDS.values())
    assert card.training["scenes"] == ["a", "b"]
    options = card.training["options"]
    assert (options["loss"], options["schedule"], options["weight_decay"]) == ("l1", "cosine-restarts", 1e-5)
    assert (options["augment"], options["band_dropping"], options["average"]) == ([], 0, False)
    network = create_model("fdsr", scale=2, guidance_bands=10, preset="small")
    assert int(rows["fdsr", 2]["parameters"]) == sum(parameter.numel() for parameter in network.parameters())
    assert rows["bicubic", 2]["parameters"] == ""
    fractions = [event.fraction for event in events if event.fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_scores_are_those_of_evaluate(full: Any) -> None:
    job, result, _ = full
    weights = job.output / "weights" / "mocolsk_x2_z-score_z-score.safetensors"
    rows = result.table.main
    for consistency in (True, False):
        wish = EvaluateJob(
            dataset=job.dataset, scales=(2,), methods=(str(weights),), consistency=consistency, device="cpu"
        )
        mean = evaluate(wish).mean(str(weights), 2)
        row = rows["mocolsk", 2]
        assert mean["rmse"] == pytest.approx(row.rmse_corrected if consistency else row.rmse_uncorrected)
        if consistency:
            assert row.scores == pytest.approx({name: mean[name] for name in row.scores}, abs=1e-9)
    assert rows["bicubic", 2].rmse_corrected is None


def markdown_table(result: BenchmarkResult, title: str) -> dict[str, list[str]]:
    """Label and cells of each line of a section."""
    section = result.files["markdown"].read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_table_marks_the_best_and_the_second_best(full: Any) -> None:
    """Read from the page as people see it: bold is the best figure of its column, underlined the second."""
    table = markdown_table(full[1], "Scores")
    heads = table.pop("method")
    assert heads == [f"x{scale} {metric.upper()}" for scale in (2, 3) for metric in METRICS]
    marked = 0
    for column, head in enumerate(heads):
        cells = [cells[column] for cells in table.values() if cells[column] != "–"]
        ours = [re.match(r"(\*\*|<u>)?(−?[\d.]+)", cell) for cell in cells]
        assert all(ours)
        values = np.array([float(match[2].replace("−", "-")) for match in ours if match])
        costs = -values if "CC" in head else np.abs(values)
        ranks = [1 + int((costs < cost).sum()) for cost in costs]
        marks = [{"**": 1, "<u>": 2}.get(match[1], 0) for match in ours if match]
        assert marks == [rank if rank <= 2 else 0 for rank in ranks]
        marked += marks.count(1)
    assert marked >= len(heads)
    html = full[1].files["html"].read_text("utf-8")
    scores = html.split(">Scores</h2>")[1].split("</section>")[0]
    text = "".join(cell for cells in table.values() for cell in cells)
    assert scores.count("<strong>") == text.count("**") / 2 == marked
    assert scores.count("<u>") == text.count("<u>")
    assert not re.search(r'(src|href)="(?!data:)', html), "the page needs nothing else"
    assert full[1].files["figure"].read_bytes().startswith(b"\x89PNG")


def test_published_figures_stand_beside_ours(full: Any) -> None:
    table = markdown_table(full[1], "Scores")
    assert table["EDSR"][0].endswith("(0.4010)")
    assert table["MoCoLSK-Net"][0].endswith("(0.2902?)"), "an illegible digit is flagged"
    assert table["MoCoLSK-Net"][3].endswith("(0.9937)")
    assert "(" not in table["SRCNN"][0]
    assert table["FDSR"][5:] == ["–"] * 5, "FDSR has no x3"
    assert "* FDSR x3: the network has no such scale." in full[1].files["markdown"].read_text("utf-8")
    row = rows_of(full[1])["bicubic", 2]
    assert [row[f"published_{metric}"] for metric in METRICS] == ["0.4818", "0.3204", "0.0000", "0.9859", "0.0278"]
    assert "<small>0.2902?</small>" in full[1].files["html"].read_text("utf-8")


def test_the_published_figures_are_complete() -> None:
    methods = published()["methods"]
    assert len(methods) == 27
    assert set(methods) - {"bilinear", "bicubic"} == {get_spec(name).name for name in methods if "bi" not in name[:2]}
    cells = [cell for method in methods.values() for scale in "248" for cell in method.get(scale, ())]
    assert len(cells) == (27 * 3 - 3) * 5, "CTNet has no x8, CODON and RSAG no x2"
    assert all(re.fullmatch(r"-?\d\.\d{3,4}\??", cell) for cell in cells)
    assert sum("?" in cell for cell in cells) == 4


def test_ranks(full: Any) -> None:
    rows = rows_of(full[1])
    for name, row in {name: row for (name, scale), row in rows.items() if scale == 2}.items():
        ranks = []
        for (other, scale), mine in rows.items():
            if other == name:
                for metric in METRICS:
                    costs = [
                        round(-float(rival[metric]) if metric == "cc" else abs(round(float(rival[metric]), 4)), 4)
                        for (_, at), rival in rows.items()
                        if at == scale
                    ]
                    own = round(-float(mine[metric]) if metric == "cc" else abs(round(float(mine[metric]), 4)), 4)
                    assert int(mine[f"rank_{metric}"]) == 1 + sum(cost < own for cost in costs)
                    ranks.append(int(mine[f"rank_{metric}"]))
        assert float(row["mean_rank"]) == pytest.approx(np.mean(ranks))


def test_what_is_done_is_not_done_again(full: Any) -> None:
    job, result, _ = full
    events: list[Event] = []
    again = benchmark(job, events.append)
    assert trainings(events) == []
    assert not [event for event in events if event.message.startswith("Scoring")]
    assert again.to_json() == result.to_json()
    (job.output / "results" / "edsr_x3_z-score_z-score.json").unlink()
    events.clear()
    repeated = benchmark(job, events.append)
    assert trainings(events) == ["EDSR x3"]
    assert repeated.table.main["edsr", 3].scores == result.table.main["edsr", 3].scores


def test_an_interrupted_benchmark_goes_on(full: Any, dataset: Path, tmp_path: Path) -> None:
    _, whole, _ = full
    cancel, events = CancelToken(), []

    def listen(event: Event) -> None:
        events.append(event)
        if event.message == "Training FDSR x2":
            cancel.cancel()

    job = job_for(dataset, tmp_path / "out")
    with pytest.raises(Cancelled, match="run the benchmark again"):
        benchmark(job, listen, cancel)
    assert trainings(events) == ["SRCNN x2", "FDSR x2"]
    assert not (job.output / "table.html").exists()
    events.clear()
    resumed = benchmark(job, events.append)
    assert trainings(events) == ["FDSR x2"]
    for name in ("srcnn", "fdsr"):
        assert resumed.table.main[name, 2].scores == whole.table.main[name, 2].scores


def test_results_of_other_options_are_not_mixed_in(dataset: Path, tmp_path: Path) -> None:
    job = job_for(dataset, tmp_path / "out", models=("srcnn",))
    first = benchmark(job).table.main["srcnn", 2].scores
    longer = job.model_copy(update={"iterations": 3})
    with pytest.raises(OutputError, match="another 'iterations'"):
        benchmark(longer)
    events: list[Event] = []
    second = benchmark(longer.model_copy(update={"overwrite": True}), events.append).table.main["srcnn", 2].scores
    assert trainings(events) == ["SRCNN x2"]
    assert second != first
    events.clear()
    uncorrected = longer.model_copy(update={"overwrite": True, "consistency": False})
    row = benchmark(uncorrected, events.append).table.main["srcnn", 2]
    assert trainings(events) == [], "other scores need no other training"
    assert row.scores["rmse"] == row.rmse_uncorrected != row.rmse_corrected


def test_both_versions_of_the_files_give_the_same(full: Any, samples: list[FineScene], tmp_path: Path) -> None:
    write_groklst(tmp_path / "GrokLST", samples, SPLITS, "7.3")
    result = benchmark(job_for(tmp_path / "GrokLST", tmp_path / "out"))
    for name in ("bicubic", "srcnn", "fdsr"):
        assert result.table.main[name, 2].scores == full[1].table.main[name, 2].scores


def test_the_study_of_normalisations(dataset: Path, tmp_path: Path) -> None:
    result = benchmark(job_for(dataset, tmp_path / "out", normalization_study=True, iterations=1))
    table = markdown_table(result, "Normalisation study, x2")
    modes = ("none", "z-score", "min-max")
    assert table.pop("network") == [f"LST {lst} guidance {guidance}" for lst in modes for guidance in modes]
    rows = {(row.unit.name, row.unit.normalize): row.scores["rmse"] for row in result.table.rows}
    fdsr = [rows["fdsr", (lst, guidance)] for lst in modes for guidance in modes]
    assert [float(cell.strip("*</u>")) for cell in table["FDSR"]] == pytest.approx(fdsr, abs=6e-5)
    assert len(set(fdsr)) == 9
    assert table["FDSR"][int(np.argmin(fdsr))].startswith("**")
    assert [cell != "–" for cell in table["SRCNN"]] == [False, True, False] * 3, "it has no guidance"
    assert {row.unit.normalize for row in result.table.main.values()} == {None, ("z-score", "z-score")}


@pytest.fixture(scope="module")
def manifest(landscape: SyntheticScene, clear: ScenePaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valley, and a yard too small for a network at x8."""
    folder = tmp_path_factory.mktemp("scenes")
    scenes = [("valley", clear), ("yard", cropped(landscape, 24, folder, 4))]
    file = folder / "scenes.json"
    document = [
        {"name": name, "region": name, "lst": {"path": str(paths.truth)}, "guidance": [{"path": str(paths.guidance)}]}
        for name, paths in scenes
    ]
    file.write_text(json.dumps(document), "utf-8")
    return file


def test_methods_on_scenes(manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    command = ["benchmark", "--scenes", str(manifest), "--protocol", "wald", "--scales", "4,8", "--device", "cpu"]
    command += ["--methods", "bicubic-ibp,groklst-small", "-o", str(output)]
    assert main([*command, "--json"]) == 0
    rows = {(row["name"], row["scale"]): row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert set(rows) == {(name, scale) for name in ("bicubic", "bicubic-ibp", "groklst-small") for scale in (4, 8)}
    small = rows["groklst-small", 8]
    assert small["scenes"] == 1
    assert small["ranks"] == {}, "a mean over other scenes can't be ranked"
    ratios = [one["rmse_to_bicubic"] for one in json.loads((output / "benchmark.json").read_text())["scenes"]]
    assert len(ratios) == 11
    text = (output / "table.md").read_text("utf-8")
    assert "* yard x8 GrokLST small: Fewer than 16 coarse pixels" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| Bicubic with back-projection |")][:1]
    assert line.split("|")[2].strip(" *<u>/") == f"{rows['bicubic-ibp', 4]['scores']['rmse_to_bicubic']:.3f}"
    (line,) = [line for line in text.splitlines() if line.startswith("| yard x8 |")]
    assert line.split("|")[2].strip(" *<u>/") == "1.000"
    assert line.split("|")[4].strip() == "–"
    assert "published" not in text
    assert main([*command, "--regions", "valley", "--overwrite"]) == 0
    shown = capsys.readouterr().out
    assert "CPU s per Mpx" in shown.splitlines()[0]
    assert f"markdown: {output / 'table.md'}" in shown
    assert re.search(r"GrokLST small +x8 +\d", shown)


def test_a_job_that_cannot_be_done(manifest: Path, dataset: Path, tmp_path: Path) -> None:
    command = ["benchmark", "--scenes", str(manifest), "--models", "edsr", "-o", str(tmp_path / "out")]
    assert main(command) == 1
    with pytest.raises(ModelError, match="did you mean 'edsr'"):
        benchmark(job_for(dataset, tmp_path / "out", models=("edssr",)))
    with pytest.raises(ModelError, match="Unknown method 'bicubc'"):
        benchmark(job_for(dataset, tmp_path / "out", methods=("bicubc",)))
    with pytest.raises(InputError, match="lacks"):
        benchmark(job_for(tmp_path, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []
