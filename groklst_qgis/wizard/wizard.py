"""The training wizard: five pages around a ``Training``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QWidget, QWizard

from ..engine import EngineError
from ..paths import resource
from ..training import DONE, Training, trainings_folder
from .data_page import DataPage
from .model_page import ModelPage
from .options_page import OptionsPage
from .result_page import ResultPage
from .run_page import RunPage

DATA, MODEL, OPTIONS, RUN, RESULT = range(5)


class TrainingWizard(QWizard):
    """From layers to a network in use.

    Closing it leaves a training at work; give that training to another wizard to see it again.

    Args:
        parent: Window.
        training: The training to show; None makes a new one.
        base: Where trainings lie.
    """

    started = pyqtSignal(object)
    registered = pyqtSignal(str)

    def __init__(
        self, parent: QWidget | None = None, training: Training | None = None, base: Path | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("GroklstTrainingWizard")
        self.setWindowTitle("Train a network")
        self.setWindowIcon(QIcon(str(resource("icons/groklst.svg"))))
        self.setWizardStyle(QWizard.WizardStyle.ModernStyle)
        self.setOption(QWizard.WizardOption.NoBackButtonOnStartPage)
        self.setOption(QWizard.WizardOption.NoCancelButtonOnLastPage)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setButtonText(QWizard.WizardButton.CancelButton, "Close")
        self.setButtonText(QWizard.WizardButton.FinishButton, "Close")
        self.setButtonText(QWizard.WizardButton.CommitButton, "Next")
        self.resize(980, 720)
        self.data = DataPage(Training.unfinished(base or trainings_folder()))
        self.model = ModelPage(self.data)
        self.options = OptionsPage(self.data, self.model)
        if base is not None:
            self.options.advanced.folder.setFilePath(str(base))
        self.run = RunPage()
        self.result = ResultPage()
        for number, page in enumerate((self.data, self.model, self.options, self.run, self.result)):
            self.setPage(number, page)
        self.options.setCommitPage(True)  # what follows cannot be taken back
        self.options.setButtonText(QWizard.WizardButton.CommitButton, "Train")
        self.result.registered.connect(self.registered)
        self.currentIdChanged.connect(self._enter)
        self.finished.connect(self._leave)
        if training is not None:
            self.run.attach(training)
            self.setStartId(RESULT if training.state == DONE else RUN)

    def nextId(self) -> int:  # noqa: N802 - Qt's name
        """An interrupted training has its network and options."""
        if self.currentId() == DATA and self.data.resumed is not None:
            return RUN
        return int(super().nextId())

    def _enter(self, number: int) -> None:
        if number == RUN and self.run.training is None:
            try:
                training = self._make_training()
            except EngineError as error:
                self.run.status.setText(str(error))
                return
            self.started.emit(training)
            self.run.attach(training)
            self.run.start()
        elif number == RESULT and self.run.training is not None:
            self.result.show_result(self.run.training)

    def _make_training(self) -> Training:
        if self.data.resumed is not None:
            return Training.load(self.data.resumed)
        name, folder, jobs = self.options.jobs()
        return Training(name, folder, jobs)

    def _leave(self, *_: Any) -> None:
        """Closed: questions are dropped, the training is not."""
        for page in (self.data, self.model, self.options, self.result):
            page.stop()
        self.run.detach()
