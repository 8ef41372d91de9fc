"""The scenes of an archive job: from a CSV list, a STAC item collection, or a name with wildcards."""

from __future__ import annotations

import csv
import glob
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from groklst_engine.bands import Role
from groklst_engine.commands.options import guidance_source, lst_source
from groklst_engine.errors import InputError
from groklst_engine.jobs import ArchiveJob, ArchiveListJob, DownscaleJob, parse_job

ALIASES = {"date": "overpass"}
"""Other heads of a list's columns."""

DEFAULT_NAME = "{name}_x{scale}.tif"
"""Of an output, where only its folder is given."""

_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})[_-]?(\d{2})[_-]?(\d{2})(?!\d)")

Fields = dict[str, Any]
"""Fields of a scene's job, and its ``name``."""


def archive_of(wanted: ArchiveListJob) -> ArchiveJob:
    """The jobs of all scenes.

    Raises:
        InputError: The list cannot be read, no file matches, or a scene's job cannot be used.
    """
    if wanted.file is not None:
        listed = read_list(wanted.file, wanted.lst_asset, wanted.guidance_assets)
    else:
        listed = [{"lst": {"path": path}} for name in wanted.rasters for path in matching(name)]
    how = wanted.model_dump(include={"skip_existing", "summary", "cluster"})
    job = parse_job({"kind": "archive", "scenes": [_scene(wanted, fields) for fields in listed], **how})
    assert isinstance(job, ArchiveJob)
    return job


def _scene(wanted: ArchiveListJob, listed: Fields) -> Fields:
    """The fields of a scene's job: what is said of all, and the list of this one."""
    fields = {**wanted.scene, **listed, "lst": {**wanted.scene.get("lst", {}), **listed["lst"]}}
    if "guidance" in listed:
        fields["guidance"] = [{"qc": wanted.guidance_qc, **source} for source in listed["guidance"]]
    for template in {"output", "report"} - set(listed):
        if fields.get(template):
            fields[template] = output_of(str(fields[template]), fields)
    return {name: value for name, value in fields.items() if name != "name"}


def read_list(file: Path, lst_asset: str | None = None, guidance_assets: Sequence[str] = ()) -> list[Fields]:
    """Read a list of scenes.

    Args:
        file: CSV, or a STAC item collection as JSON.
        lst_asset: Asset of a STAC item that is the LST.
        guidance_assets: Its assets that are guidance.

    Returns:
        For each scene the fields of its job that the list tells; paths start at the list's folder.

    Raises:
        InputError: It cannot be read, is neither, or empty.
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {file} cannot be read: give a CSV file or a STAC item collection.") from error
    is_json = text.lstrip().startswith("{")
    scenes = _items(file, text, lst_asset, guidance_assets) if is_json else _lines(file, text)
    if not scenes:
        raise InputError(f"The list {file} holds no scene.")
    return scenes


def _lines(file: Path, text: str) -> list[Fields]:
    table = csv.DictReader(text.splitlines())
    heads = [ALIASES.get(head.strip(), head.strip()) for head in table.fieldnames or ()]
    known = [name for name in DownscaleJob.model_fields if name != "kind"]
    for head in heads:
        if head not in (*known, "name"):
            raise InputError(
                f"The list {file} has the column '{head}', which is none of lst, guidance, mask, overpass, output, "
                "name and the other options of 'groklst downscale'."
            )
    if "lst" not in heads:
        raise InputError(f"The list {file} has no column 'lst': its first line must name the columns.")
    scenes = []
    for values in table:
        cells = zip(heads, values.values(), strict=False)  # what has no head is left out
        filled = {head: cell.strip() for head, cell in cells if isinstance(cell, str) and cell.strip()}
        if "lst" not in filled:
            raise InputError(f"Line {table.line_num} of the list {file} names no LST.")
        scenes.append({head: _value(head, cell, file.parent) for head, cell in filled.items()})
    return scenes


def _value(head: str, cell: str, root: Path) -> Any:
    if head in ("lst", "reference"):
        return _under(root, lst_source(cell))
    if head == "guidance":
        return [_under(root, guidance_source(part.strip())) for part in cell.split(";") if part.strip()]
    if head in ("mask", "emissivity", "output", "report"):
        return _path(root, cell)
    if head in ("derive", "candidates"):
        return cell.split(";")
    return cell


def _under(root: Path, source: Fields) -> Fields:
    return {**source, "path": _path(root, source["path"])}


def _path(root: Path, name: str) -> str:
    return name if ":" in name else str(root / name)  # a colon: a drive, an address, a GDAL name


def _items(file: Path, text: str, lst_asset: str | None, guidance_assets: Sequence[str]) -> list[Fields]:
    try:
        items = json.loads(text)["features"]
        assets = [{key: asset["href"] for key, asset in item["assets"].items()} for item in items]
        facts = [{"name": item["id"], "overpass": item["properties"].get("datetime")} for item in items]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The list {file} is no STAC item collection: give one, or a CSV file.") from error
    if lst_asset is None:
        raise InputError(f"The list {file} is a STAC item collection: name the asset that is the LST (--lst-asset).")
    scenes = []
    for fact, hrefs in zip(facts, assets, strict=True):
        for key in (lst_asset, *guidance_assets):
            if key not in hrefs:
                there = ", ".join(hrefs) or "none"
                raise InputError(f"Item '{fact['name']}' of the list {file} has no asset '{key}'; it has: {there}.")
        guidance = [
            {"path": _path(file.parent, hrefs[key]), **({"roles": [key]} if key in get_args(Role) else {})}
            for key in guidance_assets
        ]
        scene = {**fact, "lst": {"path": _path(file.parent, hrefs[lst_asset])}, "guidance": guidance}
        scenes.append({head: value for head, value in scene.items() if value})
    return scenes


def has_wildcard(name: str) -> bool:
    """Whether a raster's name stands for several files."""
    return glob.has_magic(name) and not Path(name).exists()


def matching(name: str) -> list[str]:
    """The files that match a name with wildcards; the name itself where it has none.

    Raises:
        InputError: No file does.
    """
    if not has_wildcard(name):
        return [name]
    paths = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not paths:
        raise InputError(f"No file matches '{name}'.")
    return paths


def output_of(template: str, fields: Mapping[str, Any]) -> Path:
    """A scene's output.

    Args:
        template: With {stem} (of the LST's file), {name} (the list's, else the stem), {date}, {scale} and {method}; or
            a folder.
        fields: Of the scene's job, and its ``name``.

    Raises:
        InputError: The template has other names, or the date is not known.
    """
    if template.endswith(("/", "\\")) or Path(template).is_dir():
        template = str(Path(template) / DEFAULT_NAME)
    path = str(fields["lst"]["path"])
    stem = Path(path).stem
    names = {
        "stem": stem,
        "name": fields.get("name", stem),
        "scale": str(fields.get("scale", "")).replace(",", "x"),
        "method": Path(str(fields.get("method", DownscaleJob.model_fields["method"].default))).stem,
        "date": _date(path, fields.get("overpass")) if "{date" in template else "",
    }
    try:
        return Path(template.format_map(names))
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"The output '{template}' has braces around something else than {', '.join(names)}: use these."
        ) from error


def _date(path: str, overpass: str | None) -> str:
    from groklst_engine.products import lst_product  # with rasterio, which takes time to import

    for text in (str(overpass or ""), Path(path).name):
        if match := _DAY.search(text):
            return "".join(match.groups())
    product = lst_product(path)
    if product is None or product.acquired is None:
        raise InputError(f"The date of '{path}' is not known, but the output's name has {{date}}: give the overpass.")
    return product.acquired.strftime("%Y%m%d")
