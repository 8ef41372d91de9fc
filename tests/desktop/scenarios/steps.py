"""What several scenarios do: open the dock, choose inputs, run."""

from __future__ import annotations

from pathlib import Path

from drive import Drive
from qgis.core import QgsRasterLayer
from qgis.gui import QgsDockWidget, QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QAction, QComboBox, QLabel, QProgressBar, QPushButton, QTableWidget, QToolButton


def add_layer(drive: Drive, path: str, name: str) -> QgsRasterLayer:
    """Add a raster to the project."""
    layer = drive.iface.addRasterLayer(path, name)
    assert layer is not None, path
    return layer


def open_dock(drive: Drive) -> QgsDockWidget:
    """Click the plugin's icon in the toolbar and wait until the engine has described its methods."""
    action = drive.find(QAction, "groklstAction")
    buttons = drive.iface.mainWindow().findChildren(QToolButton)
    drive.click(next(button for button in buttons if button.defaultAction() == action))
    dock = drive.find(QgsDockWidget, "GroklstDock")
    assert dock.isVisible()
    methods = drive.find(QComboBox, "methodCombo")
    refusal = drive.find(QPushButton, "engineSettingsButton")
    drive.wait(lambda: methods.count() or refusal.isVisible(), "the methods of the engine", 40)
    assert methods.isEnabled(), drive.find(QLabel, "methodDescription").text()
    return dock


def choose_inputs(drive: Drive, lst: str, guidance: list[str], method: str, scale: int, output: str) -> None:
    """Fill in the dock by mouse and keyboard, and wait for the pre-flight check.

    Args:
        drive: QGIS.
        lst: Name of the LST layer.
        guidance: Names of the guidance layers.
        method: As the engine calls it.
        scale: Coarse pixel divided by fine pixel.
        output: File to write.
    """
    drive.choose(drive.find(QgsMapLayerComboBox, "lstLayerCombo"), lst)
    for name in guidance:
        drive.choose(drive.find(QgsMapLayerComboBox, "guidanceLayerCombo"), name)
        drive.click(drive.find(QToolButton, "guidanceAddButton"))
    methods = drive.find(QComboBox, "methodCombo")
    labels = {methods.itemData(i)["name"]: methods.itemText(i) for i in range(methods.count())}
    drive.choose(methods, labels[method])
    drive.choose(drive.find(QComboBox, "scaleCombo"), str(scale))
    drive.type_text(drive.find(QgsFileWidget, "outputFile").lineEdit(), output)
    table = drive.find(QTableWidget, "preflightTable")
    message = drive.find(QLabel, "preflightMessage")
    drive.wait(lambda: {lst, *guidance} <= set(texts(table)) and "Result: " in message.text(), "the pre-flight check")


def texts(table: QTableWidget) -> list[str]:
    """The text of each cell."""
    cells = [table.item(row, column) for row in range(table.rowCount()) for column in range(table.columnCount())]
    return [cell.text() for cell in cells if cell is not None]


def start(drive: Drive) -> None:
    """Click Run and wait until the engine is at work."""
    drive.click(drive.find(QPushButton, "runButton"))
    drive.wait(drive.find(QPushButton, "cancelButton").isEnabled, "the start", 5)


def wait_until_writing(drive: Drive, output: Path) -> int:
    """Wait until part of the output is written; returns the engine's process id."""
    progress = drive.find(QProgressBar, "progressBar")
    drive.wait(lambda: progress.value() >= 10, "the engine to write", 40)
    assert list(output.parent.glob(f"{output.name}.part*")), "nothing written yet"
    drive.screenshot("running")
    (process,) = engine_processes()
    return process


def wait_until_idle(drive: Drive, seconds: float = 45) -> None:
    """Wait until the dock would run again."""
    drive.wait(drive.find(QPushButton, "runButton").isEnabled, "the end of the run", seconds)


def engine_processes() -> list[int]:
    """Process ids of the engines that this QGIS has started."""
    mine = Path("/proc/self").resolve().name
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            parent = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("PPid"))
            command = (status.parent / "cmdline").read_text()
        except OSError:  # it has just ended
            continue
        if parent == mine and "groklst_engine.worker" in command:
            found.append(int(status.parent.name))
    return found


def is_alive(process: int) -> bool:
    """Whether a process exists."""
    return Path(f"/proc/{process}").exists()


def colours(layer: QgsRasterLayer) -> tuple[object, ...]:
    """The colour ramp and its range."""
    renderer = layer.renderer()
    items = renderer.shader().rasterShaderFunction().colorRampItemList()
    ramp = [(item.value, item.color.name()) for item in items]
    assert len(ramp) > 2
    return renderer.classificationMin(), renderer.classificationMax(), ramp
