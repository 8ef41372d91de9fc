"""A short training with the wizard: data, network, options, live curves, closed and opened again, result, use."""

from __future__ import annotations

from drive import Drive
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import (
    QAction,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QSpinBox,
    QTextBrowser,
    QToolButton,
    QTreeWidget,
    QWizard,
)
from scenarios import steps


def run(drive: Drive, lst: str, reflectance: str) -> None:
    """Play."""
    steps.add_layer(drive, reflectance, "Reflectance 25 m")
    steps.add_layer(drive, lst, "LST 25 m")
    wizard = open_wizard(drive)
    choose_data(drive, wizard)
    choose_network(drive, wizard)
    choose_options(drive, wizard)
    watch(drive, wizard)
    wizard = close_and_open_again(drive, wizard)
    use(drive, wizard, "fields")


def open_wizard(drive: Drive) -> QWizard:
    """Choose the menu entry."""
    drive.find(QAction, "groklstTrainAction").trigger()
    drive.pump(0.3)
    # one that was closed still exists, hidden, until the scenario ends
    (wizard,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, QWizard) and w.isVisible()]
    return wizard


def go_on(drive: Drive, wizard: QWizard, button: QWizard.WizardButton = QWizard.WizardButton.NextButton) -> None:
    """Click Next."""
    drive.wait(wizard.button(button).isEnabled, "the next page", 90)
    drive.click(wizard.button(button))


def choose_data(drive: Drive, wizard: QWizard) -> None:
    """A scene of two layers."""
    drive.choose(drive.find(QgsMapLayerComboBox, "sceneLstCombo", wizard), "LST 25 m")
    assert drive.find(QgsMapLayerComboBox, "guidanceLayerCombo", wizard).currentText() == "Reflectance 25 m"
    drive.click(drive.find(QToolButton, "guidanceAddButton", wizard))
    drive.click(drive.find(QPushButton, "sceneAddButton", wizard))
    pictures = drive.find(QListWidget, "chipPictures", wizard)
    drive.wait(pictures.count, "the preview", 60)
    assert "Blue, Green, Red, NIR" in drive.find(QLabel, "dataMessage", wizard).text()
    drive.screenshot("data")
    go_on(drive, wizard)


def choose_network(drive: Drive, wizard: QWizard) -> None:
    """The first one."""
    drive.wait(drive.find(QTreeWidget, "modelList", wizard).topLevelItemCount, "the networks", 60)
    speed = drive.find(QLabel, "speedLabel", wizard.currentPage())
    drive.wait(lambda: speed.text().startswith("About "), "the speed", 90)
    drive.screenshot("network")
    go_on(drive, wizard)


def choose_options(drive: Drive, wizard: QWizard) -> None:
    """As few steps as make a curve."""
    drive.choose(drive.find(QComboBox, "trainLength", wizard), "Other")
    drive.find(QSpinBox, "trainSteps", wizard).setValue(150)
    drive.find(QSpinBox, "trainValidate", wizard).setValue(50)
    drive.find(QComboBox, "trainScale", wizard).setCurrentText("4")
    drive.find(QSpinBox, "trainBatch", wizard).setValue(4)
    drive.find(QSpinBox, "trainCrop", wizard).setValue(48)
    name = drive.find(QLineEdit, "trainName", wizard)
    name.clear()
    assert not wizard.button(QWizard.WizardButton.CommitButton).isEnabled()
    drive.type_text(name, "fields")
    drive.screenshot("options")
    go_on(drive, wizard, QWizard.WizardButton.CommitButton)


def watch(drive: Drive, wizard: QWizard) -> None:
    """Until both curves have begun."""
    training = wizard.run.training
    drive.wait(lambda: curves_have_begun(training.metrics) or training.problem, "the curves", 120)
    assert not training.problem, training.problem
    drive.screenshot("curves")
    assert drive.find(QLabel, "trainPicture", wizard).isVisible()


def curves_have_begun(metrics: list[dict[str, float]]) -> bool:
    """Whether there are some losses and validations."""
    return sum("loss" in row for row in metrics) > 1 and sum("rmse" in row for row in metrics) > 1


def close_and_open_again(drive: Drive, wizard: QWizard) -> QWizard:
    """The training goes on meanwhile."""
    training = wizard.run.training
    so_far = len(training.metrics)
    wizard.close()
    drive.pump(0.3)
    wizard = open_wizard(drive)
    assert wizard.run.training is training
    assert len(training.metrics) >= so_far
    drive.wait(lambda: training.state in ("done", "failed"), "the end of the training", 180)
    assert training.state == "done", training.problem
    drive.screenshot("done")
    return wizard


def use(drive: Drive, wizard: QWizard, name: str) -> None:
    """Read the result, and find the weights chosen in the dock."""
    if wizard.button(QWizard.WizardButton.CommitButton).isVisible():
        go_on(drive, wizard, QWizard.WizardButton.CommitButton)
    browser = drive.find(QTextBrowser, "resultBrowser", wizard)
    assert "bicubic" in browser.toPlainText()
    assert "of bicubic's at ×" in drive.find(QLabel, "resultVerdict", wizard).text()
    drive.click(drive.find(QPushButton, "useButton", wizard))
    drive.wait(lambda: "is a method now" in drive.find(QLabel, "resultMessage", wizard).text(), "the registry", 60)
    drive.screenshot("result")
    wizard.close()
    methods = drive.find(QComboBox, "methodCombo")
    drive.wait(lambda: methods.currentData() and methods.currentData()["name"] == name, "the method", 60)
    drive.screenshot("method")
