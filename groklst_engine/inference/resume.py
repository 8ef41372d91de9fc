"""What is done of a run, noted beside its unfinished output, so that an interrupted run can be continued."""

from __future__ import annotations

import time
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from groklst_engine.errors import OutputError
from groklst_engine.raster import Floats, RasterWriter
from groklst_engine.whole_file import whole_file

INTERVAL = 2.0
"""Seconds of work that an interruption may cost, at least; noting more often would slow down quick runs."""


class Checkpoint:
    """How far a run has come: pieces done, and the rows that are computed but not in the file yet.

    Kept in ``<output>.part.done``, replaced at once and only after the output is on the disk.

    Args:
        output: Final file.
        fingerprint: Text that is equal for equal runs only.

    Attributes:
        pieces: Pieces done, which all lie in the ``.part`` file or in ``pending`` and ``held``.
        core: Side of the tiles' cores, in coarse pixels; None before the first note.
        pending: Of the mosaic.
        held: Of the writer; None when there is nothing to continue.
    """

    def __init__(self, output: Path, fingerprint: str) -> None:
        self.path = output.with_name(output.name + ".part.done")
        self._part = output.with_name(output.name + ".part")
        self._fingerprint = fingerprint
        self._noted = time.monotonic()
        self.restart(None)

    def restart(self, core: int | None) -> None:
        """Nothing is done yet, with tiles of this core."""
        self.core = core
        self.pieces = 0
        self.pending: Floats | None = None
        self.held: Floats | None = None
        self.path.unlink(missing_ok=True) if core else None

    def load(self) -> None:
        """Take up what an earlier run noted, if there is anything.

        Raises:
            OutputError: It was another run, or the note is damaged.
        """
        if not (self.path.exists() and self._part.exists()):
            return
        try:
            with np.load(self.path, allow_pickle=False) as noted:
                same = str(noted["fingerprint"]) == self._fingerprint
                self.pieces, self.core = int(noted["pieces"]), int(noted["core"])
                self.pending, self.held = noted["pending"], noted["held"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise OutputError(f"The note '{self.path}' is damaged: delete it, or run without resuming.") from error
        if not same:
            raise OutputError(
                f"The unfinished output '{self._part}' is of another job or other inputs: delete it, or run without "
                "resuming."
            )

    def note(self, pieces: int, pending: Floats, writer: RasterWriter) -> None:
        """Note that so many pieces are done, if the last note is old enough.

        Raises:
            OutputError: The disk is full or gone.
        """
        if time.monotonic() - self._noted < INTERVAL:
            return
        writer.sync()
        try:
            with whole_file(self.path) as part, part.open("wb") as file:
                np.savez(
                    file,
                    fingerprint=self._fingerprint,
                    pieces=pieces,
                    core=self.core or 0,
                    pending=pending,
                    held=writer.held,
                )
        except OSError as error:
            raise OutputError(f"Writing '{self.path}' failed: check that the disk has room.") from error
        self._noted = time.monotonic()

    def clear(self) -> None:
        """Forget it."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
