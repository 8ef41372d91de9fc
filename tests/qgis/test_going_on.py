"""An interrupted run goes on, with the real engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal
from rasterfiles import write_raster

from groklst_qgis.engine import EngineCancelled, can_go_on, run_job


def test_a_cancelled_run_goes_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    lst = write_raster(tmp_path / "lst.tif", 300 + rng.normal(0, 3, (1, 256, 64)), ("LST",), 400)
    output = str(tmp_path / "fine.tif")
    job = {"kind": "downscale", "lst": {"path": lst, "unit": "K"}, "scale": 4, "method": "groklst-small"}
    job |= {"output": output, "tile": 64, "resume": True}
    with pytest.raises(EngineCancelled, match="what is done is kept"):
        run_job(job, cancelled=lambda: can_go_on(output))
    assert can_go_on(output)
    assert not Path(output).exists()
    assert run_job(job)["output"] == output
    assert not can_go_on(output)
    assert not list(tmp_path.glob("*.part*"))
    dataset = gdal.Open(output)
    means = dataset.ReadAsArray().reshape(256, 4, 64, 4).mean((1, 3))
    assert abs(means - gdal.Open(lst).ReadAsArray()).max() < 0.01
