"""Train on this scene: learn one scale up, where the truth is known, and apply one scale down.

The coarse LST, degraded once more by the scale, and the guidance aggregated to the LST's own pixels make a training
pair whose truth is the LST itself (Wald's protocol on the user's own rasters). It needs no other data and takes any
band of any sensor; it assumes that the relation of LST and guidance is alike at both scales, and is weaker than a
network trained on many scenes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from groklst_engine.data.dataset import TrainingScene
from groklst_engine.data.sampling import SceneSampler
from groklst_engine.degrade import WHOLE, masked_block_mean
from groklst_engine.distribution import Group
from groklst_engine.errors import InputError
from groklst_engine.events import CancelToken, OnEvent
from groklst_engine.learning import learn
from groklst_engine.methods.base import Batch, BuildOptions, MethodSpec, Scene
from groklst_engine.methods.network import NetworkDownscaler, scene_normalizers
from groklst_engine.models.guided_residual import GuidedResidual, radius
from groklst_engine.normalize import Normalizer
from groklst_engine.schedules import Schedule
from groklst_engine.training_jobs import Augmentation

ITERATIONS = 300
WIDTH = 24
DILATIONS = (1, 2, 1)
WINDOWS = (2,)
AUGMENT: tuple[Augmentation, ...] = ("flips", "turns", "gains", "noise")
MIN_PIXELS = 400
"""Valid coarse pixels below which there is nothing to learn from."""


class SelfScale:
    """A small guided residual network trained on the scene.

    Args:
        options: Scale, roles, device, seed.

    Raises:
        InputError: There is no guidance.
    """

    def __init__(self, options: BuildOptions) -> None:
        if not options.roles:
            raise InputError("Training on the scene needs guidance: add a finer layer, or choose bicubic-ibp.")
        self.radius: int | None = radius(options.scale, DILATIONS, WINDOWS)
        self._options = options
        self._network: NetworkDownscaler | None = None

    def fit(self, scene: Scene, on_event: OnEvent, cancel: CancelToken) -> None:
        """Train one scale up.

        Raises:
            InputError: The scene is too small.
            Cancelled: Between two steps.
        """
        options = self._options
        statistics = scene_normalizers(scene, tuple(scene.roles), cancel)
        scenes = [_one_scale_up(batch, scene.scale, *statistics) for batch in scene.tiles]
        scenes = [scene_ for scene_ in scenes if min(scene_.mask.shape[-2:]) >= 2 * options.scale]
        valid = sum(int(scene_.mask.sum()) for scene_ in scenes)
        if valid < MIN_PIXELS:
            raise InputError(
                f"Training on the scene needs {MIN_PIXELS} coarse pixels covered by LST and guidance, and finds "
                f"{valid}: use a larger extent or a trained network."
            )
        torch.manual_seed(options.seed)
        network = GuidedResidual(options.scale, len(scene.roles), WIDTH, DILATIONS, WINDOWS)
        sampler = SceneSampler(scenes, crop=48, batch=8, band_dropping=0.0, augment=AUGMENT, seed=options.seed)
        schedule = Schedule(ITERATIONS, 2e-3, 1e-3, {options.scale: 1.0}, options.seed)
        try:
            trained = learn(network, sampler, schedule, Group(options.device), on_event, cancel)
        except InputError as error:
            raise InputError(
                f"Training on the scene at scale {options.scale} needs larger areas without gaps: use a larger extent, "
                "a smaller scale or a trained network."
            ) from error
        self._network = NetworkDownscaler(trained, tuple(scene.roles), self.radius, options)
        self._network.fit(scene, on_event, cancel)

    def __call__(self, batch: Batch) -> Tensor:
        """Downscale: ``(B, 1, H, W)`` kelvin."""
        assert self._network is not None, "fit() comes first"
        return self._network(batch)


def _one_scale_up(batch: Batch, scale: int, lst: Normalizer, guidance: Normalizer) -> TrainingScene:
    """A tile's own coarse LST as truth, with the guidance aggregated to it."""
    coarse, share = masked_block_mean(batch.guidance, batch.mask, scale)
    mask = share > WHOLE
    return TrainingScene(
        "scene",
        lst.apply(batch.lst).where(mask, 0.0)[0],
        guidance.apply(coarse).where(mask, 0.0)[0],
        mask[0],
        torch.ones(coarse.shape[1], dtype=torch.bool),
    )


SPECS = (
    MethodSpec(
        "self-scale",
        "Train on this scene",
        "Trains a small network on your own rasters, one scale up; for sensors and bands no trained network knows.",
        "trained on the scene",
        True,
        SelfScale,
        fit_share=0.7,
    ),
)
