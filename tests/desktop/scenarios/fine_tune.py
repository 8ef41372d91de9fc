"""Shipped weights fine-tuned with the wizard: chosen, adapted in a few steps, and offered in the dock."""

from __future__ import annotations

from drive import Drive
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLabel, QScrollArea, QSpinBox, QTextBrowser, QTreeWidget, QWizard
from scenarios import steps, train

WEIGHTS = "groklst-small"


def run(drive: Drive, lst: str, reflectance: str) -> None:
    """Play."""
    steps.add_layer(drive, reflectance, "Reflectance 25 m")
    steps.add_layer(drive, lst, "LST 25 m")
    wizard = train.open_wizard(drive)
    train.choose_data(drive, wizard)
    choose_weights(drive, wizard)
    choose_options(drive, wizard)
    train.watch(drive, wizard)
    training = wizard.run.training
    drive.wait(lambda: training.state in ("done", "failed"), "the end of the training", 180)
    assert training.state == "done", training.problem
    train.go_on(drive, wizard, QWizard.WizardButton.CommitButton)
    verdict = drive.find(QLabel, "resultVerdict", wizard).text()
    assert "; before the fine-tuning it was 0." in verdict, verdict
    train.use(drive, wizard, f"{WEIGHTS}-tuned")


def choose_weights(drive: Drive, wizard: QWizard) -> None:
    """Those that come with GrokLST."""
    start = drive.find(QComboBox, "startCombo", wizard)
    drive.wait(lambda: start.findData(WEIGHTS) > 0, "the weights", 60)
    drive.wait(drive.find(QTreeWidget, "modelList", wizard).topLevelItemCount, "the networks", 60)
    drive.screenshot("random")
    drive.choose(start, start.itemText(start.findData(WEIGHTS)))
    assert not wizard.button(QWizard.WizardButton.NextButton).isEnabled(), "the card has not been read"
    card = drive.find(QTextBrowser, "startCard", wizard)
    drive.wait(card.toPlainText, "the model card", 60)
    about = drive.find(QLabel, "modelAbout", wizard).text()
    assert "that the scenes have: Blue, Green, Red, NIR, NDVI, NDWI." in about, about
    assert not drive.find(QComboBox, "presetCombo", wizard).isEnabled()
    assert not drive.find(QCheckBox, "furtherBands", wizard).isVisible(), "the weights know all bands"
    speed = drive.find(QLabel, "speedLabel", wizard.currentPage())
    drive.wait(lambda: speed.text().startswith("About "), "the speed", 90)
    drive.screenshot("weights")
    train.go_on(drive, wizard)


def choose_options(drive: Drive, wizard: QWizard) -> None:
    """What the weights say is there; only the length is short."""
    assert drive.find(QComboBox, "trainScale", wizard).currentText() == "2, 3, 4, 8"
    drive.choose(drive.find(QComboBox, "trainLength", wizard), "Other")
    drive.find(QSpinBox, "trainSteps", wizard).setValue(60)
    drive.find(QSpinBox, "trainValidate", wizard).setValue(20)
    drive.find(QSpinBox, "trainBatch", wizard).setValue(4)
    drive.screenshot("options")
    advanced = drive.find(QgsCollapsibleGroupBox, "trainAdvanced", wizard)
    advanced.setCollapsed(False)
    area = wizard.currentPage().findChild(QScrollArea)
    area.ensureWidgetVisible(drive.find(QComboBox, "trainNormalizeGuidance", wizard))
    drive.screenshot("advanced")
    train.go_on(drive, wizard, QWizard.WizardButton.CommitButton)
