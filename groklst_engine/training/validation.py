"""Scoring a network while it trains, through the public ``downscale()``, and knowing when it has learned enough."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groklst_engine.data.dataset import FineScene
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent, warn
from groklst_engine.inputs import Device
from groklst_engine.metrics import average, score
from groklst_engine.raster import Floats
from groklst_engine.training.preview import draw_preview
from groklst_engine.wald import DegradedScene, degrade
from groklst_engine.weights import SUFFIX

SCENES = 8
"""Scenes that are scored at most, evenly chosen: validation must not take longer than training."""


@dataclass
class Validation:
    """Scores on scenes that are not trained on, and the best weights by them.

    Attributes:
        scenes: To score on, in memory or read when they are wanted.
        scales: To score at.
        every: Steps between two validations.
        patience: Validations without a better RMSE after which training is over; 0: never, and no weights are kept.
        device: Where to downscale.
        write: Writes a network as a weights file.
        output: The weights that are trained; what is written while validating lies beside them.
        step: Of the last validation.
        best: Lowest RMSE so far, K.
        worse: Validations since then.
        weights: Of the network at its best; empty without patience.
    """

    scenes: Sequence[FineScene]
    scales: Sequence[int]
    every: int
    patience: int
    device: Device
    write: Callable[[Path, nn.Module], object]
    output: Path
    step: int = 0
    best: float = float("inf")
    worse: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    _bicubic: dict[tuple[str, int], Floats] = field(default_factory=dict)

    _STATE = ("step", "best", "worse", "weights")

    def state_dict(self) -> dict[str, Any]:
        """What a training that goes on needs."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Go back to a state."""
        for name in self._STATE:
            setattr(self, name, state_dict[name])

    def due(self, step: int) -> bool:
        """Whether it is time, and was not done yet."""
        return step > self.step and step % self.every == 0

    @property
    def over(self) -> bool:
        """Whether more training is not worth it."""
        return 0 < self.patience <= self.worse

    def run(
        self, network: nn.Module, step: int, on_event: OnEvent, cancel: CancelToken
    ) -> tuple[dict[str, float], str | None]:
        """Score the network.

        Returns:
            The five scores and the RMSE divided by bicubic's, averaged over scenes and scales; and a picture of the
            first scene, if matplotlib is there.

        Raises:
            InputError: No scene could be scored.
            Cancelled: Nothing has changed.
        """
        file = self.output.with_name(f"{self.output.stem}.validation{SUFFIX}")
        pictures: list[tuple[DegradedScene, Floats, Floats]] = []
        scores, ratios = [], []
        chosen = np.linspace(0, len(self.scenes) - 1, min(SCENES, len(self.scenes))).round().astype(int)
        try:
            self.write(file, network)
            # building networks draws random numbers; those of the training must not depend on it
            with torch.random.fork_rng(), tempfile.TemporaryDirectory() as folder:
                for number in chosen:
                    for scale in self.scales:
                        scene = self.scenes[int(number)]
                        place = Path(folder) / f"{number}"
                        place.mkdir(exist_ok=True)
                        degraded = degrade(scene, scale, place)
                        try:
                            fine = degraded.downscaled(str(file), cancel, device=self.device).values
                            bicubic = self._bicubic.get((scene.name, scale))
                            if bicubic is None:
                                bicubic = degraded.downscaled("bicubic", cancel, device=self.device).values
                                self._bicubic[scene.name, scale] = bicubic
                            found = score(fine, degraded.truth, degraded.counted)
                            baseline = score(bicubic, degraded.truth, degraded.counted)
                        except (InputError, ValueError) as error:
                            warn(on_event, f"The scene '{scene.name}' cannot be validated on at x{scale}: {error}")
                            continue
                        scores.append(found)
                        ratios.append(found.rmse / baseline.rmse)
                        pictures = pictures or [(degraded, bicubic, fine)]
        finally:
            file.unlink(missing_ok=True)
        if not scores:
            raise InputError("No scene can be validated on: choose larger or clearer scenes, or validate never.")
        mean = average(scores)
        self.step = step
        self.worse = 0 if mean.rmse < self.best else self.worse + 1
        if mean.rmse < self.best:
            self.best = mean.rmse
            if self.patience:
                self.weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        degraded, bicubic, fine = pictures[0]
        fields = {"truth": degraded.truth, "bicubic": bicubic, f"step {step}": fine}
        preview = draw_preview(fields, self.output.with_suffix(".preview.png"))
        values = {name: value for name, value in mean.to_json().items() if name != "n"}
        return {**values, "rmse_to_bicubic": float(np.mean(ratios))}, preview
