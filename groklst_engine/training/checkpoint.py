"""What a training keeps beside its output: a checkpoint, to go on as if never interrupted, and a log of its steps."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from groklst_engine.errors import InputError, OutputError
from groklst_engine.whole_file import whole_file


class Stateful(Protocol):
    """Anything of a training that changes from step to step."""

    def state_dict(self) -> dict[str, Any]:
        """Its state, in tensors and primitives."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Go back to a state."""


class RandomState:
    """The state of the random numbers that layers draw from.

    Args:
        device: Where the network is; it has its own random numbers if it is not the processor.
    """

    def __init__(self, device: torch.device) -> None:
        self._module = None if device.type == "cpu" else torch.get_device_module(device)

    def state_dict(self) -> dict[str, Any]:
        """Both states, as tensors of bytes."""
        states = {"cpu": torch.get_rng_state()}
        return states if self._module is None else {**states, "device": self._module.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Go on with the numbers that would have come next."""
        torch.set_rng_state(state_dict["cpu"])
        if self._module is not None:
            self._module.set_rng_state(state_dict["device"])


@dataclass
class StepLog:
    """A table with a row for each step and each validation, as CSV.

    Attributes:
        path: The file; it appears with the first row.
        size: Its length in bytes; what stands behind comes from steps that are done again, and is dropped.
    """

    path: Path
    size: int = 0

    COLUMNS = (
        *("run", "step", "scale", "loss", "learning_rate", "seconds"),
        *("rmse", "mae", "bias", "cc", "rsd", "rmse_to_bicubic"),
    )

    def write(self, **cells: float) -> None:
        """Add a row; columns without a cell stay empty.

        Raises:
            OutputError: The file cannot be written.
        """
        try:
            with self.path.open("ab", buffering=0) as file:
                kept = min(self.size, file.tell())
                file.truncate(kept)
                row = [cells.get(column, "") for column in self.COLUMNS]
                rows = [row] if kept else [self.COLUMNS, row]
                text = "".join(",".join(map(str, cells)) + "\n" for cells in rows).encode()
                file.write(text)
        except OSError as error:
            raise OutputError(f"The log '{self.path}' cannot be written: check folder and disk space.") from error
        self.size = kept + len(text)


@dataclass
class Checkpoint:
    """The file from which an interrupted training goes on.

    Attributes:
        path: Its file; it is replaced only by a complete one.
        options: Of the training, as JSON has them: only one with the same options may go on.
        every: Steps between two savings.
        log: The log, which goes back to the checkpoint, too.
        scores: Of each finished run of a cross-validation.
        learning: State of the interrupted run; empty at its beginning.
    """

    path: Path
    options: Mapping[str, Any]
    every: int
    log: StepLog
    scores: list[list[dict[str, Any]]] = field(default_factory=list)
    learning: dict[str, Any] = field(default_factory=dict)

    def load(self) -> None:
        """Take up what the file holds.

        Raises:
            InputError: It is damaged, or comes from a training with other options.
        """
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            options, scores = json.loads(kept["options"]), json.loads(kept["scores"])
            self.log.size, self.learning = kept["log"], kept["learning"]
        except (OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise InputError(
                f"The checkpoint '{self.path}' is damaged: start again, without --resume and with --overwrite."
            ) from error
        for name in {**options, **self.options}:
            if options.get(name) != self.options.get(name):
                raise InputError(
                    f"The checkpoint '{self.path}' comes from a training with another '{name}': give the same options, "
                    "or start again, without --resume and with --overwrite."
                )
        self.scores = scores

    def restore(self, parts: Mapping[str, Stateful]) -> tuple[int, float, float]:
        """Bring all parts of a training back to where the interrupted run was.

        Returns:
            Steps done, sum of the losses not yet reported, and seconds taken; zeros at a beginning.
        """
        learning, self.learning = self.learning, {}
        if not learning:
            return 0, 0.0, 0.0
        for name, part in parts.items():
            part.load_state_dict(learning["parts"][name])
        return learning["step"], learning["total"], learning["seconds"]

    def save(self, parts: Mapping[str, Stateful], step: int, total: float, seconds: float) -> None:
        """Keep the state of a run after a step.

        Raises:
            OutputError: The file cannot be written; the one before is kept.
        """
        states = {name: part.state_dict() for name, part in parts.items()}
        self._write({"parts": states, "step": step, "total": total, "seconds": seconds})

    def finish_run(self, scores: list[dict[str, Any]]) -> None:
        """Keep the scores of a run, which is not repeated.

        Raises:
            OutputError: The file cannot be written; the one before is kept.
        """
        self.scores.append(scores)
        self._write({})

    def _write(self, learning: dict[str, Any]) -> None:
        content = io.BytesIO()
        texts = {"options": json.dumps(self.options), "scores": json.dumps(self.scores)}
        torch.save({**texts, "log": self.log.size, "learning": learning}, content)
        try:
            with whole_file(self.path) as part, part.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())  # else a power failure may leave the new name with no content
        except OSError as error:
            raise OutputError(
                f"The checkpoint '{self.path}' cannot be written: check folder and disk space; a checkpoint saved "
                "before is kept."
            ) from error

    def delete(self) -> None:
        """Remove the file; the training is over."""
        self.path.unlink(missing_ok=True)
