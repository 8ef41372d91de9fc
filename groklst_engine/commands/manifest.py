"""Manifests: the scenes of a training or an evaluation, listed in a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from groklst_engine.errors import InputError
from groklst_engine.inputs import SceneSource
from groklst_engine.jobs import explain


def read_scenes(manifest: Path, root: Path | None = None, regions: Sequence[str] = ()) -> list[SceneSource]:
    """Read a manifest: a JSON list of ``SceneSource`` objects.

    Args:
        manifest: The JSON file.
        root: Folder that the paths in it start from; None takes the manifest's own.
        regions: Keep the scenes of these regions only; empty keeps all.

    Raises:
        InputError: It cannot be read, is no such list, or holds no scene of these regions.
    """
    try:
        scenes = TypeAdapter(list[SceneSource]).validate_json(manifest.read_bytes())
    except OSError as error:
        raise InputError(f"The manifest {manifest} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise InputError(f"The manifest {manifest} is not a list of scenes: {explain(error)}") from error
    chosen = [scene for scene in scenes if not regions or (scene.region or scene.name) in regions]
    if not chosen:
        known = ", ".join(sorted({scene.region or scene.name for scene in scenes})) or "none"
        raise InputError(f"The manifest {manifest} holds no scene of {', '.join(regions)}; its regions are: {known}.")
    return [_rooted(scene, root or manifest.parent) for scene in chosen]


def _rooted(scene: SceneSource, root: Path) -> SceneSource:
    def under(name: str) -> str:
        return name if ":" in name else str(root / name)  # a colon: a drive, an address, a GDAL name

    lst = scene.lst.model_copy(update={"path": under(scene.lst.path)})
    coarse = scene.coarse and scene.coarse.model_copy(update={"path": under(scene.coarse.path)})
    guidance = tuple(source.model_copy(update={"path": under(source.path)}) for source in scene.guidance)
    mask = None if scene.mask is None else under(scene.mask)
    return scene.model_copy(update={"lst": lst, "guidance": guidance, "mask": mask, "coarse": coarse})
