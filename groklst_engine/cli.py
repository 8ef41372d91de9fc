"""The command ``groklst``: one sub-command per public function.

Options carry the names, help and defaults of the jobs' fields and are validated there, so that the command line,
scripts and the plugin get the same sentences.

Exit codes: 0 done, 1 a sentence for the user, 2 wrong usage, 3 cancelled.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from groklst_engine import __version__, console
from groklst_engine.errors import GroklstError, InputError
from groklst_engine.events import CancelToken, OnEvent, log
from groklst_engine.jobs import (
    DownscaleJob,
    EvaluateJob,
    GuidanceSource,
    InspectJob,
    Job,
    LstSource,
    ProbeJob,
    SceneSource,
    TrainJob,
    explain,
    parse_job,
)
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
            print(f"groklst: {sentence}", file=sys.stderr)
            return error.exit_code if isinstance(error, GroklstError) else 1
    progress.close()
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


def _downscale(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(_job(DownscaleJob, options), on_event, cancel)


def _info(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    return run_job(_job(InspectJob, options), on_event, cancel)


def _evaluate(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    if options.scenes:
        options.scenes = read_scenes(options.scenes, options.data_root, options.regions)
    else:
        options.name = Path(options.lst["path"]).stem
        options.scenes = [_fields(SceneSource, options)]
    return run_job(_job(EvaluateJob, options), on_event, cancel)


def _train(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    options.scenes = read_scenes(options.scenes, options.data_root)
    options.arguments = dict(options.arguments)
    return run_job(_job(TrainJob, options), on_event, cancel)


def _methods(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    abilities = run_job(ProbeJob(), on_event, cancel)
    return {"default_method": abilities["default_method"], "methods": abilities["methods"]}


def _models(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    from groklst_engine.models.zoo import MODELS

    models = (
        {
            "name": spec.name,
            "label": spec.label,
            "description": spec.description,
            "guided": spec.guided,
            "scales": list(spec.scales),
            "presets": list(spec.presets),
            "arguments": spec.defaults,
            "paper": spec.paper and asdict(spec.paper),
        }
        for spec in MODELS.values()
    )
    return {"models": list(models)}


def _demo(options: argparse.Namespace, on_event: OnEvent, cancel: CancelToken) -> dict[str, Any]:
    from groklst_engine.data.synthetic import synthetic_scene, write_scene

    folder, scale = options.output, options.scale
    log(on_event, f"Generating a scene in {folder}")
    size = max(1, 512 // (8 * scale)) * 8 * scale  # divides by the scale
    paths = write_scene(synthetic_scene(size=size, seed=options.seed), folder, scale, noise=DEMO_NOISE)
    job = DownscaleJob(
        lst=LstSource(path=paths.lst),
        guidance=(GuidanceSource(path=paths.guidance), GuidanceSource(path=paths.dem)),
        scale=scale,
        output=folder / "lst_fine.tif",
        report=folder / "report",
        reference=LstSource(path=paths.truth),
        overwrite=True,
    )
    result = run_job(job, on_event, cancel)
    inputs = {"lst": paths.lst, "guidance": paths.guidance, "dem": paths.dem, "truth": paths.truth}
    return {"inputs": {name: str(path) for name, path in inputs.items()}, **result}


# The jobs: from options, and from a manifest of scenes.


def _fields(model: type[BaseModel], options: argparse.Namespace) -> dict[str, Any]:
    """The options that are fields of the model; what is not given keeps the model's default."""
    return {name: value for name in model.model_fields if (value := getattr(options, name, None)) is not None}


def _job(model: type[BaseModel], options: argparse.Namespace) -> Job:
    fields = _fields(model, options)
    if "lst" in fields:
        fields["lst"]["unit"] = options.lst_unit
    return parse_job({**fields, "kind": model.model_fields["kind"].default})


def read_scenes(manifest: Path, root: Path | None = None, regions: Sequence[str] = ()) -> list[SceneSource]:
    """Read a manifest: a JSON list of ``SceneSource`` objects.

    Args:
        manifest: The JSON file.
        root: Folder that the paths in it start from; None takes the manifest's own.
        regions: Keep the scenes of these regions only; empty keeps all.

    Raises:
        InputError: It cannot be read, is no such list, or holds no scene of these regions.
    """
    try:
        scenes = TypeAdapter(list[SceneSource]).validate_json(manifest.read_bytes())
    except OSError as error:
        raise InputError(f"The manifest {manifest} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise InputError(f"The manifest {manifest} is not a list of scenes: {explain(error)}") from error
    chosen = [scene for scene in scenes if not regions or (scene.region or scene.name) in regions]
    if not chosen:
        known = ", ".join(sorted({scene.region or scene.name for scene in scenes})) or "none"
        raise InputError(f"The manifest {manifest} holds no scene of {', '.join(regions)}; its regions are: {known}.")
    return [_rooted(scene, root or manifest.parent) for scene in chosen]


def _rooted(scene: SceneSource, root: Path) -> SceneSource:
    lst = scene.lst.model_copy(update={"path": root / scene.lst.path})
    guidance = tuple(source.model_copy(update={"path": root / source.path}) for source in scene.guidance)
    return scene.model_copy(update={"lst": lst, "guidance": guidance, "mask": scene.mask and root / scene.mask})


def _lst(text: str) -> dict[str, Any]:
    """``FILE`` or ``FILE:BAND``."""
    path, _, band = text.rpartition(":")
    return {"path": path, "band": band} if path and band.isdigit() else {"path": text}


def _guidance(text: str) -> dict[str, Any]:
    """``FILE`` or ``FILE:role,role,-``."""
    match = re.fullmatch(r"(.+):([a-z0-9,-]+)", text)
    if not match or Path(text).exists():
        return {"path": text}
    return {"path": match[1], "roles": [None if role == "-" else role for role in match[2].split(",")]}


def _words(text: str) -> list[str]:
    return text.split(",")


def _setting(text: str) -> tuple[str, Any]:
    """``KEY=VALUE``, the value as JSON where it is some, else as text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


# The parser.


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="groklst",
        description="Downscale land surface temperature (LST): a coarse raster and finer guidance in, a fine raster "
        "and a report out. Temperatures are kelvin or degrees Celsius, as the input has them; errors are kelvin.",
        epilog="'groklst COMMAND --help' shows the options and an example of each command.",
    )
    parser.add_argument("--version", action="version", version=f"groklst {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        name: str, run: Command, show: Callable[[dict[str, Any]], str], text: str, example: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(
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

    downscale = command(
        "downscale",
        _downscale,
        console.show_downscale,
        "make a fine LST raster from a coarse one",
        "groklst downscale --lst modis.tif --guidance s2.tif:blue,green,red,nir dem.tif --scale 4 -o fine.tif",
    )
    _add_inputs(downscale)
    _add(downscale, DownscaleJob, "scale", "method", "output", "report")
    downscale.add_argument(
        "--reference", type=_lst, metavar="FILE[:BAND]", help="A fine LST to score the result against"
    )
    _add(downscale, DownscaleJob, "consistency", "overwrite", "device", "tile", "seed")

    info = command(
        "info",
        _info,
        console.show_info,
        "show what would be done to the inputs, without doing it",
        "groklst info --lst modis.tif --guidance s2.tif dem.tif --scale 4",
    )
    _add_inputs(info)
    _add(info, InspectJob, "scale")

    evaluate = command(
        "evaluate",
        _evaluate,
        console.show_evaluate,
        "score methods on fine scenes by Wald's protocol: degraded, downscaled back, compared with themselves",
        "groklst evaluate --lst landsat.tif --guidance sr.tif --native 3 --scales 2,4,8 --methods bicubic,tsharp",
    )
    _add_inputs(evaluate, _add_manifest(evaluate))
    _add(evaluate, SceneSource, "mask", "native")
    evaluate.add_argument("--regions", type=_words, metavar="A,B,…", default=(), help="Take only these of the manifest")
    _add(evaluate, EvaluateJob, "scales", "methods", "report", "device")

    train = command(
        "train",
        _train,
        console.show_train,
        "train a network on fine scenes by Wald's protocol",
        "groklst train --scenes scenes.json --scales 2,4,8 --hold-out alberta -o mine.safetensors",
    )
    _add_manifest(train)
    _add(train, TrainJob, "model", "preset")
    train.add_argument(
        "--set",
        dest="arguments",
        type=_setting,
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="A further argument of the architecture; may be repeated",
    )
    fields = [name for name in TrainJob.model_fields if name not in ("kind", "scenes", "model", "preset", "arguments")]
    _add(train, TrainJob, *fields)

    command("methods", _methods, console.show_methods, "list the methods, trained networks included", "groklst methods")
    command("models", _models, console.show_models, "list the network architectures to train", "groklst models")

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


def _add_inputs(parser: argparse.ArgumentParser, lst_group: Any = None) -> None:
    (lst_group or parser).add_argument(
        "--lst",
        type=_lst,
        metavar="FILE[:BAND]",
        required=lst_group is None,
        help="The LST raster (band 1 if not given)",
    )
    parser.add_argument(
        "--lst-unit", choices=("auto", "K", "C"), default="auto", help="Unit of the LST; auto reads the file (default)"
    )
    parser.add_argument(
        "--guidance",
        type=_guidance,
        metavar="FILE[:ROLE,ROLE,-,…]",
        nargs="+",
        action="extend",
        help="Finer rasters of the same place; the roles of their bands (blue, red, nir, ndvi, dem, …; - leaves a band "
        "out) are guessed from band descriptions and file name where not given",
    )


def _add_manifest(parser: argparse.ArgumentParser) -> Any:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--scenes", type=Path, metavar="FILE", help="Manifest: a JSON list of scenes")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="Where its paths start (default: its own folder)")
    return group


def _add(parser: argparse.ArgumentParser, model: type[BaseModel], *names: str) -> None:
    """Add an option for each field: its name, help and default are the field's; validation is the job's."""
    for name in names:
        field = model.model_fields[name]
        flag = "--" + name.replace("_", "-")
        text = _help(model, name)
        if field.default is True:
            off = f"--no-{name}"
            parser.add_argument(off, dest=name, action="store_false", default=None, help=f"Switch off: {text}")
            continue
        if field.default is False:
            parser.add_argument(flag, action="store_true", default=None, help=text)
            continue
        several = get_origin(field.annotation) is tuple
        default = ",".join(map(str, field.default)) if several and field.default else field.default
        parser.add_argument(
            *((flag, "-o") if name == "output" else (flag,)),
            type=_words if several else str,
            choices=get_args(field.annotation) if get_origin(field.annotation) is Literal else None,
            metavar="A,B,…" if several else _metavar(field.annotation),
            required=field.is_required(),
            help=f"{text} (default: {default})" if default not in (None, "", ()) and not field.is_required() else text,
        )


def _help(model: type[BaseModel], name: str) -> str:
    """What the docstrings of the model and its parents say about a field."""
    documented = "\n".join(inspect.cleandoc(kind.__doc__ or "") for kind in model.__mro__)
    match = re.search(rf"^    {name}: (.+(?:\n {{5,}}.+)*)", documented, re.MULTILINE)
    text = re.sub(r"\s+", " ", match[1]) if match else ""
    return re.sub(r"; None .*", "", text.replace("``", "").replace("%", "%%")).rstrip(".")


def _metavar(annotation: Any) -> str | None:
    """What stands for a value in the help; None for the list of choices."""
    kinds = {annotation, *get_args(annotation)}
    if get_origin(annotation) is Literal:
        return None
    return "N" if kinds & {int, float} else "PATH" if Path in kinds else "NAME"
