"""Page 3 of the training wizard: how to train. Simple by default; the engine's own defaults stand behind the fold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
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

from ..training import trainings_folder
from .data_page import DataPage
from .model_page import ModelPage
from .speed import SpeedLabel

_LENGTHS = (("Short, to try", 500), ("Usual", 2000), ("Long", 10_000))
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LOSSES = ("smooth-l1", "l1", "charbonnier", "ms-ssim", "degradation", "gradient", "adaptive")
_NORMALIZATIONS = ("scene", "z-score", "min-max", "none")

# As GrokLST's networks were published; else the engine's defaults.
_USUAL = {"learning_rate": 2e-3, "weight_decay": 1e-4, "schedule": "one-cycle", "loss": "smooth-l1", "batch": 16}
_PUBLISHED = {"learning_rate": 1e-4, "weight_decay": 1e-5, "schedule": "cosine-restarts", "loss": "l1", "batch": 4}


class OptionsPage(QWizardPage):
    """Scale, length and name; everything else folded away; and what speaks against them.

    Args:
        data: The scenes.
        model: The network.
    """

    def __init__(self, data: DataPage, model: ModelPage) -> None:
        super().__init__()
        self.setTitle("Options")
        self.setSubTitle("The usual options suit most data.")
        self._data = data
        self._model = model
        self._prepared_for: tuple[str, str | None] | None = None
        self.scale = QComboBox()
        self.scale.setObjectName("trainScale")
        self.scale.setAccessibleName("Scale, or scales with commas between")
        self.scale.setToolTip("Coarse pixel divided by fine pixel")
        self.length = QComboBox()
        self.length.setObjectName("trainLength")
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
        self.folder = QgsFileWidget()
        self.folder.setObjectName("trainFolder")
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setFilePath(str(trainings_folder()))
        self.folder.lineEdit().setAccessibleName("Folder of trainings")
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
        column.addWidget(self._make_advanced())
        column.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(body)
        layout = QVBoxLayout(self)
        layout.addWidget(area, 1)
        layout.addWidget(self.reasons)

        self.length.currentIndexChanged.connect(self._set_length)
        for signal in (
            self.scale.currentTextChanged,
            self.steps.valueChanged,
            self.name.textChanged,
            self.folder.fileChanged,
            self.batch.valueChanged,
            self.crop.valueChanged,
            self.chip.valueChanged,
            self.device.currentIndexChanged,
        ):
            signal.connect(self._check)
        self._set_length()

    def initializePage(self) -> None:  # noqa: N802 - Qt's name
        """Fit the options to network and data, where those have changed."""
        model, preset = self._model.model(), self._model.preset.currentData()
        if model is None:
            return
        if self._prepared_for != (model["name"], preset):
            self._prepared_for = (model["name"], preset)
            self.scale.clear()
            several = model["several_scales"]
            self.scale.setEditable(several)
            self.scale.addItems(["2, 4, 8", "2", "4", "8"] if several else list(map(str, model["scales"])))
            self.scale.setCurrentText("4")
            self.name.setText(self._free_name(model["name"].lower()))
            self._set_usual(_PUBLISHED if preset == "paper" else _USUAL)
        side = self._side()
        self.chip.setValue(128 if side >= 512 else max(48, min(64, side // 16 * 16)))
        self.chip.setEnabled("scenes" in self._data.data())
        self.crop.setValue(min(64, side))
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
        side = min(self._side(), self.chip.value()) if self.chip.isEnabled() else self._side()
        if self.chip.isEnabled() and self.chip.value() > self._side():
            problems.append(f"The smallest scene has {self._side()} pixels a side: choose chips no larger than that.")
        if self.crop.value() > side:
            problems.append(f"Crops of {self.crop.value()} pixels do not fit into chips of {side}: make them smaller.")
        if scales and self.crop.value() < 4 * max(scales):
            problems.append(f"A crop of {self.crop.value()} pixels holds too few coarse pixels of ×{max(scales)}.")
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
            preparation = {"scenes": data["scenes"], "output": test, "scales": self.scales(), "crop": self.chip.value()}
            jobs.append({"kind": "prepare", **preparation, "seed": self.seed.value()})
            data = {"dataset": test, "split": "train"}
        weights = str(folder / f"{name}.safetensors")
        jobs.append({"kind": "train", **data, **self._train_options(), "output": weights})
        jobs.append(
            {
                "kind": "benchmark",
                "dataset": test,
                "protocol": "wald",
                "methods": ["bicubic", weights],
                "scales": self.scales(),
                "output": str(folder / "scores"),
                "overwrite": True,
                "device": self.device.currentData(),
            }
        )
        return name, folder, jobs

    def stop(self) -> None:
        """Ask nothing any more."""
        self.speed.stop()

    def _train_options(self) -> dict[str, Any]:
        model = self._model.model()
        assert model is not None
        return {
            "model": model["name"],
            "preset": self._model.preset.currentData(),
            "roles": self._data.roles() if model["guided"] else [],
            "scales": self.scales(),
            "iterations": self.steps.value(),
            "batch": self.batch.value(),
            "crop": self.crop.value(),
            "loss": self.loss.currentText(),
            "optimizer": self.optimizer.currentText(),
            "learning_rate": self.learning_rate.value(),
            "weight_decay": self.weight_decay.value(),
            "schedule": self.schedule.currentText(),
            "normalize_lst": self.normalize_lst.currentText(),
            "normalize_guidance": self.normalize_guidance.currentText(),
            "band_dropping": self.band_dropping.value(),
            "augment": ["flips", "turns", "gains", "noise"] if self.augment.isChecked() else [],
            "validate_every": self.validate_every.value() or max(1, self.steps.value() // 10),
            "seed": self.seed.value(),
            "device": self.device.currentData(),
            "score_test": True,
            "checkpoint_every": max(1, min(500, self.steps.value() // 10)),
        }

    def _make_advanced(self) -> QgsCollapsibleGroupBox:
        self.batch = _whole("trainBatch", 1, 1024, 16)
        self.crop = _whole("trainCrop", 16, 2048, 64, " pixels")
        self.chip = _whole("trainChip", 16, 2048, 128, " pixels")
        self.chip.setToolTip(
            "Side of the pieces that the scenes are cut into and dealt to training, validation and test"
        )
        self.loss = _words("trainLoss", _LOSSES)
        self.optimizer = _words("trainOptimizer", ("adamw", "adam", "sgd"))
        self.schedule = _words("trainSchedule", ("one-cycle", "cosine-restarts", "constant"))
        self.learning_rate = _real("trainRate", 1e-8, 1.0, 2e-3)
        self.weight_decay = _real("trainDecay", 0.0, 1.0, 1e-4)
        self.normalize_lst = _words("trainNormalizeLst", _NORMALIZATIONS)
        self.normalize_guidance = _words("trainNormalizeGuidance", _NORMALIZATIONS)
        self.band_dropping = _real("trainBandDropping", 0.0, 1.0, 0.25)
        self.band_dropping.setToolTip("How often a guidance band is hidden, so that the network also serves without it")
        self.augment = QCheckBox("Flip, turn and vary the samples")
        self.augment.setObjectName("trainAugment")
        self.augment.setChecked(True)
        self.validate_every = _whole("trainValidate", 0, 1_000_000, 0, " steps")
        self.validate_every.setSpecialValueText("Ten times in all")
        self.seed = _whole("trainSeed", 0, 2_000_000_000, 0)
        self.device = QComboBox()
        self.device.setObjectName("trainDevice")
        for label, device in (("Fastest", "auto"), ("Processor", "cpu"), ("CUDA", "cuda"), ("Apple GPU", "mps")):
            self.device.addItem(label, device)
        box = QgsCollapsibleGroupBox("Advanced")
        box.setObjectName("trainAdvanced")
        box.setCollapsed(True)
        form = QFormLayout(box)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, widget in (
            ("Samples per step", self.batch),
            ("Crop side", self.crop),
            ("Chip side", self.chip),
            ("Loss", self.loss),
            ("Optimiser", self.optimizer),
            ("Learning rate", self.learning_rate),
            ("Weight decay", self.weight_decay),
            ("Schedule", self.schedule),
            ("Normalise LST", self.normalize_lst),
            ("Normalise guidance", self.normalize_guidance),
            ("Hide bands", self.band_dropping),
            ("Samples", self.augment),
            ("Validate every", self.validate_every),
            ("Seed", self.seed),
            ("Device", self.device),
            ("Folder of trainings", self.folder),
        ):
            form.addRow(label, widget)
        return box

    def _set_usual(self, options: dict[str, Any]) -> None:
        self.learning_rate.setValue(options["learning_rate"])
        self.weight_decay.setValue(options["weight_decay"])
        self.schedule.setCurrentText(options["schedule"])
        self.loss.setCurrentText(options["loss"])
        self.batch.setValue(options["batch"])

    def _set_length(self) -> None:
        steps = self.length.currentData()
        self.steps.setEnabled(steps is None)
        if steps is not None:
            self.steps.setValue(steps)

    def _base(self) -> Path:
        return Path(self.folder.filePath().strip())

    def _side(self) -> int:
        return int(self._data.seen["side"]) if self._data.seen else 0

    def _free_name(self, name: str) -> str:
        names = (name if number == 1 else f"{name}-{number}" for number in range(1, 10_000))
        return next(name for name in names if not (self._base() / name).exists())

    def _check(self) -> None:
        problems = self.problems()
        self.reasons.setText("\n".join(problems))
        self.reasons.setVisible(bool(problems))
        model = self._model.model()
        if not problems and model is not None:
            job = {
                "model": model["name"],
                "preset": self._model.preset.currentData(),
                "scale": max(self.scales()),
                "guidance_bands": len(self._data.roles()) if model["guided"] else 0,
                "batch": self.batch.value(),
                "crop": self.crop.value(),
                "device": self.device.currentData(),
            }
            self.speed.ask(job, self.steps.value())
        self.completeChanged.emit()


def _whole(name: str, low: int, high: int, value: int, suffix: str = "") -> QSpinBox:
    box = QSpinBox()
    box.setObjectName(name)
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    return box


def _real(name: str, low: float, high: float, value: float) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setObjectName(name)
    box.setDecimals(6)
    box.setRange(low, high)
    box.setSingleStep(value / 2)
    box.setValue(value)
    return box


def _words(name: str, words: tuple[str, ...]) -> QComboBox:
    combo = QComboBox()
    combo.setObjectName(name)
    combo.addItems(words)
    return combo
