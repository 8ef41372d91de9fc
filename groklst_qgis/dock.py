"""The dock: choose a coarse LST and its guidance, see what will be done, run, and read the scores."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from qgis.core import Qgis, QgsApplication, QgsMapLayerProxyModel, QgsProject
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox, QgsRasterBandComboBox, QgsScrollArea
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from .computation_box import ComputationBox
from .engine import EngineError, can_go_on, remove_leftovers
from .guidance import GuidanceBox
from .layers import raster_path
from .method_box import MethodBox
from .preflight import PreflightBox
from .report_panel import ReportPanel
from .result_box import ResultBox, existing
from .results import add_result
from .roles import LABELS
from .sensor_box import SensorBox
from .task import EngineTask
from .weights_dialog import WeightsDialog
from .words import duration, log_line

_UNITS = (("Automatic", "auto"), ("Kelvin", "K"), ("Degrees Celsius", "C"))


class _Run(NamedTuple):
    """What the result of a run needs to know."""

    subject: str
    label: str
    layer_id: str
    band: int

    def title(self, method: str = "") -> str:
        """Subject and method, with the one that was chosen behind ``auto``."""
        return f"{self.subject} ({self.label}: {method})" if method else f"{self.subject} ({self.label})"


class GroklstDock(QgsDockWidget):
    """Everything a run needs, on three tabs: inputs, report, log.

    Args:
        iface: QGIS, for its message bar and its options dialog.
    """

    training_wanted = pyqtSignal()

    def __init__(self, iface: Any) -> None:
        super().__init__("GrokLST")
        self.setObjectName("GroklstDock")
        self._iface = iface
        self._task: EngineTask | None = None
        self._running = _Run("", "", "", 1)

        self.guidance = GuidanceBox()
        self.method = MethodBox()
        self.result = ResultBox()
        self.sensor = SensorBox()
        self.computation = ComputationBox()
        self.preflight = PreflightBox(self._inspect_job)
        self.report = ReportPanel()
        self.log = QPlainTextEdit()
        self.log.setObjectName("logText")
        self.log.setAccessibleName("Log")
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(5000)

        self.tabs = QTabWidget()
        self.tabs.setObjectName("groklstTabs")
        self.tabs.addTab(self._make_inputs(), "Inputs")
        self.tabs.addTab(self.report, "Report")
        self.tabs.addTab(self.log, "Log")
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 6)
        layout.addWidget(self.tabs)
        layout.addLayout(self._make_run_bar())
        self.setWidget(body)

        self._connect()
        self.guidance.exclude(self.lst_combo.currentLayer())
        self._set_running(False)

    def stop(self) -> None:
        """Stop whatever is running, because the plugin goes; nobody waits for its result any more."""
        self.preflight.stop()
        self.method.stop()
        if self._task is not None:
            for signal in (self._task.messaged, self._task.succeeded, self._task.failed, self._task.stopped):
                signal.disconnect()
            self._task.cancel()
            self._task = None

    def _make_inputs(self) -> QgsScrollArea:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(6, 6, 6, 6)
        inputs = (self._make_lst_box(), self.guidance, self.method, self.result)
        for box in (*inputs, self.sensor, self.computation, self.preflight):
            layout.addWidget(box)
        layout.addStretch()
        area = QgsScrollArea()  # scrolling past a field does not change it
        area.setObjectName("inputsArea")
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(page)
        # Everything scrolls up and down, nothing to the side.
        width = max(page.minimumSizeHint().width(), 45 * self.fontMetrics().averageCharWidth())
        area.setMinimumWidth(width + area.verticalScrollBar().sizeHint().width())
        return area

    def _make_lst_box(self) -> QGroupBox:
        self.lst_combo = QgsMapLayerComboBox()
        self.lst_combo.setObjectName("lstLayerCombo")
        self.lst_combo.setAccessibleName("Layer of the coarse land surface temperature")
        self.lst_combo.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.band_combo = QgsRasterBandComboBox()
        self.band_combo.setObjectName("lstBandCombo")
        self.band_combo.setAccessibleName("Band with the temperature")
        self.band_combo.setLayer(self.lst_combo.currentLayer())
        self.mask_combo = QgsMapLayerComboBox()
        self.mask_combo.setObjectName("maskLayerCombo")
        self.mask_combo.setAccessibleName("Layer that is 1 where the sky is clear")
        self.mask_combo.setToolTip("Layer that is 1 where LST and guidance are clear, and 0 under clouds")
        self.mask_combo.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.mask_combo.setAllowEmptyLayer(True, "None")
        self.mask_combo.setCurrentIndex(0)
        for combo in (self.lst_combo, self.band_combo, self.mask_combo):  # names may be long; they show in the list
            combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.unit_combo = QComboBox()
        self.unit_combo.setObjectName("lstUnitCombo")
        self.unit_combo.setAccessibleName("Unit of the temperature")
        self.unit_combo.setToolTip("Automatic: as the file says or, where it does not, by the range of its values")
        for label, unit in _UNITS:
            self.unit_combo.addItem(label, unit)
        box = QGroupBox("Coarse land surface temperature")
        form = QFormLayout(box)
        form.addRow("Layer", self.lst_combo)
        form.addRow("Band", self.band_combo)
        form.addRow("Unit", self.unit_combo)
        form.addRow("Clear-sky mask", self.mask_combo)
        return box

    def _make_run_bar(self) -> QVBoxLayout:
        self.status = QLabel()
        self.status.setObjectName("statusLabel")
        self.status.setWordWrap(True)
        self.progress = QProgressBar()
        self.progress.setObjectName("progressBar")
        self.progress.setAccessibleName("Progress of the run")
        self.run_button = QPushButton("Run")
        self.run_button.setObjectName("runButton")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setObjectName("cancelButton")
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout()
        layout.addWidget(self.status)
        layout.addWidget(self.progress)
        layout.addLayout(buttons)
        return layout

    def _connect(self) -> None:
        self.lst_combo.layerChanged.connect(self.band_combo.setLayer)
        self.lst_combo.layerChanged.connect(self.guidance.exclude)
        for signal in (
            self.lst_combo.layerChanged,
            self.band_combo.bandChanged,
            self.unit_combo.currentIndexChanged,
            self.mask_combo.layerChanged,
            self.guidance.changed,
            self.method.changed,
            self.sensor.quality_changed,
        ):
            signal.connect(self._check_soon)
        for signal in (self.guidance.changed, self.method.changed):
            signal.connect(self._note_unused_bands)
        # registered to the guidance, the LST has no longer the values of its own pixels
        self.sensor.cross_sensor_changed.connect(lambda on: self.result.consistency.setChecked(not on))
        self.method.changed.connect(lambda: self.computation.budget.setEnabled(self.method.is_automatic()))
        self.computation.steps_changed.connect(self.result.uncertainty.setDisabled)
        self.result.consistency.toggled.connect(self.sensor.keep_values)
        self.method.settings_wanted.connect(self._open_settings)
        self.method.weights_wanted.connect(self._manage_weights)
        self.method.training_wanted.connect(self.training_wanted)
        self.method.engine_described.connect(self.log.appendPlainText)
        self.run_button.clicked.connect(self._run)
        self.cancel_button.clicked.connect(self._cancel)
        self.visibilityChanged.connect(self._on_visible)

    def _on_visible(self, visible: bool) -> None:
        if visible:
            self.method.ask_engine()
            self._check_soon()

    def _check_soon(self) -> None:
        if self.method.method_combo.isEnabled():  # before that, nothing is known of what could be done
            self.preflight.schedule()

    def _open_settings(self) -> None:
        self._iface.showOptionsDialog(self._iface.mainWindow(), "GrokLST")
        self.method.ask_engine()

    def _manage_weights(self) -> None:
        dialog = WeightsDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.weights_changed.connect(lambda: self.method.ask_again())
        dialog.open()

    def _inspect_job(self) -> tuple[dict[str, Any], list[str]]:
        lst = self.lst_combo.currentLayer()
        if lst is None:
            raise EngineError("Add a land surface temperature raster to the project and choose it above.")
        guided = self.method.method()["guided"]
        mask, quality = self.mask_combo.currentLayer(), self.sensor.quality_rule()
        job = {
            "kind": "inspect",
            "lst": {
                "path": raster_path(lst),
                "band": self.band_combo.currentBand(),
                "unit": self.unit_combo.currentData(),
                "qc": quality,
            },
            "guidance": [{**source, "qc": quality} for source in self.guidance.sources()] if guided else [],
            "scale": self.method.scale(),
            "mask": None if mask is None else raster_path(mask),
        }
        return job, [lst.name(), *(layer.name() for layer in self.guidance.layers())]

    def _note_unused_bands(self) -> None:
        method = self.method.method_combo.currentData()
        given = self.guidance.roles()
        if method is None or not given:
            self.guidance.note("")
        elif not method["guided"]:
            self.guidance.note(f"{method['label']} takes no guidance: these layers are left out.")
        else:
            unused = sorted(LABELS[role] for role in given if method["roles"] and role not in method["roles"])
            self.guidance.note(f"{method['label']} makes no use of: {', '.join(unused)}." if unused else "")

    def _downscale_job(self) -> dict[str, Any]:
        job, _ = self._inspect_job()
        fields = self.result.fields(job["scale"])
        computation = self.computation.fields(job["scale"])
        if not self.result.is_named():
            _refuse_without_output(computation)
        return {
            **job,
            **fields,
            **self.sensor.fields(self.guidance.roles()),
            **computation,
            "kind": "downscale",
            "method": self.method.method()["name"],
            "overwrite": existing(fields) is not None,
        }

    def _run(self) -> None:
        try:
            job = self._downscale_job()
        except EngineError as error:
            self._warn(str(error))
            return
        if can_go_on(job["output"]):
            going_on = self._shall_go_on(job["output"])
            if going_on is None:
                return
            job["resume"] |= going_on
            if not going_on:
                remove_leftovers(job["output"])
        if job["overwrite"] and not self._may_replace(existing(job)):
            return
        lst = self.lst_combo.currentLayer()
        subject = f"{lst.name()} ×{job['scale']}"
        self._running = _Run(subject, self.method.method()["label"], lst.id(), job["lst"]["band"])
        title = self._running.title()
        self.log.appendPlainText(f"\n{title}\n{json.dumps(job, ensure_ascii=False)}")
        self._task = EngineTask(f"Downscale {title}", job)
        self._task.messaged.connect(self._on_message)
        self._task.succeeded.connect(self._on_success)
        self._task.failed.connect(self._on_failure)
        self._task.stopped.connect(self._on_stopped)
        self._set_running(True)
        QgsApplication.taskManager().addTask(self._task)

    def _may_replace(self, file: str | None) -> bool:
        answer = QMessageBox.question(self, "GrokLST", f"The file {file} exists. Replace it?")
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _shall_go_on(self, output: str) -> bool | None:
        """Whether to go on where an interrupted run stopped; None for neither that nor from the beginning."""
        box = QMessageBox(QMessageBox.Icon.Question, "GrokLST", f"A run for {output} was interrupted.", parent=self)
        box.setInformativeText("It can go on where it stopped if inputs and options are the same.")
        go_on = box.addButton("Go on", QMessageBox.ButtonRole.AcceptRole)
        anew = box.addButton("Start anew", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(go_on)
        box.exec()
        return {go_on: True, anew: False}.get(box.clickedButton())

    def _cancel(self) -> None:
        if self._task is not None:
            self.cancel_button.setEnabled(False)
            self.status.setText("Cancelling…")
            self._task.cancel()

    def _on_message(self, message: dict[str, Any]) -> None:
        text = message.get("message", "")
        if message.get("type") == "progress":
            if not self.cancel_button.isEnabled():
                return  # cancelling, says the status
            self.progress.setValue(round(100 * message["fraction"]))
            self.status.setText(text)
        else:
            self.log.appendPlainText(log_line(message))

    def _on_success(self, result: dict[str, Any]) -> None:
        running, choice = self._running, result.get("choice")
        title = running.title(result["method"] if choice else "")
        self._set_running(False)
        self.report.show_result(title, result)
        self.tabs.setCurrentWidget(self.report)
        try:
            add_result(title, result, QgsProject.instance().mapLayer(running.layer_id), running.band)
        except EngineError as error:
            self._on_failure(str(error))
            return
        sentence = f"{title} is done after {duration(result['seconds'])}."
        self.log.appendPlainText(sentence)
        if choice and choice["method"].startswith("bicubic"):  # nothing was better
            self._tell(f"{sentence} {choice['reason']}", Qgis.MessageLevel.Warning, 0)
        else:
            self._tell(sentence, Qgis.MessageLevel.Success, 10)

    def _on_failure(self, sentence: str) -> None:
        self._set_running(False)
        self.log.appendPlainText(f"Error: {sentence}")
        self._warn(sentence)

    def _on_stopped(self, sentence: str) -> None:
        self._set_running(False)
        self.log.appendPlainText(sentence)
        self._tell(sentence, Qgis.MessageLevel.Info, 5)

    def _warn(self, sentence: str) -> None:
        self._tell(sentence, Qgis.MessageLevel.Critical, 0)

    def _tell(self, sentence: str, level: Any, seconds: int) -> None:
        # A moment later: older QGIS announces the end of each long task, and would cover what says more.
        bar = self._iface.messageBar()
        QTimer.singleShot(0, lambda: bar.pushMessage("GrokLST", sentence, level, seconds))

    def _set_running(self, running: bool) -> None:
        if not running:
            self._task = None
            self.status.clear()
        self.progress.setValue(0)
        self.progress.setVisible(running)
        self.status.setVisible(running)
        self.run_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)


def _refuse_without_output(computation: dict[str, Any]) -> None:
    """Tell of what a temporary output is not enough for.

    Raises:
        EngineError: It is not.
    """
    if computation["resume"]:
        raise EngineError("A run that shall go on after an interruption needs an output file: choose one.")
    if computation["cluster"] and not computation["cluster"].startswith("local:"):
        raise EngineError("Workers on other machines need an output file in a folder that they see, too: choose one.")
