"""Options of the command line: they carry the names, help and defaults of the jobs' fields."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from groklst_engine.inputs import GuidanceSource, LstSource, QualityRule, RasterName
from groklst_engine.jobs import Job, parse_job


def fields_from(model: type[BaseModel], options: argparse.Namespace) -> dict[str, Any]:
    """The options that are fields of the model; what is not given keeps the model's default."""
    fields = {name: value for name in model.model_fields if (value := getattr(options, name, None)) is not None}
    if "lst" in fields:
        fields["lst"] |= {"unit": options.lst_unit, "scale": options.lst_scale, "offset": options.lst_offset}
        fields["lst"] |= {"qc": options.lst_qc}
    if "guidance" in fields:
        fields["guidance"] = [source | {"qc": options.guidance_qc} for source in fields["guidance"]]
    return fields


def job_from(model: type[BaseModel], options: argparse.Namespace) -> Job:
    """The job that the options ask for.

    Raises:
        InputError: An option cannot be used; names it.
    """
    return parse_job({**fields_from(model, options), "kind": model.model_fields["kind"].default})


def add_inputs(parser: argparse.ArgumentParser, lst_group: Any = None) -> None:
    """Add LST and guidance; the LST is required unless a group makes it an alternative."""
    (lst_group or parser).add_argument(
        "--lst",
        type=lst_source,
        metavar="FILE[:BAND]",
        required=lst_group is None,
        help="The LST raster (band 1 if not given)",
    )
    parser.add_argument(
        "--lst-unit", choices=("auto", "K", "C"), default="auto", help="Unit of the LST; auto reads the file (default)"
    )
    parser.add_argument(
        "--lst-scale", type=float, metavar="N", help="Factor from stored number to unit, if the file has it wrong"
    )
    parser.add_argument(
        "--lst-offset", type=float, metavar="N", help="Summand from stored number to unit, if the file has it wrong"
    )
    add_quality(parser, "--lst-qc", LstSource)
    parser.add_argument(
        "--guidance",
        type=guidance_source,
        metavar="FILE[:ROLE,ROLE,-,…]",
        nargs="+",
        action="extend",
        help="Finer rasters of the same place; the roles of their bands (blue, red, nir, ndvi, dem, …; - leaves a band "
        "out) are guessed from band descriptions and file name where not given",
    )
    add_quality(parser, "--guidance-qc", GuidanceSource)


def add_quality(parser: argparse.ArgumentParser, flag: str, source: type[BaseModel]) -> None:
    """Add the choice between good pixels and all, for known products."""
    text = f"{_help(source, 'qc')} (default: recommended)"
    parser.add_argument(flag, choices=get_args(QualityRule), default="recommended", help=text)


def add_manifest(parser: argparse.ArgumentParser, dataset: bool = True) -> Any:
    """Add manifest and, if wanted, data set, and return the group in which something else may take their place."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--scenes", type=Path, metavar="FILE", help="Manifest: a JSON list of scenes")
    if dataset:
        group.add_argument(
            "--dataset", type=Path, metavar="DIR", help="Data set of 'groklst prepare', or in the layout of GrokLST"
        )
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="Where its paths start (default: its own folder)")
    return group


def add_consistency(parser: argparse.ArgumentParser, model: type[BaseModel]) -> None:
    """Add the strength of the coarse-consistency correction, and its short way out."""
    add_fields(parser, model, "consistency")
    parser.add_argument(
        "--no-consistency", dest="consistency", action="store_const", const=0.0, help="The same as --consistency 0"
    )


def add_regions(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a manifest's regions."""
    parser.add_argument("--regions", type=words, metavar="A,B,…", default=(), help="Take only these of the manifest")


def add_fields(parser: argparse.ArgumentParser, model: type[BaseModel], *names: str) -> None:
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
            type=words if several else str,
            choices=get_args(field.annotation) if get_origin(field.annotation) is Literal else None,
            metavar="A,B,…" if several else _metavar(field.annotation),
            required=field.is_required(),
            help=f"{text} (default: {default})" if default not in (None, "", ()) and not field.is_required() else text,
        )


def _help(model: type[BaseModel], name: str) -> str:
    """What the docstrings of the model and its parents say about a field."""
    match = re.search(rf"^    {name}: (.+(?:\n {{5,}}.+)*)", _documentation(model), re.MULTILINE)
    text = re.sub(r"\s+", " ", match[1]) if match else ""
    return re.sub(r"; None .*", "", text.replace("``", "").replace("%", "%%")).rstrip(".")


@cache
def _documentation(model: type[BaseModel]) -> str:
    """The docstrings of a model and its parents."""
    return "\n".join(inspect.cleandoc(kind.__doc__ or "") for kind in model.__mro__)


def _metavar(annotation: Any) -> str | None:
    """What stands for a value in the help; None for the list of choices."""
    if get_origin(annotation) is Literal:
        return None
    kinds = {annotation, *get_args(annotation)}
    if RasterName in kinds:
        return "FILE"
    kinds |= {get_args(kind)[0] for kind in kinds if get_origin(kind) is Annotated}
    return "N" if kinds & {int, float} else "PATH" if Path in kinds else "NAME"


def lst_source(text: str) -> dict[str, Any]:
    """``FILE`` or ``FILE:BAND``."""
    path, _, band = text.rpartition(":")
    return {"path": path, "band": band} if path and band.isdigit() else {"path": text}


def guidance_source(text: str) -> dict[str, Any]:
    """``FILE`` or ``FILE:role,role,-``."""
    match = re.fullmatch(r"(.+):([a-z0-9,-]+)", text)
    if not match or Path(text).exists():
        return {"path": text}
    return {"path": match[1], "roles": [None if role == "-" else role for role in match[2].split(",")]}


def words(text: str) -> list[str]:
    """``A,B,…``."""
    return text.split(",")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add ``--set``, the arguments of an architecture: pairs in ``arguments``."""
    parser.add_argument(
        "--set",
        dest="arguments",
        type=_setting,
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="A further argument of the architecture; may be repeated",
    )


def _setting(text: str) -> tuple[str, Any]:
    """``KEY=VALUE``, the value as JSON where it is some, else as text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
