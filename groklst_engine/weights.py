"""Weights files: safetensors with a model card inside, and a hash over both.

A file names an architecture of the zoo and its arguments, never code. Its SHA-256 covers every tensor and the card;
a file with a changed byte is refused.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from groklst_engine.bands import Role
from groklst_engine.errors import InputError, ModelError, OutputError
from groklst_engine.models.zoo import create_model
from groklst_engine.normalize import BY_SCENE, Normalization
from groklst_engine.whole_file import whole_file

SUFFIX = ".safetensors"
_WITHOUT = ".without-"
_CARD = "groklst"
_HASH = "groklst_sha256"


class ModelCard(BaseModel):
    """What travels inside a weights file.

    Attributes:
        name: For listings.
        label: For people.
        description: What it was made for.
        architecture: Name in the zoo.
        arguments: Of the architecture, beside scale and number of bands.
        scales: Scales it was trained for.
        roles: Guidance bands in the network's channel order; absent ones are masked.
        normalization: ``scene``: LST and bands are z-scored with the scene's own coarse statistics; else what the
            network's units are, with the statistics of the training data they come from.
        unit: Of the LST in training.
        licence: Of the weights.
        training: Scenes with sources, protocol, options, command.
        metrics: Scores on scenes not used for training, beside bicubic.
        limitations: When not to trust it.
        credits: Whose data it was trained on.
        engine_version: Version that wrote the file.
        sha256: Over tensors and card.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str = ""
    description: str = ""
    architecture: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    scales: tuple[int, ...] = Field(min_length=1)
    roles: tuple[Role, ...] = ()
    normalization: Literal["scene"] | Normalization = "scene"
    unit: Literal["K"] = "K"
    licence: str = "GPL-3.0-or-later"
    training: dict[str, Any] = Field(default_factory=dict)
    metrics: tuple[dict[str, Any], ...] = ()
    limitations: str = ""
    credits: str = ""
    engine_version: str = ""
    sha256: str = ""

    @property
    def units(self) -> Normalization:
        """How LST and guidance become network units."""
        return BY_SCENE if self.normalization == "scene" else self.normalization

    @field_validator("arguments")
    @classmethod
    def _only_its_own(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if taken := arguments.keys() & {"name", "scale", "guidance_bands", "preset"}:
            raise ValueError(f"'{min(taken)}' is no argument of a network but stated elsewhere in the card")
        return arguments


def _digest(card: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the card as it stands in the file, so that later versions may add fields, and of the tensors."""
    digest = hashlib.sha256(card.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_weights(path: Path, network: nn.Module, card: ModelCard) -> ModelCard:
    """Write a network and its card; the file appears only when it is complete.

    Returns:
        The card as it will be read, with its hash.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    text = card.model_dump_json(exclude={"sha256"})
    sha256 = _digest(text, tensors)
    try:
        with whole_file(path) as part:
            part.write_bytes(save(tensors, {_CARD: text, _HASH: sha256}))
    except OSError as error:
        raise OutputError(f"The weights '{path}' cannot be written: check folder and disk space.") from error
    return ModelCard.model_validate_json(text).model_copy(update={"sha256": sha256})


def read_card(path: Path) -> ModelCard:
    """The card of a weights file, without reading its tensors.

    Raises:
        ModelError: The file is missing, damaged, or no weights file of GrokLST.
    """
    card, _ = _open(path)
    return card


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a weights file, without reading them.

    Raises:
        ModelError: The file is missing or damaged.
    """
    with _safetensors(path) as file:
        return list(file.keys())


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights file '{path}' is missing or damaged: get it again.") from error


def _open(path: Path, *, with_tensors: bool = False) -> tuple[ModelCard, dict[str, Tensor]]:
    tensors: dict[str, Tensor] = {}
    with _safetensors(path) as file:
        metadata = file.metadata() or {}
        if with_tensors:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if _CARD not in metadata or _HASH not in metadata:
        raise ModelError(f"The weights file '{path}' has no GrokLST model card: give a file made by `groklst train`.")
    if with_tensors and _digest(metadata[_CARD], tensors) != metadata[_HASH]:
        raise ModelError(f"The weights file '{path}' was changed after it was made (wrong SHA-256): get it again.")
    try:
        card = ModelCard.model_validate_json(metadata[_CARD])
    except ValidationError as error:
        raise ModelError(f"The card in '{path}' is damaged or from a newer GrokLST: get the file again.") from error
    return card.model_copy(update={"sha256": metadata[_HASH]}), tensors


def load_weights(path: Path, scale: int) -> tuple[nn.Module, ModelCard]:
    """Build the network of a weights file for a scale and load its tensors.

    Raises:
        ModelError: The file is damaged or changed, or does not serve the scale.
    """
    card, tensors = _open(path, with_tensors=True)
    if scale not in card.scales:
        raise ModelError(
            f"'{card.name}' was trained for the scales {', '.join(map(str, card.scales))}, not {scale}: choose one of "
            "them or another method."
        )
    network = create_model(card.architecture, scale=scale, guidance_bands=len(card.roles), **card.arguments)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"The weights in '{path}' do not fit the network '{card.architecture}'.") from error
    return network.eval(), card


def called(method: str) -> str:
    """What a method is called: a weights file by its name without folder and ending, any other as it is."""
    return Path(method).stem if method.endswith(SUFFIX) else method


def fold_file(weights: Path, held: str) -> Path:
    """Where a cross-validation keeps the network that has not seen ``held``, a region or several joined by +."""
    return weights.with_name(f"{weights.stem}{_WITHOUT}{held}{SUFFIX}")


def unseen_by(method: str, region: str, folds: Path) -> str:
    """The network of a cross-validation that stands in for a method because it has not seen a region.

    Args:
        method: Name of a method, or path of a weights file.
        region: A scene's.
        folds: Folder with the networks.

    Returns:
        The path of that network, or the method itself where none left the region out.

    Raises:
        InputError: The folder has no such networks, of whatever name.
    """
    found = sorted(folds.glob(f"*{_WITHOUT}*{SUFFIX}"))
    if not found:
        raise InputError(f"The folder '{folds}' has no networks of a cross-validation: train with --keep-folds.")
    for file in found:
        of, _, without = file.stem.partition(_WITHOUT)
        if of == called(method) and region in without.split("+"):
            return str(file)
    return method


def shipped_folder() -> Path:
    """Where the shipped weights are: inside an installed package, beside it in a checkout or in the plugin."""
    packaged = Path(__file__).parent / "shipped_weights"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "weights"


@lru_cache(maxsize=1)
def shipped_weights() -> dict[str, Path]:
    """Name and file of each shipped weights file."""
    return {path.stem: path for path in sorted(shipped_folder().glob(f"*{SUFFIX}"))}


def user_folder() -> Path:
    """Where the user's own weights are: ``$GROKLST_WEIGHTS``, or a folder where the platform keeps a user's data."""
    if chosen := os.environ.get("GROKLST_WEIGHTS"):
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "groklst" / "weights"


def user_weights() -> dict[str, Path]:
    """Name and file of each of the user's weights files, but of those that bear the name of shipped ones."""
    files = {path.stem.lower(): path for path in sorted(user_folder().glob(f"*{SUFFIX}"))}
    return {name: path for name, path in files.items() if name not in shipped_weights()}
