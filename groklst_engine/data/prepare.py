"""From rasters to a data set for training: chips of scenes at their true resolution, dealt to splits by the ground.

A data set grows in ``FOLDER.part`` and takes its name when it is complete, so an interrupted preparation goes on where
it stopped, and a data set that is to be replaced is there until its successor is.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rasterio.transform import Affine

from groklst_engine import __version__
from groklst_engine.data.blocks import SPLITS, deal, find_grounds
from groklst_engine.data.chips import ChipStore, open_store
from groklst_engine.data.dataset import FineScene, load_scene
from groklst_engine.data.groklst import with_published_bands, write_splits
from groklst_engine.data.prepared import (
    MANIFEST,
    BandRow,
    ChipEntry,
    Manifest,
    SceneEntry,
    SourceFile,
    is_prepared,
    read_manifest,
)
from groklst_engine.errors import Cancelled, InputError, OutputError
from groklst_engine.events import CancelToken, OnEvent, ignore, log, part, progress, warn
from groklst_engine.grid import Grid
from groklst_engine.inputs import SceneSource, Split
from groklst_engine.normalize import BandStatistics
from groklst_engine.physics.psf import Psf
from groklst_engine.training_jobs import PrepareJob
from groklst_engine.whole_file import write_whole

AUTOMATIC_BLOCKS = (4, 2, 1)
"""Block sides to choose from, in crops: large blocks lose few crops at their borders, many blocks make exact shares."""

ENOUGH_BLOCKS = 10
"""Blocks with crops, from which the shares can be met."""

_PLAN = "plan.json"
_CHUNK = 1 << 23  # bytes hashed between two looks at the cancel token


@dataclass(frozen=True)
class Prepared:
    """What a preparation gave.

    Attributes:
        output: The folder.
        manifest: What is in it.
        kept: Chips that were there before.
    """

    output: Path
    manifest: Manifest
    kept: int

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        manifest = self.manifest
        counts = Counter(chip.split for chip in manifest.chips)
        regions = Counter((chip.region, chip.split) for chip in manifest.chips)
        return {
            "output": str(self.output),
            "format": manifest.format,
            "chips": {split: counts[split] for split in SPLITS},
            "regions": [
                {"region": region, **{split: regions[region, split] for split in SPLITS}}
                for region in dict.fromkeys(chip.region for chip in manifest.chips)
            ],
            "kept": self.kept,
            "across": manifest.across,
            "invalid": manifest.invalid,
            "crop": manifest.crop,
            "block": manifest.block,
            "statistics": [row.model_dump() for row in manifest.statistics],
        }


@dataclass(frozen=True)
class _Crop:
    """A crop that could become a chip: number of its scene, upper left pixel, valid share, grid."""

    scene: int
    row: int
    column: int
    valid: float
    grid: Grid


@dataclass(frozen=True)
class _Survey:
    """What the scenes hold: an entry and a grid each, their valid crops, and how many were not valid enough."""

    entries: list[SceneEntry]
    grids: list[Grid]
    crops: list[_Crop]
    invalid: int


def prepare(job: PrepareJob, on_event: OnEvent = ignore, cancel: CancelToken | None = None) -> Prepared:
    """Cut scenes into chips for training and store them with their coarse LST and a manifest.

    Each scene is block-averaged to its sensor's own pixel, cut, and degraded by each scale; guidance is kept at the
    fine pixel. One scene is held in memory at a time.

    Raises:
        GroklstError: A scene cannot be used, the folder cannot be written, or holds something else.
        Cancelled: ``cancel`` was raised; what was prepared is kept for the next call.
    """
    cancel = cancel or CancelToken()
    growing = job.output.with_name(job.output.name + ".part")
    with _sentences(job.output):
        _check_folder(job)
        files = _hashed(job, part(on_event, 0, 0.1), cancel)
        if is_prepared(job.output) and (finished := _finished(job, files)):
            log(on_event, f"The data set '{job.output}' is there already, made with these options from these files.")
            return Prepared(job.output, finished, len(finished.chips))
        try:
            store = open_store(job.format, growing)
            unchanged = _resume(growing, job, files)
            survey = _survey(job, files, part(on_event, 0.1, 0.4), cancel)
            manifest = _manifest(job, survey, on_event)
            kept = _keep(store, {chip.name for chip in manifest.chips if chip.scene in unchanged})
            manifest = _write(job, manifest, store, kept, part(on_event, 0.4, 1), cancel)
        except Cancelled as cancelled:
            raise Cancelled("Cancelled; what was prepared is kept: run the preparation again to go on.") from cancelled
        _complete(growing, manifest, job.output)
    return Prepared(job.output, manifest, len(kept))


@contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The data set '{folder}' cannot be written ({error.strerror or error}): check folder and disk space; what "
            "was prepared is kept."
        ) from error


def _check_folder(job: PrepareJob) -> None:
    folder = job.output
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"The output '{folder}' is a file: give a folder.")
    if folder.is_dir() and not is_prepared(folder) and any(folder.iterdir()):
        raise OutputError(f"The folder '{folder}' holds something else than a data set: give a new or empty one.")


def _options(job: PrepareJob) -> dict[str, Any]:
    return job.model_dump(mode="json", exclude={"kind", "output", "overwrite"})


def _finished(job: PrepareJob, files: list[tuple[SourceFile, ...]]) -> Manifest | None:
    """The data set in the folder if it is the one wanted; None if it may be replaced.

    Raises:
        OutputError: It is another one, and may not be replaced.
    """
    manifest = read_manifest(job.output)
    same_options = manifest.job == _options(job)
    if same_options and [scene.files for scene in manifest.scenes] == files:
        return manifest
    if job.overwrite:
        return None
    difference = "from other content of the same files" if same_options else "with other options"
    raise OutputError(
        f"The data set '{job.output}' was made {difference}: choose another folder, or allow overwriting."
    )


def _hashed(job: PrepareJob, on_event: OnEvent, cancel: CancelToken) -> list[tuple[SourceFile, ...]]:
    found = []
    for number, source in enumerate(job.scenes):
        progress(on_event, number / len(job.scenes), f"Hashing the files of {source.name}")
        paths = [source.lst.path, *(raster.path for raster in source.guidance)]
        paths += [] if source.mask is None else [source.mask]
        found.append(tuple(SourceFile(path=path, sha256=_sha256(Path(path), cancel)) for path in paths))
    return found


def _sha256(path: Path, cancel: CancelToken) -> str | None:
    cancel.check()
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                cancel.check()
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"The file '{path}' cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _resume(folder: Path, job: PrepareJob, files: list[tuple[SourceFile, ...]]) -> set[str]:
    """Names of the scenes whose chips, cut by an interrupted preparation, may be kept; notes the present one."""
    hashes = {source.name: [file.model_dump() for file in own] for source, own in zip(job.scenes, files, strict=True)}
    plan = {"options": _options(job), "engine_version": __version__, "files": hashes}
    path = folder / _PLAN
    unchanged: set[str] = set()
    try:
        earlier = json.loads(path.read_text("utf-8"))
        unchanged = {name for name, own in hashes.items() if earlier["files"].get(name) == own}
        same = {**plan, "files": None} == {**earlier, "files": None}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        same = False
    if not same:
        unchanged = set()
        if folder.exists():
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(plan, indent=1))
    return unchanged


def _survey(job: PrepareJob, files: list[tuple[SourceFile, ...]], on_event: OnEvent, cancel: CancelToken) -> _Survey:
    survey = _Survey([], [], [], 0)
    step = max(1, round(job.crop * (1 - job.overlap)))
    invalid = 0
    for number, (source, own) in enumerate(zip(job.scenes, files, strict=True)):
        cancel.check()
        progress(on_event, number / len(job.scenes), f"Looking at {source.name}")
        scene = _loaded(job, source)
        grid = scene.grid
        survey.grids.append(grid)
        survey.entries.append(
            SceneEntry(
                name=source.name,
                region=scene.region,
                crs=grid.crs.to_string(),
                pixel=grid.pixel,
                roles=scene.roles,
                files=own,
            )
        )
        if min(grid.height, grid.width) < job.crop:
            warn(
                on_event,
                f"The scene '{source.name}' is left out: its {grid.width} × {grid.height} pixels hold no crop of "
                f"{job.crop}.",
            )
            continue
        shares = F.avg_pool2d(scene.mask.double(), job.crop, stride=step)[0, 0]
        for index, share in enumerate(shares.flatten().tolist()):
            row, column = (step * at for at in divmod(index, shares.shape[1]))
            if share >= job.min_valid:
                survey.crops.append(_Crop(number, row, column, share, _cut_grid(grid, row, column, job.crop)))
            else:
                invalid += 1
    return replace(survey, invalid=invalid)


def _loaded(job: PrepareJob, source: SceneSource) -> FineScene:
    scene = load_scene(source, multiple=1)
    return with_published_bands(scene) if job.format == "groklst" else scene


def _cut_grid(grid: Grid, row: int, column: int, side: int) -> Grid:
    return Grid(grid.crs, grid.transform @ Affine.translation(column, row), side, side)


def _manifest(job: PrepareJob, survey: _Survey, on_event: OnEvent) -> Manifest:
    """Deal the crops to the splits; the statistics are still to come.

    Raises:
        InputError: No crop is left for training.
    """
    grounds = find_grounds(survey.grids)
    sides = (job.block,) if job.block else tuple(factor * job.crop for factor in AUTOMATIC_BLOCKS)
    for side in sides:
        touched = [grounds[crop.scene].blocks(crop.grid, side) for crop in survey.crops]
        if len({blocks for blocks in touched if len(blocks) == 1}) >= ENOUGH_BLOCKS:
            break
    dealt = deal(touched, job.shares, job.seed)
    chips = []
    for crop, split in zip(survey.crops, dealt, strict=True):
        if split is None:
            continue
        scene = survey.entries[crop.scene]
        name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', scene.name)}_r{crop.row:05}_c{crop.column:05}"
        place = {"row": crop.row, "column": crop.column, "valid": crop.valid}
        chips.append(ChipEntry(name=name, scene=scene.name, region=scene.region, split=split, **place))
    if not any(chip.split == "train" for chip in chips):
        raise InputError(
            f"The scenes hold no crop of {job.crop} pixels, {job.min_valid:.0%} of them valid, for training: give "
            "larger or clearer scenes, a smaller crop or a smaller block."
        )
    for split, share in zip(SPLITS, job.shares, strict=True):
        if share and not any(chip.split == split for chip in chips):
            warn(on_event, f"The split '{split}' has no chip: give more scenes, a smaller crop or a smaller block.")
    return Manifest(
        engine_version=__version__,
        job=_options(job),
        format=job.format,
        scales=job.scales,
        psf=job.psf,
        mtf=job.mtf,
        crop=job.crop,
        block=side,
        across=len(dealt) - len(chips),
        invalid=survey.invalid,
        scenes=tuple(survey.entries),
        chips=tuple(chips),
        statistics=(),
    )


def _keep(store: ChipStore, names: set[str]) -> set[str]:
    """Remove all chips but those of these names; returns those that are there."""
    there = store.names()
    for name in there - names:
        store.remove(name)
    return there & names


def _write(
    job: PrepareJob, manifest: Manifest, store: ChipStore, kept: set[str], on_event: OnEvent, cancel: CancelToken
) -> Manifest:
    """Write the chips that are not there yet, and find the statistics."""
    psf = Psf(job.psf, job.mtf)
    found: dict[str, BandStatistics] = {}
    done = 0
    for source in job.scenes:
        entries = [entry for entry in manifest.chips if entry.scene == source.name]
        if not entries:
            continue
        scene = _loaded(job, source)
        for entry in entries:
            cancel.check()
            progress(on_event, done / len(manifest.chips), f"Cutting {source.name}")
            chip = _cut(scene, entry, job.crop)
            if entry.split == "train":
                for name, values in (("lst", chip.lst), *zip(chip.roles, chip.guidance[0], strict=True)):
                    found.setdefault(name, BandStatistics()).add(values)
            if entry.name not in kept:
                store.write(chip, job.scales, psf)
            done += 1
    rows = (
        BandRow(band=name, n=band.n, mean=band.mean, std=band.std, min=band.minimum, max=band.maximum)
        for name, band in found.items()
    )
    return manifest.model_copy(update={"statistics": tuple(rows)})


def _cut(scene: FineScene, entry: ChipEntry, side: int) -> FineScene:
    """The chip of a scene: a pixel that lacks its LST or a band is missing in all of them."""
    window = (..., slice(entry.row, entry.row + side), slice(entry.column, entry.column + side))
    mask = scene.mask[window]
    return replace(
        scene,
        name=entry.name,
        lst=scene.lst[window].where(mask, torch.nan),
        guidance=scene.guidance[window].where(mask, torch.nan),
        grid=_cut_grid(scene.grid, entry.row, entry.column, side),
    )


def _complete(growing: Path, manifest: Manifest, folder: Path) -> None:
    """Write what is written last, and give the data set its name."""
    if manifest.format == "groklst":
        splits: tuple[Split, ...] = (*SPLITS, "trainval")
        write_splits(growing, {split: [chip.name for chip in manifest.of_split(split)] for split in splits})
    write_whole(growing / MANIFEST, manifest.model_dump_json(indent=1))
    old = folder.with_name(folder.name + ".old")
    if old.exists():  # this was interrupted before
        shutil.rmtree(old)
    if is_prepared(folder):
        folder.replace(old)
    elif folder.exists():
        folder.rmdir()  # it is empty
    growing.replace(folder)
    (folder / _PLAN).unlink()
    shutil.rmtree(old, ignore_errors=True)
