"""The folded part of the options page: the engine's own defaults, or what was published with a network."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsCheckableComboBox, QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QSpinBox

from ..folded_box import FoldedBox
from ..training import trainings_folder

_LOSSES = ("smooth-l1", "l1", "charbonnier", "ms-ssim", "degradation", "gradient", "adaptive")
_NORMALIZATIONS = ("scene", "z-score", "min-max", "none")
_NORMALIZING = (
    "How {what} becomes the network's units: by each scene's own statistics, by those of all training scenes, or not"
)

# As GrokLST's networks were published; else the engine's defaults, with smaller steps where a network knows something.
_USUAL = {"learning_rate": 2e-3, "weight_decay": 1e-4, "schedule": "one-cycle", "loss": "smooth-l1", "batch": 16}
_FINE_TUNED = {**_USUAL, "learning_rate": 1e-3}
_PUBLISHED = {"learning_rate": 1e-4, "weight_decay": 1e-5, "schedule": "cosine-restarts", "loss": "l1", "batch": 4}


class AdvancedBox(FoldedBox):
    """Options that most trainings leave as they are."""

    changed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__("Advanced", "trainAdvanced")
        self.batch = _whole("trainBatch", 1, 1024, 16)
        self.crop = _whole("trainCrop", 16, 2048, 64, " pixels")
        self.chip = _whole("trainChip", 48, 2048, 128, " pixels")  # the engine learns nothing from smaller ones
        self.chip.setToolTip(
            "Side of the pieces that the scenes are cut into and dealt to training, validation and test"
        )
        self.batch.setToolTip("Crops that make up a step: more of them need more memory and time")
        self.crop.setToolTip("Side of the random part of a chip that the network sees at once")
        self.loss = _words("trainLoss", _LOSSES)
        self.loss.setToolTip("How the error is measured that the training makes small")
        self.optimizer = _words("trainOptimizer", ("adamw", "adam", "sgd"))
        self.optimizer.setToolTip("What makes the loss small; sgd has a momentum of 0.9")
        self.schedule = _words("trainSchedule", ("one-cycle", "cosine-restarts", "constant"))
        self.schedule.setToolTip(
            "How the learning rate changes: rises and falls once, falls four times as published with GrokLST, or stays"
        )
        self.learning_rate = _real("trainRate", 1e-8, 1.0, 2e-3)
        self.learning_rate.setToolTip("Size of a step at its largest: smaller for weights to fine-tune")
        self.weight_decay = _real("trainDecay", 0.0, 1.0, 1e-4)
        self.weight_decay.setToolTip("How strongly large weights are held back")
        self.freeze = QgsCheckableComboBox()
        self.freeze.setObjectName("trainFreeze")
        self.freeze.setDefaultText("Nothing")
        self.normalize_lst = _words("trainNormalizeLst", _NORMALIZATIONS)
        self.normalize_guidance = _words("trainNormalizeGuidance", _NORMALIZATIONS)
        self.band_dropping = _real("trainBandDropping", 0.0, 1.0, 0.25)
        self.band_dropping.setToolTip("How often a guidance band is hidden, so that the network also serves without it")
        self.augment = QCheckBox("Flip, turn and vary the samples")
        self.augment.setObjectName("trainAugment")
        self.augment.setChecked(True)
        self.augment.setToolTip("Mirror and turn them, vary gain and offset of the bands, and add noise")
        self.validate_every = _whole("trainValidate", 0, 1_000_000, 0, " steps")
        self.validate_every.setSpecialValueText("Ten times in all")
        self.validate_every.setToolTip("How often the network is scored on the validation split")
        self.seed = _whole("trainSeed", 0, 2_000_000_000, 0)
        self.seed.setToolTip("Another seed deals, draws and begins otherwise")
        self.device = QComboBox()
        self.device.setToolTip("Where to train")
        self.device.setObjectName("trainDevice")
        for label, device in (("Fastest", "auto"), ("Processor", "cpu"), ("CUDA", "cuda"), ("Apple GPU", "mps")):
            self.device.addItem(label, device)
        self.folder = QgsFileWidget()
        self.folder.setObjectName("trainFolder")
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setFilePath(str(trainings_folder()))
        self.folder.lineEdit().setAccessibleName("Folder of trainings")
        form = QFormLayout(self)
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
            ("Keep unchanged", self.freeze),
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
        for signal in (
            self.batch.valueChanged,
            self.crop.valueChanged,
            self.chip.valueChanged,
            self.freeze.checkedItemsChanged,
            self.device.currentIndexChanged,
            self.folder.fileChanged,
        ):
            signal.connect(self.changed)

    def fit_to_network(self, preset: str | None) -> None:
        """Options for a network that knows nothing yet.

        Args:
            preset: Its size; ``paper`` takes the published options, too.
        """
        self._set(_PUBLISHED if preset == "paper" else _USUAL)
        self._lock({"lst": {"mode": "scene"}, "guidance": {"mode": "scene"}}, locked=False)
        self._offer_parts([])

    def fit_to_weights(self, card: dict[str, Any], parts: list[str]) -> None:
        """Options for weights to fine-tune: small steps, and the normalisation that they know.

        Args:
            card: Theirs.
            parts: Of their network, which can be kept unchanged.
        """
        self._set(_FINE_TUNED)
        same = {"mode": "scene"}
        known = card["normalization"]
        self._lock({"lst": same, "guidance": same} if known == "scene" else known, locked=True)
        self._offer_parts(parts)

    def frozen(self) -> list[str]:
        """Beginnings of the names of parameters that keep their values."""
        return [str(part) for part in self.freeze.checkedItemsData()]

    def everything_is_frozen(self) -> bool:
        """Whether nothing is left to learn."""
        return bool(0 < self.freeze.count() == len(self.frozen()))

    def options(self, steps: int) -> dict[str, Any]:
        """What a train job is told.

        Args:
            steps: Of the training.
        """
        return {
            "batch": self.batch.value(),
            "crop": self.crop.value(),
            "loss": self.loss.currentText(),
            "optimizer": self.optimizer.currentText(),
            "learning_rate": self.learning_rate.value(),
            "weight_decay": self.weight_decay.value(),
            "schedule": self.schedule.currentText(),
            "freeze": self.frozen(),
            "normalize_lst": self.normalize_lst.currentText(),
            "normalize_guidance": self.normalize_guidance.currentText(),
            "band_dropping": self.band_dropping.value(),
            "augment": ["flips", "turns", "gains", "noise"] if self.augment.isChecked() else [],
            "validate_every": self.validate_every.value() or max(1, steps // 10),
            "seed": self.seed.value(),
            "device": self.device.currentData(),
        }

    def _set(self, options: dict[str, Any]) -> None:
        self.learning_rate.setValue(options["learning_rate"])
        self.weight_decay.setValue(options["weight_decay"])
        self.schedule.setCurrentText(options["schedule"])
        self.loss.setCurrentText(options["loss"])
        self.batch.setValue(options["batch"])

    def _lock(self, normalization: dict[str, Any], locked: bool) -> None:
        for combo, key, what in (
            (self.normalize_lst, "lst", "the LST"),
            (self.normalize_guidance, "guidance", "each guidance band"),
        ):
            combo.setCurrentText(normalization[key]["mode"])
            combo.setEnabled(not locked)
            combo.setToolTip("As the weights to fine-tune know it" if locked else _NORMALIZING.format(what=what))

    def _offer_parts(self, parts: list[str]) -> None:
        self.freeze.clear()
        for part in parts:
            self.freeze.addItemWithCheckState(part.removesuffix("."), Qt.CheckState.Unchecked, part)
        self.freeze.setEnabled(bool(parts))
        self.freeze.setToolTip(
            "Parts of the network that keep what they have learned elsewhere"
            if parts
            else "Only for weights to fine-tune: random weights have learned nothing to keep"
        )


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
