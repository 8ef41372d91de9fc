"""What jobs read: rasters, fine scenes, data sets. Parts of the jobs' models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from groklst_engine.bands import Role

# A string, not a Path: GDAL also opens names such as HDF4_EOS:EOS_GRID:"file":… and /vsicurl/https://…
RasterName = Annotated[str, BeforeValidator(str)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16", "float32"]
Scale = Annotated[int, Field(ge=2, le=64)]
QualityRule = Literal["recommended", "any"]
Split = Literal["train", "val", "trainval", "test"]
Cluster = Annotated[str, Field(pattern=r"^(local:[1-9]\d{0,2}|(tcp|tls|ucx)://.+)$")]
DEFAULT_METHOD = "auto"
DEFAULT_NETWORK = "groklst-small"


class Frozen(BaseModel):
    """What every job and every part of one is: immutable, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LstSource(Frozen):
    """An LST raster.

    Attributes:
        path: File, or any other name that GDAL can open.
        band: Band number, from 1.
        unit: ``K``, ``C`` or ``auto`` (band metadata, then value range).
        scale: Factor from stored number to ``unit``; None takes the file's or product's.
        offset: Summand from stored number to ``unit``; None takes the file's or product's.
        qc: ``recommended`` leaves out the pixels that a known product's quality layers call bad; ``any`` takes all.
        shift: Rows and columns, in its own pixels, by which it is moved down and right before it is used.
    """

    path: RasterName
    band: int = Field(1, ge=1)
    unit: Literal["auto", "K", "C"] = "auto"
    scale: float | None = None
    offset: float | None = None
    qc: QualityRule = "recommended"
    shift: tuple[float, float] = (0.0, 0.0)


class GuidanceSource(Frozen):
    """A guidance raster with one or several bands.

    Attributes:
        path: File, or any other name that GDAL can open.
        roles: One role per band, None to leave a band out; empty: guessed from band descriptions and file name.
        qc: ``recommended`` leaves out the pixels that a known product's quality layers call bad; ``any`` takes all.
    """

    path: RasterName
    roles: tuple[Role | None, ...] = ()
    qc: QualityRule = "recommended"


class SceneSource(Frozen):
    """A fine LST with guidance, from which training and evaluation make their coarse inputs (Wald's protocol).

    Attributes:
        name: For tables and logs.
        lst: The fine LST.
        guidance: Guidance of the same place.
        mask: Raster that is 1 where the scene is clear; None takes all.
        native: Factor between the thermal sensor's own pixel and the delivered one; the scene is block-averaged by
            it first, because there is no detail below.
        region: Scenes of one region are held out together; None takes the name.
        coarse: A coarse LST of another sensor, taken at the same time. Evaluation then downscales it and compares the
            result with the fine LST; training leaves it aside.
    """

    name: str
    lst: LstSource
    guidance: tuple[GuidanceSource, ...] = ()
    mask: RasterName | None = None
    native: int = Field(1, ge=1)
    region: str | None = None
    coarse: LstSource | None = None


class FineData(Frozen):
    """Fine scenes, one by one or as a data set.

    Attributes:
        scenes: Fine scenes.
        dataset: Folder of a prepared data set, or of one in the layout of GrokLST, in place of scenes.
        split: Part of the dataset to take.
    """

    scenes: tuple[SceneSource, ...] = ()
    dataset: Path | None = None
    split: Split = "trainval"

    @model_validator(mode="after")
    def _one_of_both(self) -> FineData:
        if bool(self.scenes) == (self.dataset is not None):
            raise ValueError("give scenes or a dataset, one of them")
        return self
