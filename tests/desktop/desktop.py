"""Starts the real QGIS Desktop under Xvfb, on a fresh profile with the plugin enabled, and plays a scenario in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SETTINGS = """\
[PythonPlugins]
processing=true
groklst=true
[qgis]
checkVersion=false
showTips=false
newProjectDefault=false
askToSaveProjectChanges=false
firstRunVersionFlag=999999
[migration]
settings=true
[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true
"""


def make_profile(folder: Path, plugin: Path) -> Path:
    """A QGIS profiles folder whose default profile has the plugin enabled and asks no first-run questions."""
    profile = folder / "profiles" / "default"
    (profile / "python" / "plugins").mkdir(parents=True)
    # a link, not a copy: the plugin then finds the engine environment of the checkout it lies in
    (profile / "python" / "plugins" / "groklst").symlink_to(plugin)
    (profile / "QGIS").mkdir()
    for version in (3, 4):
        (profile / "QGIS" / f"QGIS{version}.ini").write_text(SETTINGS, encoding="utf-8")
    return folder


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what would change how QGIS starts."""
    unwanted = (
        "QT_QPA_PLATFORM",
        "QGIS_PREFIX_PATH",
        "PYTHONPATH",
        "PYTHONHOME",
        "VIRTUAL_ENV",
        "GROKLST_ENGINE_PYTHON",
    )
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    # QGIS takes the first Python on the path for its own
    return {**kept, "PATH": f"/usr/bin:{kept['PATH']}", "LC_ALL": "C.UTF-8", **extra}


def play(
    name: str, folder: Path, plugin: Path, /, *, size: str = "1280x800", seconds: float = 90, **arguments: Any
) -> None:
    """Play ``scenarios/<name>.py`` in QGIS Desktop; screenshots and logs go to the folder.

    Args:
        name: Module with ``run(drive, **arguments)``.
        folder: For everything the scenario writes.
        plugin: The assembled plugin.
        size: Of the virtual screen, in pixels.
        seconds: Time after which a hanging scenario is ended.
        arguments: Passed to the scenario; anything JSON can hold.

    Raises:
        AssertionError: The scenario failed, or QGIS crashed; carries the tracebacks and the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    task = {"name": name, "folder": str(folder), "modules": str(HERE), "seconds": seconds, "arguments": arguments}
    with tempfile.TemporaryDirectory() as home:
        profiles = make_profile(Path(home), plugin)
        runtime = Path(home) / "runtime"
        runtime.mkdir(mode=0o700)
        environment = clean_environment(GROKLST_SCENARIO=json.dumps(task), XDG_RUNTIME_DIR=str(runtime))
        command = ["xvfb-run", "-a", "-s", f"-screen 0 {size}x24 -nolisten tcp"]
        command += ["qgis", "--noversioncheck", "--nologo", "--profiles-path", str(profiles)]
        command += ["--code", str(HERE / "player.py")]
        with (folder / "qgis.log").open("w") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            try:
                status = process.wait(seconds + 30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # xvfb-run alone would leave QGIS and Xvfb behind
                status = process.wait()
    outcome = folder / "outcome.json"
    errors = json.loads(outcome.read_text())["errors"] if outcome.exists() else ["QGIS ended before the scenario did."]
    if errors or status:
        logs = [(folder / log).read_text() for log in ("drive.log", "crash.log", "qgis.log") if (folder / log).exists()]
        raise AssertionError("\n".join([*errors, *logs, f"QGIS exited with {status}."]))
