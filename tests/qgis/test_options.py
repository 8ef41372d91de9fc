from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from qgis.core import QgsSettings

from groklst_qgis import options, task
from groklst_qgis.engine import PYTHON_SETTING, EngineError
from groklst_qgis.options import GroklstOptionsFactory, GroklstOptionsPage

ANSWER = {
    "version": "0.1.0",
    "python": "3.11.7",
    "executable": "/engine/bin/python",
    "versions": {"groklst": "0.1.0", "torch": "2.13.0"},
    "devices": [{"name": "cpu", "description": "2 cores"}, {"name": "cuda", "description": "A card"}],
    "methods": [{}, {}, {}],
}


@pytest.fixture(autouse=True)
def _nothing_chosen() -> Iterator[None]:
    QgsSettings().remove(PYTHON_SETTING)
    yield
    QgsSettings().remove(PYTHON_SETTING)


@pytest.fixture
def page(qtbot: Any) -> GroklstOptionsPage:
    page = GroklstOptionsFactory().createWidget()
    qtbot.addWidget(page)
    return page


def test_choice_is_saved_when_the_dialog_is_accepted(page: GroklstOptionsPage, qtbot: Any) -> None:
    qtbot.keyClicks(page.python.lineEdit(), sys.executable)
    assert QgsSettings().value(PYTHON_SETTING) is None
    page.apply()
    assert QgsSettings().value(PYTHON_SETTING) == sys.executable
    again = GroklstOptionsFactory().createWidget()
    qtbot.addWidget(again)
    assert again.python.filePath() == sys.executable


def test_page_has_the_name_that_opens_it(page: GroklstOptionsPage) -> None:
    assert GroklstOptionsFactory().title() == page.objectName() == "GrokLST"


def test_engine_that_works_is_described(page: GroklstOptionsPage, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[dict] = []
    monkeypatch.setattr(task, "run_job", lambda job, *_: jobs.append(job) or ANSWER)
    page.python.setFilePath(sys.executable)
    page.test_button.click()
    assert not page.test_button.isEnabled()
    qtbot.waitUntil(page.test_button.isEnabled)
    assert jobs == [{"kind": "probe"}]
    assert page.outcome.text().splitlines() == [
        "The engine works and offers 3 methods.",
        "Python 3.11.7: /engine/bin/python",
        "Packages: groklst 0.1.0, torch 2.13.0",
        "Devices: cpu (2 cores), cuda (A card)",
    ]
    page.python.setFilePath("/another/python")
    assert page.outcome.text() == "Not tested yet."


def test_engine_that_fails_says_why(page: GroklstOptionsPage, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_job(*_: Any) -> dict:
        raise EngineError("The Python lacks the package torch: choose another.")

    monkeypatch.setattr(task, "run_job", run_job)
    page.python.setFilePath(sys.executable)
    page.test_button.click()
    qtbot.waitUntil(page.test_button.isEnabled)
    assert page.outcome.text() == "The Python lacks the package torch: choose another."


def test_python_that_is_not_there_needs_no_process(page: GroklstOptionsPage) -> None:
    page.python.setFilePath("/no/such/python")
    page.test_button.click()
    assert page.outcome.text().startswith("The engine's Python /no/such/python does not exist:")
    assert page.test_button.isEnabled()


def test_dialog_closed_while_testing(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "run_job", lambda *_: ANSWER)
    page = GroklstOptionsFactory().createWidget()
    page.python.setFilePath(sys.executable)
    with qtbot.captureExceptions() as errors:
        page.test_button.click()
        page.deleteLater()
        qtbot.wait(300)
    assert errors == []


def test_it_shows_what_is_found_without_a_choice(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    QgsSettings().setValue(PYTHON_SETTING, "/chosen/python")

    def find_engine(python: str | None = None) -> None:
        assert python == "", "the user's choice does not count"
        raise EngineError("There is none.")

    monkeypatch.setattr(options, "find_engine", find_engine)
    page = GroklstOptionsFactory().createWidget()
    qtbot.addWidget(page)
    assert page.found.text() == "None: choose the engine's Python above."
