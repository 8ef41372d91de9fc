"""Many dates over one guidance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasters import job_for, read

from groklst_engine.data.synthetic import ScenePaths
from groklst_engine.errors import Cancelled, InputError
from groklst_engine.events import CancelToken, Event, ignore
from groklst_engine.inference.series import TOGETHER, Outcome, downscale_series, series
from groklst_engine.jobs import DownscaleJob
from groklst_engine.models.guided_residual import GuidedResidual
from groklst_engine.predict import DownscaleResult, downscale
from groklst_engine.reader import AlignedReader


def dates(scene: ScenePaths, folder: Path, gaps: Sequence[bool]) -> list[Path]:
    """The scene's LST on other days; with a gap of its own where wanted."""
    paths = []
    for day, gap in enumerate(gaps):
        with rasterio.open(scene.lst) as source:
            values, profile = source.read(1), source.profile
        values = values + np.float32(day) + np.random.default_rng(day).normal(0, 0.3, values.shape).astype(np.float32)
        if gap:
            values[day : day + 4, 2:9] = np.nan
        paths.append(folder / f"day{day}.tif")
        with rasterio.open(paths[-1], "w", **profile) as target:
            target.write(values, 1)
    return paths


def jobs_of(lsts: Sequence[Path], scene: ScenePaths, folder: Path, **options: object) -> list[DownscaleJob]:
    folder.mkdir(exist_ok=True)
    guidance = (scene.guidance, scene.dem)
    return [job_for(lst, *guidance, output=folder / f"{lst.stem}.tif", tile=32, **options) for lst in lsts]


def together(jobs: Sequence[DownscaleJob]) -> list[Outcome]:
    return downscale_series(jobs, [ignore] * len(jobs), CancelToken())


@pytest.mark.parametrize("gaps", [(False, False, False), (False, True, True)], ids=["same mask", "clouds"])
@pytest.mark.parametrize("place", ["clear", "cloudy"])
def test_a_series_has_the_bits_of_single_runs(
    place: str, gaps: Sequence[bool], request: pytest.FixtureRequest, local_network: Path, tmp_path: Path
) -> None:
    scene: ScenePaths = request.getfixturevalue(place)
    lsts = dates(scene, tmp_path, gaps)
    for result in together(jobs_of(lsts, scene, tmp_path / "series", method=str(local_network))):
        assert isinstance(result, DownscaleResult), result
    for job in jobs_of(lsts, scene, tmp_path / "single", method=str(local_network)):
        downscale(job)
        np.testing.assert_array_equal(read(job.output), read(tmp_path / "series" / job.output.name))


def test_what_the_guidance_alone_determines_is_done_once(
    clear: ScenePaths, local_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_guidance, of_guidance, made = AlignedReader.read_guidance, GuidedResidual._of_guidance, []
    reads: list[object] = []

    def reading(self: AlignedReader, window: object) -> object:
        reads.append(window)
        return read_guidance(self, window)  # type: ignore[arg-type]

    def making(self: GuidedResidual, guidance: object, scale: int) -> object:
        features = of_guidance(self, guidance, scale)  # type: ignore[arg-type]
        made.append(id(features))
        return features

    monkeypatch.setattr(AlignedReader, "read_guidance", reading)
    monkeypatch.setattr(GuidedResidual, "_of_guidance", making)
    lsts = dates(clear, tmp_path, [False] * 4)
    together(jobs_of(lsts[:1], clear, tmp_path / "one", method=str(local_network)))
    alone, kinds = len(reads), len(made)
    reads.clear()
    made.clear()
    together(jobs_of(lsts, clear, tmp_path / "four", method=str(local_network)))
    assert len(reads) == alone
    repeated = sum(first == second for first, second in pairwise(made))
    assert len(made) == 4 * kinds
    assert repeated >= 3 * (kinds - 2)  # all but the trials of half precision


def test_a_date_that_fails_stops_no_other(clear: ScenePaths, local_network: Path, tmp_path: Path) -> None:
    lsts = dates(clear, tmp_path, [False] * 3)
    lsts[1].write_bytes(b"no raster")
    outcomes = together(jobs_of(lsts, clear, tmp_path / "out", method=str(local_network)))
    assert [type(outcome) for outcome in outcomes] == [DownscaleResult, InputError, DownscaleResult]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["day0.tif", "day2.tif"]


def test_a_date_of_another_size_runs_by_itself(clear: ScenePaths, local_network: Path, tmp_path: Path) -> None:
    lsts = dates(clear, tmp_path, [False] * 3)
    with rasterio.open(lsts[1]) as source:
        values, profile = source.read(1)[:13, :14], source.profile | {"height": 13, "width": 14}
    with rasterio.open(lsts[1], "w", **profile) as target:
        target.write(values, 1)
    outcomes = together(jobs_of(lsts, clear, tmp_path / "out", method=str(local_network)))
    assert [outcome.width for outcome in outcomes if isinstance(outcome, DownscaleResult)] == [96, 56, 96]


def test_cancelling_leaves_nothing(clear: ScenePaths, local_network: Path, tmp_path: Path) -> None:
    jobs = jobs_of(dates(clear, tmp_path, [False] * 3), clear, tmp_path / "out", method=str(local_network))
    cancel = CancelToken()

    def stop(event: Event) -> None:
        if event.fraction and event.fraction > 0.5:
            cancel.cancel()

    with pytest.raises(Cancelled):
        downscale_series(jobs, [ignore, stop, ignore], cancel)
    assert list((tmp_path / "out").iterdir()) == []


def test_jobs_are_grouped_by_guidance(clear: ScenePaths, tmp_path: Path) -> None:
    lsts = [tmp_path / f"{day}.tif" for day in range(TOGETHER + 2)]
    jobs = jobs_of(lsts, clear, tmp_path)
    other = jobs[1].model_copy(update={"guidance": jobs[1].guidance[:1]})
    auto = jobs[2].model_copy(update={"method": "auto"})
    assert series([jobs[0], other, auto, *jobs[3:]]) == [[0, *range(3, TOGETHER + 2)], [1], [2]]
    assert [len(group) for group in series(jobs)] == [TOGETHER, 2]
    assert series([job.model_copy(update={"guidance": ()}) for job in jobs[:2]]) == [[0], [1]]
