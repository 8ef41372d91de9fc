"""Page 3 of the training wizard: how to train. Simple by default; the engine's own defaults stand behind the fold."""

from __future__ import annotations

import re
from math import lcm
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
    QWizardPage,
)

from .advanced_box import AdvancedBox
from .data_page import DataPage
from .model_page import ModelPage
from .speed import SpeedLabel

_LENGTHS = (("Short, to try", 500), ("Usual", 2000), ("Long", 10_000))
_SUBTITLE = "The usual options suit most data."
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class OptionsPage(QWizardPage):
    """Scale, length and name; everything else folded away; and what speaks against them.

    Args:
        data: The scenes.
        model: The network.
    """

    def __init__(self, data: DataPage, model: ModelPage) -> None:
        super().__init__()
        self.setTitle("Options")
        self.setSubTitle(_SUBTITLE)
        self._data = data
        self._model = model
        self._prepared_for: tuple[Any, ...] = ()
        self.scale = QComboBox()
        self.scale.setObjectName("trainScale")
        self.scale.setAccessibleName("Scale, or scales with commas between")
        self.scale.setToolTip("Coarse pixel divided by fine pixel")
        self.length = QComboBox()
        self.length.setObjectName("trainLength")
        self.length.setAccessibleName("Length")
        self.length.setToolTip("A longer training makes a better network, up to a point")
        for label, steps in _LENGTHS:
            self.length.addItem(label, steps)
        self.length.addItem("Other", None)
        self.length.setCurrentIndex(1)
        self.steps = QSpinBox()
        self.steps.setObjectName("trainSteps")
        self.steps.setAccessibleName("Steps")
        self.steps.setRange(1, 1_000_000)
        self.steps.setSuffix(" steps")
        self.name = QLineEdit()
        self.name.setObjectName("trainName")
        self.name.setToolTip("The weights will be a method of this name")
        self.advanced = AdvancedBox()
        self.speed = SpeedLabel()
        self.reasons = QLabel()
        self.reasons.setObjectName("trainReasons")
        self.reasons.setAccessibleName("What speaks against these options")
        self.reasons.setWordWrap(True)

        simple = QGroupBox("Training")
        form = QFormLayout(simple)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        length = QHBoxLayout()
        length.addWidget(self.length, 1)
        length.addWidget(self.steps)
        form.addRow("Scale", self.scale)
        form.addRow("Length", length)
        form.addRow("Name", self.name)
        form.addRow("Time", self.speed)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(simple)
        column.addWidget(self.advanced)
        column.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it follows the focus of what is in it
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(body)
        layout = QVBoxLayout(self)
        layout.addWidget(area, 1)
        layout.addWidget(self.reasons)

        self.length.currentIndexChanged.connect(self._set_length)
        self.scale.currentTextChanged.connect(self._fit_chip)
        for signal in (
            self.scale.currentTextChanged,
            self.steps.valueChanged,
            self.name.textChanged,
            self.advanced.changed,
        ):
            signal.connect(self._check)
        self._set_length()

    def initializePage(self) -> None:  # noqa: N802 - Qt's name
        """Fit the options to network and data, where those have changed."""
        model, preset, start = self._model.model(), self._model.preset.currentData(), self._model.start
        if model is None:
            return
        self.advanced.chip.setEnabled("scenes" in self._data.data())
        network = model["name"], preset, start.weights
        if self._prepared_for[:-1] != network:
            self._fit_to_network(model, preset)
        if self._prepared_for != (*network, self._side()):
            self.advanced.chip.setValue(self._usual_chip())
            self.advanced.crop.setValue(min(64, self._chip_side()))
            self._fit_chip()
        self._prepared_for = (*network, self._side())
        self._check()

    def problems(self) -> list[str]:
        """What speaks against these options, a sentence each."""
        model = self._model.model()
        problems = []
        scales = self.scales()
        if not scales:
            problems.append("The scale is no whole number of 2 or more: give one, or several with commas between.")
        elif model is not None and (unknown := [scale for scale in scales if scale not in model["scales"]]):
            problems.append(f"{model['label']} is not built for the scale {unknown[0]}: choose another.")
        name = self.name.text().strip()
        if not _NAME.fullmatch(name):
            problems.append(
                "The name must begin with a lower-case letter or digit and hold only those, '.', '_' and '-'."
            )
        elif (self._base() / name).exists():
            problems.append(f"There is a training '{name}' already: give another name.")
        if not self._base().is_absolute():
            problems.append("The folder of trainings is not complete: choose one.")
        if self.advanced.everything_is_frozen():
            problems.append("All parts of the network are kept unchanged, so there is nothing to learn: keep fewer.")
        return problems + self._problems_of_size(scales)

    def _problems_of_size(self, scales: list[int]) -> list[str]:
        """What speaks against chips and crops."""
        chip, crop, side = self.advanced.chip.value(), self.advanced.crop.value(), self._chip_side()
        problems = []
        if self.advanced.chip.isEnabled() and chip > self._side():
            problems.append(f"The smallest scene has {self._side()} pixels a side: choose chips no larger than that.")
        if self.advanced.chip.isEnabled() and scales and chip % lcm(*scales):
            step = lcm(*scales)
            near = max(step, chip // step * step)
            problems.append(f"Chips of {chip} pixels are no multiple of {step}, as the scale needs it: choose {near}.")
        if crop > side:
            problems.append(f"Crops of {crop} pixels do not fit into chips of {side}: make them smaller.")
        if scales and crop < 4 * max(scales):
            problems.append(f"A crop of {crop} pixels holds too few coarse pixels of ×{max(scales)}.")
        return problems

    def isComplete(self) -> bool:  # noqa: N802 - Qt's name
        """Whether nothing speaks against the options."""
        return not self.problems()

    def scales(self) -> list[int]:
        """The scales; empty where something else was typed."""
        words = [word.strip() for word in self.scale.currentText().split(",")]
        return [int(word) for word in words] if all(word.isdecimal() and int(word) > 1 for word in words) else []

    def jobs(self) -> tuple[str, Path, list[dict[str, Any]]]:
        """Name, folder, and the jobs of the training: prepare (from layers), train, score."""
        name = self.name.text().strip()
        folder = self._base() / name
        data = self._data.data()
        jobs: list[dict[str, Any]] = []
        test = data.get("dataset")
        if "scenes" in data:
            test = str(folder / "dataset")
            preparation = {"scenes": data["scenes"], "output": test, "scales": self.scales()}
            sizes = {"crop": self.advanced.chip.value(), "seed": self.advanced.seed.value()}
            jobs.append({"kind": "prepare", **preparation, **sizes})
            data = {"dataset": test, "split": "train"}
        weights, start = str(folder / f"{name}.safetensors"), self._model.start.weights
        jobs.append({"kind": "train", **data, **self._train_options(), "output": weights})
        jobs.append(
            {
                "kind": "benchmark",
                "dataset": test,
                "protocol": "wald",
                "methods": ["bicubic", *([start] if start else []), weights],
                "scales": self.scales(),
                "output": str(folder / "scores"),
                "overwrite": True,
                "device": self.advanced.device.currentData(),
            }
        )
        return name, folder, jobs

    def stop(self) -> None:
        """Ask nothing any more."""
        self.speed.stop()

    def _train_options(self) -> dict[str, Any]:
        steps = self.steps.value()
        return {
            **self._model.network(),
            "scales": self.scales(),
            "iterations": steps,
            **self.advanced.options(steps),
            "score_test": True,
            "checkpoint_every": max(1, min(500, steps // 10)),
        }

    def _fit_to_network(self, model: dict[str, Any], preset: str | None) -> None:
        start = self._model.start
        if start.card is None:
            self.setSubTitle(_SUBTITLE)
            self.advanced.fit_to_network(preset)
            self._offer_scales([2, 4, 8] if model["several_scales"] else model["scales"], model, "4")
            self.name.setText(self._free_name(model["name"].lower()))
        else:
            self.setSubTitle(f"Fine-tuning of {start.name}, with the scales and the normalisation that it knows.")
            self.advanced.fit_to_weights(start.card, start.parts)
            self._offer_scales(start.card["scales"], model, "")
            stem = re.sub(r"[^a-z0-9._-]", "-", start.name.lower()).lstrip("._-")
            self.name.setText(self._free_name(f"{stem[:40]}-tuned"))

    def _offer_scales(self, scales: list[int], model: dict[str, Any], wanted: str) -> None:
        """Those of weights are theirs; a network that serves any scale also takes others.

        Args:
            scales: To choose from.
            model: What the engine says of the network.
            wanted: To begin with; the first, if that is not among them.
        """
        together = [", ".join(map(str, scales))] if model["several_scales"] and len(scales) > 1 else []
        self.scale.clear()
        self.scale.setEditable(model["several_scales"] and self._model.start.card is None)
        self.scale.addItems([*together, *map(str, scales)])
        self.scale.setCurrentText(wanted)

    def _usual_chip(self) -> int:
        return 128 if self._side() >= 512 else min(64, self._side() // 16 * 16)

    def _fit_chip(self) -> None:
        """Chips hold whole coarse pixels of all scales, and crops fit into them."""
        step = lcm(*self.scales())
        if self.advanced.chip.isEnabled() and self.advanced.chip.value() % step:
            least, below = self.advanced.chip.minimum(), self._usual_chip() // step * step
            self.advanced.chip.setValue(below if below >= least else -(-least // step) * step)
            self.advanced.crop.setValue(min(self.advanced.crop.value(), self.advanced.chip.value()))

    def _set_length(self) -> None:
        steps = self.length.currentData()
        self.steps.setEnabled(steps is None)
        if steps is not None:
            self.steps.setValue(steps)

    def _base(self) -> Path:
        return Path(self.advanced.folder.filePath().strip())

    def _chip_side(self) -> int:
        """Of what crops are taken from: the chips to be made, or those of a data set."""
        return min(self._side(), self.advanced.chip.value()) if self.advanced.chip.isEnabled() else self._side()

    def _side(self) -> int:
        return int(self._data.seen["side"]) if self._data.seen else 0

    def _free_name(self, name: str) -> str:
        names = (name if number == 1 else f"{name}-{number}" for number in range(1, 10_000))
        return next(name for name in names if not (self._base() / name).exists())

    def _check(self) -> None:
        problems = self.problems()
        self.reasons.setText("\n".join(problems))
        self.reasons.setVisible(bool(problems))
        network = self._model.sizes()
        if not problems and network is not None:
            batch, crop = self.advanced.batch.value(), self.advanced.crop.value()
            device = self.advanced.device.currentData()
            job = {**network, "scale": max(self.scales()), "batch": batch, "crop": crop, "device": device}
            self.speed.ask(job, self.steps.value())
        self.completeChanged.emit()
