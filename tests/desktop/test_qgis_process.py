from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import desktop
import pytest
import scene

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def qgis_process(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs ``qgis_process`` with the plugin enabled, without a screen."""
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    environment = desktop.clean_environment(
        QT_QPA_PLATFORM="offscreen",
        QGIS_CUSTOM_CONFIG_PATH=str(home),
        QGIS_PLUGINPATH=str(plugin.parent),
        XDG_RUNTIME_DIR=str(home),
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Debian's wrapper `qgis_process` adds an option that the program refuses
        command = [shutil.which("qgis_process.bin") or "qgis_process", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)

    run("plugins", "enable", "groklst")
    return run


def test_downscale(qgis_process: Run, layers: dict[str, str], tmp_path: Path) -> None:
    output, report = tmp_path / "fine.tif", tmp_path / "report"
    output.touch()  # as Processing leaves it for a temporary output
    process = qgis_process(
        "run",
        "groklst:downscale",
        "--",
        f"LST={layers['lst']}",
        f"GUIDANCE={layers['reflectance']}",
        "METHOD=tsharp",
        f"SCALE={scene.SCALE}",
        f"REPORT={report}",
        f"OUTPUT={output}",
    )
    assert process.returncode == 0, process.stderr
    assert f"REPORT_HTML:\t{report / 'report.html'}" in process.stdout
    assert (report / "report.html").stat().st_size > 1000
    coarse = scene.read(layers["lst"])
    assert abs(scene.block_means(scene.read(output), scene.SCALE) - coarse).max() < 0.01


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LST": "/no/lst.tif"}, "LST layer /no/lst.tif cannot be opened: choose a raster that exists."),
        ({"LST": __file__}, f"LST layer {__file__} cannot be opened: choose a raster that exists."),
        ({"GUIDANCE": "/no/g.tif"}, "Guidance layer /no/g.tif cannot be opened: choose a raster that exists."),
        ({"METHOD": "magic"}, "Unknown method 'magic'"),
    ],
)
def test_bad_input(
    changes: dict[str, str], sentence: str, qgis_process: Run, layers: dict[str, str], tmp_path: Path
) -> None:
    parameters = {"LST": layers["lst"], "METHOD": "bicubic", "OUTPUT": str(tmp_path / "fine.tif"), **changes}
    process = qgis_process("run", "groklst:downscale", "--", *(f"{name}={value}" for name, value in parameters.items()))
    assert process.returncode == 1
    assert sentence in process.stderr
    assert "Traceback" not in process.stderr + process.stdout
    assert list(tmp_path.iterdir()) == []


def test_all_algorithms_are_there(qgis_process: Run) -> None:
    listed = qgis_process("list").stdout
    for name in ("downscale", "downscalearchive", "inspect", "preparedataset", "train", "evaluate", "benchmark"):
        assert f"groklst:{name}" in listed


def test_a_data_set_is_prepared(qgis_process: Run, layers: dict[str, str], tmp_path: Path) -> None:
    fine = scene.make_fine_lst(tmp_path / "fine.tif")
    sources = [f"LST={fine}", f"GUIDANCE={layers['reflectance']}"]
    output = tmp_path / "dataset"
    process = qgis_process("run", "groklst:preparedataset", "--", *sources, "SCALES=4", "CROP=64", f"OUTPUT={output}")
    assert process.returncode == 0, process.stderr
    assert (output / "manifest.json").is_file()
    process = qgis_process("run", "groklst:train", "--", f"DATASET={output}", "SCALES=x", f"OUTPUT={tmp_path / 'w'}")
    assert process.returncode == 1
    assert "'x' is no scale: give whole numbers of 2 or more, such as 2, 4." in process.stderr
