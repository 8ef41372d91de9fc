"""The command ``groklst``: one sub-command per public function.

Exit codes: 0 done, 1 a sentence for the user, 2 wrong usage, 3 cancelled.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from groklst_engine import __version__
from groklst_engine.commands import console
from groklst_engine.commands.bench import add_bench_command
from groklst_engine.commands.downscale import add_downscale_command
from groklst_engine.commands.identify import add_identify_command
from groklst_engine.commands.manifest import read_scenes
from groklst_engine.commands.options import (
    add_consistency,
    add_fields,
    add_inputs,
    add_manifest,
    add_regions,
    add_settings,
    fields_from,
    job_from,
)
from groklst_engine.commands.prepare import add_prepare_command
from groklst_engine.commands.weights import add_weights_commands
from groklst_engine.errors import Cancelled, GroklstError
from groklst_engine.events import CancelToken, OnEvent, leads, log
from groklst_engine.inputs import SceneSource
from groklst_engine.jobs import EvaluateJob, InspectJob, ProbeJob, SimulateJob, parse_job
from groklst_engine.training_jobs import BenchmarkJob, StatisticsJob, TrainJob
from groklst_engine.worker import describe, run_job, to_text

DEMO_NOISE = 0.1  # kelvin: what a good thermal sensor adds

Command = Callable[[argparse.Namespace, OnEvent, CancelToken], dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return the exit code."""
    options = _parser().parse_args(arguments)
    progress = console.ProgressPrinter()
    with _cancelled_by_interrupt() as cancel:
        try:
            result = options.command(options, progress, cancel)
        except Exception as error:
            progress.close()
            if options.debug:
                traceback.print_exc()
            _, sentence = describe(error, details="run it again with --debug to see where")
            if leads() or not isinstance(error, Cancelled):
                print(f"groklst: {sentence}", file=sys.stderr)
            return error.exit_code if isinstance(error, GroklstError) else 1
    progress.close()
    if leads():
        print(to_text(result, indent=2) if options.json else options.show(result))
    return 0


@contextmanager
def _cancelled_by_interrupt() -> Iterator[CancelToken]:
    """A token that Ctrl-C cancels; a second Ctrl-C kills."""
    cancel = CancelToken()

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        cancel.cancel()

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, previous)


# The commands: options in, a JSON object out.


def _info(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(job_from(InspectJob, options), on_event, cancel)


def _simulate(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(job_from(SimulateJob, options), on_event, cancel)


def _evaluate(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.scenes:
        options.scenes = read_scenes(options.scenes, options.data_root, options.regions)
    elif options.lst:
        options.name = Path(options.lst["path"]).stem
        options.scenes = [fields_from(SceneSource, options)]
    return run_job(job_from(EvaluateJob, options), on_event, cancel)


def _benchmark(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.scenes:
        options.scenes = read_scenes(options.scenes, options.data_root, options.regions)
    return run_job(job_from(BenchmarkJob, options), on_event, cancel)


def _train(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.scenes:
        options.scenes = read_scenes(options.scenes, options.data_root)
    options.arguments = dict(options.arguments)
    return run_job(job_from(TrainJob, options), on_event, cancel)


def _statistics(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.scenes:
        options.scenes = read_scenes(options.scenes, options.data_root)
    return run_job(job_from(StatisticsJob, options), on_event, cancel)


def _methods(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    abilities = run_job(ProbeJob(), on_event, cancel)
    return {"default_method": abilities["default_method"], "methods": abilities["methods"]}


def _models(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    from groklst_engine.models.catalogue import entries

    return {"models": entries()}


def _demo(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    from groklst_engine.data.synthetic import synthetic_scene, write_scene

    folder, scale = options.output, options.scale
    log(on_event, f"Generating a scene in {folder}")
    size = max(1, 512 // (8 * scale)) * 8 * scale  # divides by the scale
    paths = write_scene(synthetic_scene(size=size, seed=options.seed), folder, scale, noise=DEMO_NOISE)
    job = {
        "kind": "downscale",
        "lst": {"path": paths.lst},
        "guidance": [{"path": paths.guidance}, {"path": paths.dem}],
        "scale": scale,
        "output": folder / "lst_fine.tif",
        "report": folder / "report",
        "reference": {"path": paths.truth},
        "overwrite": True,
    }
    result = run_job(parse_job(job), on_event, cancel)
    inputs = {"lst": paths.lst, "guidance": paths.guidance, "dem": paths.dem, "truth": paths.truth}
    return {"inputs": {name: str(path) for name, path in inputs.items()}, **result}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="groklst",
        description="Downscale land surface temperature (LST): a coarse raster and finer guidance in, a fine raster "
        "and a report out. Temperatures are kelvin or degrees Celsius, as the input has them; errors are kelvin.",
        epilog="'groklst COMMAND --help' shows the options and an example of each command.",
    )
    parser.add_argument("--version", action="version", version=f"groklst {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add_command(
        group: Any, name: str, run: Command, show: Callable[[dict[str, Any]], str], text: str, example: str
    ) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = group.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=run, show=show)
        added.add_argument("--json", action="store_true", help="Print the result as JSON, and nothing else, on stdout")
        added.add_argument("--debug", action="store_true", help="Show the traceback of an error")
        return added

    command = partial(add_command, commands)

    add_downscale_command(commands, add_command)

    info = command(
        "info",
        _info,
        console.show_info,
        "show what would be done to the inputs, without doing it",
        "groklst info --lst modis.tif --guidance s2.tif dem.tif --scale 4",
    )
    add_inputs(info)
    add_fields(info, InspectJob, "mask", "scale")

    simulate = command(
        "simulate",
        _simulate,
        console.show_simulate,
        "aggregate an LST, downscale it back and compare, before you trust a method with it",
        "groklst simulate --lst modis.tif --guidance mod09ga.tif --scale 2 --methods tsharp,groklst-small",
    )
    add_inputs(simulate)
    add_fields(simulate, SimulateJob, "mask", "scale", "methods", "device")

    evaluate = command(
        "evaluate",
        _evaluate,
        console.show_evaluate,
        "score methods on fine scenes by Wald's protocol: degraded, downscaled back, compared with themselves",
        "groklst evaluate --lst landsat.tif --guidance sr.tif --native 3 --scales 2,4,8 --methods bicubic,tsharp",
    )
    add_inputs(evaluate, add_manifest(evaluate))
    add_fields(evaluate, SceneSource, "mask", "native")
    add_regions(evaluate)
    add_fields(evaluate, EvaluateJob, "split", "scales", "methods", "candidates", "budget", "uncertainty")
    add_fields(evaluate, EvaluateJob, "cross_sensor", "folds", "report", "device")
    add_consistency(evaluate, EvaluateJob)

    add_prepare_command(commands, add_command)

    train = command(
        "train",
        _train,
        console.show_train,
        "train a network on fine scenes by Wald's protocol",
        "groklst train --scenes scenes.json --scales 2,4,8 --cross-validate alberta -o mine.safetensors",
    )
    add_manifest(train)
    add_fields(train, TrainJob, "model", "preset")
    add_settings(train)
    added = ("kind", "scenes", "dataset", "model", "preset", "arguments")
    add_fields(train, TrainJob, *(name for name in TrainJob.model_fields if name not in added))

    benchmark = command(
        "benchmark",
        _benchmark,
        console.show_benchmark,
        "train and score networks and methods on the same data, in one table",
        "groklst benchmark --dataset GrokLST --models mocolsk,suft,edsr --scales 2,4,8 -o comparison",
    )
    add_manifest(benchmark)
    add_regions(benchmark)
    own = (name for name in BenchmarkJob.model_fields if name not in ("kind", "scenes", "dataset"))
    add_fields(benchmark, BenchmarkJob, *own)

    statistics = command(
        "statistics",
        _statistics,
        console.show_statistics,
        "find mean, standard deviation and range of each band of a data set or of scenes",
        "groklst statistics --dataset GrokLST --split trainval",
    )
    add_manifest(statistics)
    add_fields(statistics, StatisticsJob, "split")

    command("methods", _methods, console.show_methods, "list the methods, trained networks included", "groklst methods")
    command("models", _models, console.show_models, "list the network architectures to train", "groklst models")

    add_bench_command(commands, add_command)
    add_identify_command(commands, add_command)
    add_weights_commands(commands, add_command)

    demo = command(
        "demo",
        _demo,
        console.show_demo,
        "downscale a generated scene whose true fine LST is known",
        "groklst demo --output demo --scale 4",
    )
    demo.add_argument("--output", "-o", type=Path, default=Path("demo"), metavar="DIR", help="Folder (default: demo)")
    demo.add_argument("--scale", type=int, default=4, metavar="N", help="Coarse divided by fine pixel (default: 4)")
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="Another seed, another scene (default: 0)")
    return parser
