"""One run of a method over a raster, tile by tile: what each thread of the pipeline does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, takewhile
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rasterio.windows import Window
from torch import Tensor

from groklst_engine.consistency import Correction
from groklst_engine.errors import is_out_of_memory
from groklst_engine.events import CancelToken, OnEvent, log, progress
from groklst_engine.grid import Margins
from groklst_engine.inference.device import Transfer
from groklst_engine.inference.heap import bounded_memory, kept_memory
from groklst_engine.inference.pipeline import run_pipeline
from groklst_engine.inference.resume import Checkpoint
from groklst_engine.inference.scene import SceneReader, keep_window
from groklst_engine.methods.base import Batch, Downscaler
from groklst_engine.raster import Floats, RasterWriter
from groklst_engine.scoring import InputComparison
from groklst_engine.tiles import Mosaic, Tile, TilePlan
from groklst_engine.units import Unit, offset_to_kelvin


@dataclass(frozen=True)
class _Work:
    """Tiles on their way to the method: those with a valid pixel, their masks, and their common batch."""

    tiles: tuple[Tile, ...]
    masks: tuple[NDArray[np.bool_] | None, ...]
    batch: Batch | None


@dataclass(frozen=True)
class Settings:
    """How a run computes.

    Attributes:
        method: Built, and fitted to the scene.
        correction: Makes the result consistent with the coarse LST; None leaves it as it is.
        scale: Coarse pixel divided by fine pixel.
        batch: Tiles computed at once.
        memory: Gigabytes for the whole process; None: what a layer frees stays for the next one, which is quicker.
    """

    method: Downscaler
    correction: Correction | None
    scale: int
    batch: int = 1
    memory: float | None = None


class TileRun:
    """Computes the tiles of some pieces and puts them together; what is done with a piece, a child says.

    Args:
        settings: How.
        plan: Which tiles.
        scene: The inputs; the reading thread's while the run lasts.
        unit: Of the output.
        pieces: Which pieces of the plan.
        pending: Of the mosaic, where these are not the first.
        on_event: Told about progress.

    Attributes:
        settings: How.
        plan: Which tiles.
        pieces: Which pieces of the plan.
    """

    def __init__(
        self,
        settings: Settings,
        plan: TilePlan,
        scene: SceneReader,
        unit: Unit,
        pieces: range,
        pending: Floats | None,
        on_event: OnEvent,
    ) -> None:
        self.settings = settings
        self.plan = plan
        self.pieces = pieces
        self._scene = scene
        self._on_event = on_event
        self._mosaic = Mosaic(plan, settings.scale, pending)
        self._offset = np.float32(offset_to_kelvin(unit))
        self._most = settings.batch
        self._transfer = Transfer(getattr(settings.method, "device", torch.device("cpu")))
        self._done = sum(tile.piece < pieces.start for tile in plan)

    def run(self, cancel: CancelToken) -> None:
        """Compute what is not done yet.

        Raises:
            InputError: An input is damaged.
            OutputError: The disk is full or gone.
            Cancelled: ``cancel`` was raised.
            MemoryError: Not even one tile fits into memory; so does a ``RuntimeError`` that ``is_out_of_memory``.
        """
        run_together([self], cancel)

    def read(self) -> Iterator[_Work]:
        """In the reading thread: what is to be computed."""
        tiles = takewhile(lambda tile: tile.piece < self.pieces.stop, self.plan.tiles(self.pieces.start))
        for _, alike in groupby(tiles, lambda tile: (tile.shape, self._spare(tile))):
            while group := tuple(islice(alike, self.settings.batch)):
                yield self._work(group)

    def _spare(self, tile: Tile) -> Margins:
        correction = self.settings.correction
        return tile.spare(correction.radius if correction else 0)

    def _work(self, tiles: tuple[Tile, ...]) -> _Work:
        masks: list[NDArray[np.bool_] | None] = []
        batches: list[Batch] = []
        for tile in tiles:
            batch = self._scene.read(tile.read) if self._scene.any_lst(tile.keep) else None
            mask = None if batch is None else keep_window(batch.mask, tile.read, tile.keep, self.settings.scale)
            if batch is None or mask is None or not mask.any():
                masks.append(None)
                continue
            masks.append(mask)
            batches.append(batch)
        if not batches:
            return _Work(tiles, tuple(masks), None)
        batch = batches[0] if len(batches) == 1 else _joined(batches)
        batch = replace(batch, spare=self._spare(tiles[0]))
        return _Work(tiles, tuple(masks), _each(batch, self._transfer.start))

    def compute(self, work: _Work) -> tuple[_Work, Tensor | None]:
        """In the computing thread: the fine LST of the tiles, on its device, which may still be at it."""
        fine = None if work.batch is None else self._fine(_each(work.batch, self._transfer.finish))
        return replace(work, batch=None), fine

    def write(self, work: _Work, fine: Tensor | None) -> None:
        """In the writing thread: put the tiles together, and write what is complete."""
        for tile, values in self._kept(work, fine):
            self._mosaic.add(tile, values)
            if tile.last_in_piece:
                self.finish(tile.piece, self._mosaic.take(tile.piece))

    def _kept(self, work: _Work, fine: Tensor | None) -> list[tuple[Tile, Floats]]:
        """The values of the tiles' ``keep`` windows."""
        results: list[tuple[Tile, Floats]] = []
        number = 0
        for tile, mask in zip(work.tiles, work.masks, strict=True):
            if mask is None or fine is None:
                rows, columns = tile.keep.bottom - tile.keep.top, tile.keep.right - tile.keep.left
                s = self.settings.scale
                values = np.full((rows * s, columns * s), np.nan, np.float32)
            else:
                kept = keep_window(fine[number : number + 1], tile.read, tile.keep, self.settings.scale)
                values = np.where(mask, kept - self._offset, np.float32(np.nan))
                number += 1
            results.append((tile, values))
            self._done += 1
            progress(self._on_event, self._done / len(self.plan), f"Downscaling tile {self._done} of {len(self.plan)}")
        return results

    def _fine(self, batch: Batch) -> Tensor:
        """Downscale a batch; in ever smaller parts where memory does not suffice."""
        while True:
            try:
                parts = [self._corrected(part) for part in _split(batch, self._most)]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except (RuntimeError, MemoryError) as error:
                if self._most == 1 or not is_out_of_memory(error):
                    raise
            # here and not in the handler, whose exception still holds what did not fit
            self._most //= 2
            log(self._on_event, f"Memory did not suffice: {self._most} tiles at once from here on.")

    @torch.inference_mode()
    def _corrected(self, batch: Batch) -> Tensor:
        fine = self.settings.method(batch)
        if self.settings.correction is None:
            return fine
        there = _each(batch, lambda values: values.to(fine.device))
        return self.settings.correction(fine, there.lst, there.mask, self.settings.scale, there.emissivity)

    def take_up(self, cancel: CancelToken) -> None:
        """Before the first piece."""

    def finish(self, piece: int, rows: Floats) -> None:
        """A piece is complete: the rows of the plan's ``final`` window, in the output's unit."""
        raise NotImplementedError


class TiledRun(TileRun):
    """Computes all tiles of a plan and writes them.

    Args:
        settings: How.
        plan: Which tiles.
        scene: The inputs; the reading thread's while the run lasts.
        writer: The output; the writing thread's while the run lasts.
        comparison: Told about every finished part of the output, in the writing thread.
        checkpoint: Where the run begins, and where it notes what is done.
        on_event: Told about progress.
    """

    def __init__(
        self,
        settings: Settings,
        plan: TilePlan,
        scene: SceneReader,
        writer: RasterWriter,
        comparison: InputComparison,
        checkpoint: Checkpoint,
        on_event: OnEvent,
    ) -> None:
        pieces = range(checkpoint.pieces, plan.pieces)
        super().__init__(settings, plan, scene, writer.unit, pieces, checkpoint.pending, on_event)
        self._writer = writer
        self._comparison = comparison
        self._checkpoint = checkpoint

    def take_up(self, cancel: CancelToken) -> None:
        """Compare with the input what an earlier run has done."""
        s, pieces, held = self.settings.scale, self._checkpoint.pieces, self._writer.held
        if pieces == 0:
            return
        last = self.plan.final(pieces - 1)
        held_top = last.bottom * s - len(held)
        for piece in range(pieces):
            cancel.check()
            final = self.plan.final(piece)
            top, bottom, left, right = final.top * s, final.bottom * s, final.left * s, final.right * s
            rows = self._writer.read(Window(left, top, right - left, bottom - top))
            if left == last.left * s and bottom > held_top:
                first = max(top, held_top)
                rows[first - top :] = held[first - held_top : bottom - held_top]
            self._comparison.add(top, left, rows)

    def finish(self, piece: int, rows: Floats) -> None:
        """Write a piece, compare it, and note that it is done."""
        s, final = self.settings.scale, self.plan.final(piece)
        self._writer.write(rows, final.top * s, final.left * s)
        self._comparison.add(final.top * s, final.left * s, rows)
        self._checkpoint.note(piece + 1, self._mosaic.pending, self._writer)


def run_together(runs: Sequence[TileRun], cancel: CancelToken) -> None:
    """Run with one and the same plan, tile by tile side by side: what they share is of one tile at a time.

    Raises:
        GroklstError: As ``TileRun.run``.
    """
    for run in runs:
        run.take_up(cancel)
    steps = zip(*(run.read() for run in runs), strict=True)
    works = ((run, work) for step in steps for run, work in zip(runs, step, strict=True))
    cap = min((run.settings.memory for run in runs if run.settings.memory), default=None)
    with kept_memory() if cap is None else bounded_memory(cap):
        run_pipeline(
            works, lambda item: (item[0], *item[0].compute(item[1])), lambda item: item[0].write(*item[1:]), cancel
        )


def _each(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    fields: dict[str, Any] = {name: function(values) for name, values in batch.tensors.items()}
    return replace(batch, **fields)


def _joined(batches: list[Batch]) -> Batch:
    joined: dict[str, Any] = {
        name: torch.cat([getattr(batch, name) for batch in batches]) for name in batches[0].tensors
    }
    return replace(batches[0], **joined)


def _split(batch: Batch, most: int) -> list[Batch]:
    return [_each(batch, itemgetter(slice(first, first + most))) for first in range(0, len(batch.lst), most)]
