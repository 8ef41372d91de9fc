"""The jobs around training: prepare a data set, find its statistics, train, benchmark."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from groklst_engine.bands import Role
from groklst_engine.inputs import DEFAULT_NETWORK, Device, FineData, Frozen, Scale, SceneSource, Split

Normalization = Literal["scene", "none", "z-score", "min-max"]
Augmentation = Literal["flips", "turns", "gains", "noise", "blur", "shift"]


def _listed(value: Any) -> Any:
    """An empty list can't be typed on a command line: ``none`` is one."""
    return () if value in ("none", ["none"], ("none",)) else value


Augmentations = Annotated[tuple[Augmentation, ...], BeforeValidator(_listed)]


class PrepareJob(Frozen):
    """Cut rasters into a data set for training by Wald's protocol.

    Attributes:
        scenes: Fine scenes.
        output: Folder of the data set; an interrupted preparation goes on where it stopped.
        format: How chips are stored: a GeoTIFF each, one Zarr store, or the layout of the GrokLST data set (version
            7.3 of MATLAB's files).
        scales: Scales to be trained for; the chips' coarse LST is made and kept for each.
        crop: Side of a chip, in fine pixels.
        overlap: Share of a chip's side that neighbours have in common.
        min_valid: Least share of a chip's pixels that must be valid.
        psf: How the sensor's pixel collects: box, or gaussian.
        mtf: Of the gaussian: its modulation transfer at the coarse pixel's Nyquist frequency.
        shares: Of train, val and test, e.g. 60,10,30 or 0.6,0.1,0.3.
        block: Side of the blocks dealt to the splits as a whole, in fine pixels; 0 chooses.
        seed: Another seed, another deal.
        overwrite: Whether another data set in the folder may be replaced.
    """

    kind: Literal["prepare"] = "prepare"
    scenes: tuple[SceneSource, ...] = Field(min_length=1)
    output: Path
    format: Literal["geotiff", "zarr", "groklst"] = "geotiff"
    scales: tuple[Scale, ...] = Field((2, 4, 8), min_length=1)
    crop: int = Field(128, ge=16)
    overlap: float = Field(0.5, ge=0, lt=1)
    min_valid: float = Field(0.9, gt=0, le=1)
    psf: Literal["box", "gaussian"] = "box"
    mtf: float = Field(0.3, ge=0.05, le=0.95)
    shares: tuple[float, float, float] = (0.6, 0.1, 0.3)
    block: int = Field(0, ge=0)
    seed: int = 0
    overwrite: bool = False

    @model_validator(mode="after")
    def _fit_together(self) -> PrepareJob:
        scales = (8, *self.scales) if self.format == "groklst" else self.scales
        if other := [scale for scale in self.scales if self.format == "groklst" and scale not in (2, 4, 8)]:
            raise ValueError(f"the layout of GrokLST has no place for scale {other[0]}: leave it out, or take GeoTIFF")
        if self.crop % math.lcm(*scales):
            raise ValueError(f"the crop {self.crop} is no multiple of {math.lcm(*scales)}, as the scales need it")
        if 0 < self.block < self.crop:
            raise ValueError(f"blocks of {self.block} pixels hold no crop of {self.crop}: choose larger blocks")
        if self.shares[0] <= 0 or min(self.shares) < 0:
            raise ValueError("the shares must not be negative, and that of train must be positive")
        if len({source.name for source in self.scenes}) < len(self.scenes):
            raise ValueError("two scenes have the same name: rename one")
        return self


class StatisticsJob(FineData):
    """Find mean, standard deviation and range of each band."""

    kind: Literal["statistics"] = "statistics"


class TrainingRecipe(FineData):
    """What decides what a training gives: it is resumed only with the same recipe, and its card tells it.

    Attributes:
        model: Architecture, a name of ``groklst models``.
        preset: A named size of the architecture.
        arguments: Further arguments of the architecture.
        roles: Guidance bands the network takes, by role and in order.
        scales: Scales to train for; most networks take one only.
        loss: What the optimiser makes small: l1, smooth-l1, charbonnier, ms-ssim, degradation, gradient, or adaptive
            (degradation, charbonnier and ms-ssim with learned weights).
        iterations: Optimiser steps.
        batch: Samples per step.
        crop: Side of a training crop, in fine pixels.
        optimizer: What makes the loss small; sgd has a momentum of 0.9.
        learning_rate: The optimiser's, at its highest.
        schedule: How the learning rate changes: rises and falls once, falls four times along a cosine as published
            with GrokLST, or stays.
        weight_decay: The optimiser's.
        accumulate: Batches whose gradients make one step.
        average: Keep an exponential moving average of the weights as the result.
        precision: bfloat16 where the processor is fast at it (auto), or always, or never.
        recompute: Compute activations again on the way back instead of keeping them: less memory, more time.
        start_from: Weights to go on from, a name or a file; their bands are matched by role.
        freeze: Beginnings of the names of parameters that keep their values.
        validate_regions: Regions kept out of training to score the network on while it trains; a data set has its own
            validation split.
        validate_every: Steps between two validations through downscale(); 0 for none.
        patience: Validations without a better RMSE after which training ends early with the best weights; 0 for none.
        band_dropping: Probability that a band is hidden from a sample, so that any subset of roles serves later.
        augment: What a new scene may look like: flips, quarter turns, gains and offsets of the bands, noise, another
            blur of the sensor (blur), and guidance that lies up to a fine pixel beside the LST (shift); none for none.
        normalize_lst: How the LST becomes network units: by the scene's own coarse statistics (scene), or by those of
            the whole training data, kept in the card (z-score, min-max), or not at all.
        normalize_guidance: The same for each guidance band.
        seed: Random seed.
        device: Where to train.
        cross_validate: Regions, or groups of them joined by +; for each a network is trained without it, scored on
            it, and its scores kept in the card. The network that is written is then trained on all scenes.
        score_test: Score the network on the data set's test split in the end, beside bicubic, for the card.
        score_scales: Scales of the scores in the card; empty: those trained for.
    """

    model: str = "guided-residual"
    preset: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    roles: tuple[Role, ...] = ()
    scales: tuple[Scale, ...] = Field((2, 4, 8), min_length=1)
    loss: str = "smooth-l1"
    iterations: int = Field(2000, ge=1)
    batch: int = Field(16, ge=1)
    crop: int = Field(64, ge=16)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0)
    schedule: Literal["one-cycle", "cosine-restarts", "constant"] = "one-cycle"
    weight_decay: float = Field(1e-4, ge=0)
    accumulate: int = Field(1, ge=1)
    average: bool = True
    precision: Literal["auto", "bf16", "float32"] = "auto"
    recompute: bool = False
    start_from: str | None = None
    freeze: tuple[str, ...] = ()
    validate_regions: tuple[str, ...] = ()
    validate_every: int = Field(0, ge=0)
    patience: int = Field(0, ge=0)
    band_dropping: float = Field(0.25, ge=0, le=1)
    augment: Augmentations = ("flips", "turns", "gains", "noise")
    normalize_lst: Normalization = "scene"
    normalize_guidance: Normalization = "scene"
    seed: int = 0
    device: Device = "auto"
    cross_validate: tuple[str, ...] = ()
    score_test: bool = False
    score_scales: tuple[Scale, ...] = ()


class TrainJob(TrainingRecipe):
    """Train a network on scenes by Wald's protocol and write a weights file.

    What stands here and not in the recipe changes nothing of what is learned.

    Attributes:
        label: Name for people, in the card and in listings; the file's name is the name for `--method`.
        description: A sentence for the card.
        limitations: When not to trust it, for the card.
        credits: Whose data the scenes are, for the card.
        tensorboard: Folder for TensorBoard, which the extra of that name brings.
        keep_folds: Keep the networks of the cross-validation beside the weights, as NAME.without-REGIONS.safetensors:
            what is scored with them later is scored on scenes that they have not seen.
        output: Weights file to write; a log of the steps is kept beside it, ending in .training.csv.
        overwrite: Whether an existing file may be replaced.
        resume: Go on where a training with the same options was interrupted.
        checkpoint_every: Steps between two savings of what a resumed training needs; cancelling saves it, too.
    """

    kind: Literal["train"] = "train"
    label: str = ""
    description: str = ""
    limitations: str = ""
    credits: str = ""
    tensorboard: Path | None = None
    keep_folds: bool = False
    output: Path
    overwrite: bool = False
    resume: bool = False
    checkpoint_every: int = Field(500, ge=1)


class BenchmarkJob(FineData):
    """Compare methods and networks on the same data in one table.

    Networks are trained on the data set's training split and scored on its test split; methods and weights are
    scored as they are. With scenes there is nothing to train on, so only methods and weights take part. A network is
    trained as published with GrokLST: AdamW, the L1 loss, four cosines, no augmentation.

    Attributes:
        split: Part of the data set to score on.
        train_split: Part of the data set to train on.
        models: Networks to train, names of ``groklst models``, or all.
        methods: Methods and weights to score without training; bicubic is always among them.
        scales: Scales to score.
        protocol: groklst averages each metric over the test images, as published; wald pools a scene's pixels and
            divides by bicubic's.
        preset: Size of the networks where they have one of that name.
        iterations: Optimiser steps of each training.
        batch: Samples per step.
        crop: Side of a training crop in fine pixels, where the samples are not smaller.
        learning_rate: The optimiser's.
        weight_decay: The optimiser's.
        normalize_lst: How the LST becomes network units: see the training.
        normalize_guidance: The same for each guidance band.
        normalization_study: Also train each network under none, z-score and min-max for LST and guidance.
        consistency: Make the block means of each result equal the coarse input; the published figures are without.
        seed: Random seed.
        device: Where to train and score.
        output: Folder for table, figure and weights; an interrupted benchmark goes on where it stopped.
        overwrite: Whether results in the folder that were made with other options may be replaced.
    """

    kind: Literal["benchmark"] = "benchmark"
    split: Split = "test"
    train_split: Split = "trainval"
    models: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("bicubic", DEFAULT_NETWORK)
    scales: tuple[Scale, ...] = Field((2, 4, 8), min_length=1)
    protocol: Literal["groklst", "wald"] = "groklst"
    preset: str | None = None
    iterations: int = Field(10_000, ge=1)
    batch: int = Field(4, ge=1)
    crop: int = Field(512, ge=16)
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    normalize_lst: Normalization = "z-score"
    normalize_guidance: Normalization = "z-score"
    normalization_study: bool = False
    consistency: bool = True
    seed: int = 0
    device: Device = "auto"
    output: Path
    overwrite: bool = False
