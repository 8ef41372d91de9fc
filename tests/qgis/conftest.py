from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from wizards import add_scene

from groklst_qgis import engine as engine_module
from groklst_qgis.dock import GroklstDock
from groklst_qgis.engine import PYTHON_VARIABLE, Engine, EngineProcess
from groklst_qgis.processing.provider import GroklstProvider
from groklst_qgis.training import Training
from groklst_qgis.wizard.wizard import TrainingWizard


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that needs no packages, which the plugin finds by itself: see ``fake_engine/``."""
    engine = Engine(Path(sys.executable), Path(__file__).parent / "fake_engine")
    monkeypatch.setenv(PYTHON_VARIABLE, str(engine.python))
    monkeypatch.setattr(engine_module, "engine_root", lambda: engine.source)
    return engine


@pytest.fixture
def add_raster(qgis_new_project: Any, tmp_path: Path) -> Callable[..., Any]:
    """Write a raster of 10 × 8 pixels and add it to the project."""

    def add(name: str, *bands: str, low: float = 290, high: float = 310, pixel: float = 1000) -> QgsRasterLayer:
        path = tmp_path / f"{name}.tif"
        reference = osr.SpatialReference()
        reference.ImportFromEPSG(32632)
        dataset = gdal.GetDriverByName("GTiff").Create(str(path), 10, 8, len(bands) or 1, gdal.GDT_Float32)
        dataset.SetGeoTransform((500_000, pixel, 0, 5_600_000, 0, -pixel))
        dataset.SetProjection(reference.ExportToWkt())
        for i in range(dataset.RasterCount):
            dataset.GetRasterBand(i + 1).WriteArray(np.linspace(low, high, 80).reshape(8, 10))
            if bands:
                dataset.GetRasterBand(i + 1).SetDescription(bands[i])
        dataset = None  # written when closed
        layer = QgsRasterLayer(str(path), name)
        assert layer.isValid()
        return QgsProject.instance().addMapLayer(layer)

    return add


@pytest.fixture
def messages(qgis_iface: Any, qtbot: Any) -> Callable[[Any], list[str]]:
    """What the message bar shows, by level, once it shows something."""
    bar = qgis_iface.messageBar()
    bar.clear_messages()

    def shown(level: Any) -> list[str]:
        qtbot.waitUntil(lambda: bool(bar.get_messages(level)))
        return bar.get_messages(level)

    return shown


@pytest.fixture
def make_dock(qgis_iface: Any, qtbot: Any, messages: Any) -> Iterator[Callable[[], GroklstDock]]:
    """Show a dock and wait until it knows the engine's methods; stop it in the end."""
    docks = []

    def make() -> GroklstDock:
        dock = GroklstDock(qgis_iface)
        docks.append(dock)
        qtbot.addWidget(dock)
        dock.show()
        qtbot.waitUntil(lambda: dock.method.method_combo.isEnabled() or dock.method.settings_button.isVisible())
        return dock

    yield make
    for dock in docks:
        dock.stop()


@pytest.fixture
def dock(fake_engine: Engine, add_raster: Callable[..., Any], make_dock: Callable[[], GroklstDock]) -> GroklstDock:
    """A dock with a coarse LST and, as guidance, two bands."""
    lst, s2 = add_raster("MODIS LST"), add_raster("s2", "B04", "nothing known", pixel=100)
    dock = make_dock()
    dock.lst_combo.setLayer(lst)
    dock.guidance.layer_combo.setLayer(s2)
    dock.guidance.add_button.click()
    return dock


@pytest.fixture(scope="module")
def provider(qgis_app: Any) -> Iterator[GroklstProvider]:
    """GrokLST's algorithms, registered."""
    provider = GroklstProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    yield provider
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture
def context() -> Iterator[QgsProcessingContext]:
    """A context with the project."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    yield context
    context.temporaryLayerStore().removeAllMapLayers()  # layers that outlive the provider crash QGIS


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the user's weights."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("GROKLST_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def make_wizard(
    fake_engine: Engine, registry: Path, qtbot: Any, tmp_path: Path, qgis_new_project: Any
) -> Iterator[Callable[..., TrainingWizard]]:
    """Show a training wizard; stop it in the end."""
    wizards = []

    def make(training: Training | None = None) -> TrainingWizard:
        wizard = TrainingWizard(None, training, tmp_path / "trainings")
        wizards.append(wizard)
        wizard.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        wizard.show()
        return wizard

    yield make
    for wizard in wizards:
        if wizard.run.training is not None:
            wizard.run.training.detach()
        wizard.close()
        wizard.deleteLater()
    qtbot.waitUntil(lambda: not EngineProcess.running, timeout=10_000)


@pytest.fixture
def wizard(make_wizard: Callable[..., TrainingWizard], add_raster: Callable[..., Any], qtbot: Any) -> TrainingWizard:
    """A wizard with a scene of a layer and two bands of guidance."""
    add_raster("Fine LST")
    add_raster("s2", "B04", "nir")
    wizard = make_wizard()
    add_scene(wizard)
    qtbot.waitUntil(wizard.data.isComplete)
    return wizard
