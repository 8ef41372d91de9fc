"""A prepared data set: what its ``manifest.json`` says, and its chips as scenes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from groklst_engine.bands import Role
from groklst_engine.data.blocks import Part
from groklst_engine.data.chips import ChipFormat, open_store
from groklst_engine.data.dataset import FineScene
from groklst_engine.errors import InputError
from groklst_engine.inputs import Frozen, Split
from groklst_engine.physics.psf import Psf

MANIFEST = "manifest.json"
"""Written last: a folder that has it holds a complete data set."""


class SourceFile(Frozen):
    """A file that chips were cut from.

    Attributes:
        path: As it was given.
        sha256: Of its content; None where GDAL reads something that is no file.
    """

    path: str
    sha256: str | None


class SceneEntry(Frozen):
    """A scene that chips were cut from.

    Attributes:
        name: Its own.
        region: Scenes of one region are held out together.
        crs: ``EPSG:…``, or WKT.
        pixel: Width and height of a fine pixel, in the CRS's units.
        roles: Of its guidance.
        files: It was read from.
    """

    name: str
    region: str
    crs: str
    pixel: tuple[float, float]
    roles: tuple[Role, ...]
    files: tuple[SourceFile, ...]


class ChipEntry(Frozen):
    """A chip.

    Attributes:
        name: Of its files.
        scene: It was cut from.
        region: Of the scene.
        split: It belongs to.
        row: Of its upper left pixel in the scene.
        column: Of the same.
        valid: Share of its pixels that have LST and all bands.
    """

    name: str
    scene: str
    region: str
    split: Part
    row: int
    column: int
    valid: float


class BandRow(Frozen):
    """Statistics of a band over the chips of the training split, kelvin or physical units."""

    band: str
    n: int
    mean: float
    std: float
    min: float
    max: float


class Manifest(Frozen):
    """What a prepared data set is.

    Attributes:
        version: Of this layout.
        engine_version: Of the engine that wrote it.
        job: The options it was prepared with, as JSON.
        format: How the chips are stored.
        units: Of the LST and of the guidance.
        scales: Whose coarse LST is stored.
        psf: Shape of the coarse sensor's point spread function.
        mtf: Of a Gaussian one.
        crop: Side of a chip, in fine pixels.
        block: Side of the blocks that were dealt to the splits, in fine pixels.
        across: Chips left out because their blocks belong to several splits.
        invalid: Crops left out because too few of their pixels are valid.
        scenes: The sources.
        chips: The content.
        statistics: Of each band, over the training split.
    """

    version: Literal[1] = 1
    engine_version: str
    job: dict[str, Any]
    format: ChipFormat
    units: dict[str, str] = Field(default_factory=lambda: {"lst": "K", "guidance": "physical units"})
    scales: tuple[int, ...]
    psf: Literal["box", "gaussian"]
    mtf: float
    crop: int
    block: int
    across: int
    invalid: int
    scenes: tuple[SceneEntry, ...]
    chips: tuple[ChipEntry, ...]
    statistics: tuple[BandRow, ...]

    def of_split(self, split: Split) -> tuple[ChipEntry, ...]:
        """The chips of a split; trainval is train and val."""
        wanted = ("train", "val") if split == "trainval" else (split,)
        return tuple(chip for chip in self.chips if chip.split in wanted)


@dataclass(frozen=True)
class Chip:
    """A chip of a prepared data set.

    Attributes:
        folder: Of the data set.
        format: How it is stored.
        name: Of its files.
        region: Of the scene it was cut from.
        psf: Of the coarse sensor.
    """

    folder: Path
    format: ChipFormat
    name: str
    region: str
    psf: Psf


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a prepared data set."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read what a prepared data set is.

    Raises:
        InputError: The manifest is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise InputError(f"The manifest '{path}' cannot be read: prepare the data set again.") from error


def chips(folder: Path, split: Split) -> tuple[Chip, ...]:
    """The chips of a split.

    Raises:
        InputError: The manifest cannot be read, or the split is empty.
    """
    manifest = read_manifest(folder)
    found = manifest.of_split(split)
    if not found:
        raise InputError(
            f"The split '{split}' of the data set '{folder}' has no chip: choose another split, or prepare more scenes "
            "or smaller crops."
        )
    psf = Psf(manifest.psf, manifest.mtf)
    return tuple(Chip(folder, manifest.format, chip.name, chip.region, psf) for chip in found)


def load_chip(chip: Chip, multiple: int = 8) -> FineScene:
    """Read a chip, its size cut to a multiple of ``multiple``.

    Raises:
        InputError: It is missing or damaged, or smaller than that.
    """
    scene = open_store(chip.format, chip.folder).read(chip.name)
    height, width = (size // multiple * multiple for size in scene.lst.shape[-2:])
    if height == 0 or width == 0:
        raise InputError(f"The chips of '{chip.folder}' are smaller than {multiple} pixels: prepare larger ones.")
    return replace(
        scene,
        region=chip.region,
        lst=scene.lst[..., :height, :width],
        guidance=scene.guidance[..., :height, :width],
        grid=replace(scene.grid, height=height, width=width),
        psf=chip.psf,
    )
