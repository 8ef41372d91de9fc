"""What a benchmark computes as a whole and keeps: one network or method at one scale."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groklst_engine.errors import InputError, OutputError
from groklst_engine.training_jobs import Normalization
from groklst_engine.whole_file import write_whole

STUDIED: tuple[Normalization, ...] = ("none", "z-score", "min-max")
"""The normalisations of the study, for LST and guidance each."""


@dataclass(frozen=True)
class Unit:
    """One network or method at one scale.

    Attributes:
        name: Of the network in the zoo; or of the method, or the path of its weights file.
        label: For people.
        scale: Coarse pixel divided by fine pixel.
        normalize: Of LST and guidance, for a network to be trained; None for what is scored as it is.
        main: Whether it stands in the main table, or in the study of normalisations only.
    """

    name: str
    label: str
    scale: int
    normalize: tuple[Normalization, Normalization] | None = None
    main: bool = True

    @property
    def title(self) -> str:
        """For messages."""
        text = f"{self.label} x{self.scale}"
        return text if self.main or self.normalize is None else f"{text} (LST {' / guidance '.join(self.normalize)})"

    @property
    def stem(self) -> str:
        """Of its files."""
        words = [self.name, f"x{self.scale}", *(self.normalize or ())]
        return re.sub(r"[^\w.-]+", "-", "_".join(words)).strip("-")


@dataclass
class Result:
    """What is known of a unit, in a file that is replaced whole.

    Attributes:
        path: The file.
        training: Options of the training; empty before it began, or for a method.
        seconds: The training took, interruptions left out; None until it is done.
        parameters: Of the network; None for other methods.
        scoring: Options of the scoring; empty until it is done.
        scenes: A row of scores for each scene the method could do.
        left_out: Sentences about those it could not.
        rmse_otherwise: Of a network's results with the coarse-consistency correction if the scores are without, and
            the other way round; None for other methods.
    """

    path: Path
    training: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    parameters: int | None = None
    scoring: dict[str, Any] = field(default_factory=dict)
    scenes: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    rmse_otherwise: float | None = None

    @classmethod
    def kept(cls, path: Path) -> Result:
        """The result in a file; an empty one if there is none.

        Raises:
            InputError: The file is damaged.
        """
        try:
            return cls(path=path, **json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return cls(path)
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"The result '{path}' cannot be read: delete it to have it computed again.") from error

    def save(self) -> None:
        """Write the file, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        content = {name: value for name, value in asdict(self).items() if name != "path"}
        try:
            write_whole(self.path, json.dumps(content, indent=1))
        except OSError as error:
            raise OutputError(f"The result '{self.path}' cannot be written: check folder and disk space.") from error

    def forget_scores(self) -> None:
        """Have the scoring done again."""
        self.scoring, self.scenes, self.left_out, self.rmse_otherwise = {}, [], [], None
        self.save()

    def mean(self, score: str) -> float:
        """A score averaged over the scenes."""
        return float(sum(row[score] for row in self.scenes) / len(self.scenes))

    @property
    def cpu_seconds_per_mpx(self) -> float:
        """Processor time for a million valid pixels of output, reading and writing included."""
        return float(sum(row["cpu_seconds"] for row in self.scenes) / sum(row["n"] for row in self.scenes) * 1e6)
