"""Page 4 of the training wizard: the training at work."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QPixmap
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
    QWizardPage,
)

from ..engine import EngineError
from ..training import DISCARDED, DONE, FAILED, PAUSED, RUNNING, STOPPING, Training
from ..words import duration
from .curves import Curves

_PICTURE = 180
_STATES = {STOPPING: "Pausing: the present step ends first…", PAUSED: "Paused.", DONE: "Done."}


class RunPage(QWizardPage):
    """Curves, picture, log, and the buttons that pause, resume and cancel; a view of a ``Training``."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("Training")
        self.setSubTitle("You may close this window and go on working: the training goes on among QGIS's tasks.")
        self.setCommitPage(True)
        self.training: Training | None = None
        self.status = QLabel()
        self.status.setObjectName("trainStatus")
        self.status.setWordWrap(True)
        self.remaining = QLabel()
        self.remaining.setObjectName("trainRemaining")
        self.progress = QProgressBar()
        self.progress.setObjectName("trainProgress")
        self.progress.setAccessibleName("Progress of the training")
        self.pause_button = QPushButton("Pause")
        self.pause_button.setObjectName("trainPauseButton")
        self.pause_button.setToolTip("Stop and keep what was learned")
        self.resume_button = QPushButton("Resume")
        self.resume_button.setObjectName("trainResumeButton")
        self.resume_button.setToolTip("Go on where the training stopped")
        self.cancel_button = QPushButton("Cancel training")
        self.cancel_button.setObjectName("trainCancelButton")
        self.cancel_button.setToolTip("Stop and delete what was learned")
        self.curves = Curves()
        self.picture = QLabel()
        self.picture.setObjectName("trainPicture")
        self.picture.setAccessibleName("Picture of the last validation")
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.hide()
        self.log = QPlainTextEdit()
        self.log.setObjectName("trainLog")
        self.log.setAccessibleName("Log of the training")
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(5000)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)

        buttons = QHBoxLayout()
        buttons.addWidget(self.progress, 1)
        for button in (self.pause_button, self.resume_button, self.cancel_button):
            buttons.addWidget(button)
        words = QHBoxLayout()
        words.addWidget(self.status, 1)
        words.addWidget(self.remaining)
        shown = QWidget()
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.curves, 1)
        column.addWidget(self.picture)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(shown)
        splitter.addWidget(self.log)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(words)
        layout.addLayout(buttons)
        layout.addWidget(splitter, 1)

        self.pause_button.clicked.connect(lambda: self.training and self.training.pause())
        self.resume_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self._cancel)

    def attach(self, training: Training) -> None:
        """Show a training, with everything it has said so far."""
        self.training = training
        self.log.clear()
        for line in training.log:
            self.log.appendPlainText(line)
        training.changed.connect(self._show_state)
        training.metric_added.connect(self._show_metrics)
        training.logged.connect(self._append)
        self._show_state()
        self._show_metrics()

    def _append(self, line: str) -> None:
        """Another line of the log; stay at its end unless the user looks at what is above."""
        bar = self.log.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 1
        self.log.appendPlainText(line)
        if at_end:
            bar.setValue(bar.maximum())

    def detach(self) -> None:
        """Look away: the window closes, the training goes on."""
        if self.training is not None:
            self.training.changed.disconnect(self._show_state)
            self.training.metric_added.disconnect(self._show_metrics)
            self.training.logged.disconnect(self._append)
            self.training = None

    def start(self) -> None:
        """Start the training, or let it go on."""
        if self.training is not None:
            try:
                self.training.start()
            except EngineError as error:
                self.status.setText(str(error))

    def isComplete(self) -> bool:  # noqa: N802 - Qt's name
        """Whether there is a result."""
        return self.training is not None and self.training.state == DONE

    def _cancel(self) -> None:
        question = "Stop the training and delete what it has learned so far? Pause keeps it."
        yes = QMessageBox.StandardButton.Yes
        if self.training is not None and QMessageBox.question(self, "GrokLST", question) == yes:
            self.training.discard()

    def _show_state(self) -> None:
        training = self.training
        if training is None:
            return
        state = training.state
        words = _STATES.get(state, training.message)
        if state == FAILED:
            words = training.problem
        if state == DISCARDED:
            words = "Cancelled; the training was deleted."
        self.status.setText(words)
        left = training.remaining
        self.remaining.setText("" if left is None else f"About {duration(left)} left")
        self.progress.setValue(round(100 * training.fraction))
        self.pause_button.setEnabled(state == RUNNING)
        self.resume_button.setEnabled(state in (PAUSED, FAILED))
        self.cancel_button.setEnabled(state not in (DONE, DISCARDED))
        self.completeChanged.emit()

    def _show_metrics(self) -> None:
        if self.training is None:
            return
        self.curves.show_metrics(self.training.metrics)
        picture = QPixmap(self.training.picture or "")
        self.picture.setVisible(not picture.isNull())
        if not picture.isNull():
            smooth = Qt.TransformationMode.SmoothTransformation
            self.picture.setPixmap(picture.scaledToHeight(min(_PICTURE, picture.height()), smooth))
