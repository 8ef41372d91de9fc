"""The job that measures how fast the engine is on this machine, and how much memory it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from groklst_engine.inputs import DEFAULT_NETWORK, Device, Frozen, Scale

Measurement = Literal["networks", "training", "pipeline", "memory", "workers", "series"]
Count = Annotated[int, Field(ge=1, le=1024)]
Side = Annotated[int, Field(ge=64)]


class BenchJob(Frozen):
    """Measure speed and memory on generated scenes; one table for each kind of measurement.

    Attributes:
        what: What to measure: networks (a forward pass in float32 and bfloat16, and what bfloat16 costs in kelvin),
            training (steps in float32 and bfloat16, and what waits in memory for the way back), pipeline (whole runs
            against the bare computation of their tiles, interpolations also against GDAL's warp), memory (whole runs
            of growing size), workers (Dask processes), series (dates over one guidance).
        networks: Networks or weights that are measured by themselves; empty: all networks.
        methods: Methods, weights or networks of whole runs. Networks without weights get random ones.
        scale: Coarse pixel divided by fine pixel; a network that can't do it takes its largest below.
        sides: Fine pixels per side of the images that networks compute.
        batches: How many of them at once.
        compile: Whether networks are measured compiled, too; that takes a minute or more for each.
        sizes: Fine pixels per side of the scenes of whole runs.
        tiles: Output pixels per side of a tile, each measured in the pipeline; empty: as the engine chooses.
        threads: Of PyTorch, each number measured in the pipeline; empty: as many as it takes by itself.
        memory: Gigabytes below which whole runs shall stay; None takes what is free.
        workers: Numbers of Dask processes.
        dates: Over one guidance.
        rounds: How often what is compared is measured, by turns; the median counts.
        device: Where networks run.
        output: Folder for a JSON file and a Markdown table of each kind; it is made if it is not there.
        overwrite: Whether existing ones may be replaced.
    """

    kind: Literal["bench"] = "bench"
    what: tuple[Measurement, ...] = Field(get_args(Measurement), min_length=1)
    networks: tuple[str, ...] = ()
    methods: tuple[str, ...] = Field((DEFAULT_NETWORK, "bicubic"), min_length=1)
    scale: Scale = 8
    sides: tuple[Side, ...] = Field((512,), min_length=1)
    batches: tuple[Count, ...] = Field((1,), min_length=1)
    compile: bool = False
    sizes: tuple[Side, ...] = Field((2048, 4096), min_length=1)
    tiles: tuple[Side, ...] = ()
    threads: tuple[Count, ...] = ()
    memory: float | None = Field(None, gt=0)
    workers: tuple[Count, ...] = Field((1, 2), min_length=1)
    dates: int = Field(8, ge=2, le=64)
    rounds: int = Field(3, ge=1, le=100)
    device: Device = "auto"
    output: Path
    overwrite: bool = False

    @model_validator(mode="after")
    def _whole_coarse_pixels(self) -> BenchJob:
        for side in (*self.sides, *self.sizes):
            if side % (8 * self.scale):
                raise ValueError(f"{side} pixels are no multiple of 8 times the scale: take {self._near(side)}")
        return self

    def _near(self, side: int) -> int:
        return max(1, round(side / (8 * self.scale))) * 8 * self.scale
