"""What is stated about the networks is what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from groklst_engine.models.catalogue import SCALES, costs, measure, page
from groklst_engine.models.zoo import MODELS, list_models

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


@pytest.mark.parametrize("name", list_models())
def test_costs_are_what_is_measured(name: str) -> None:
    assert costs()[name] == {str(scale): measure(name, scale) for scale in SCALES if scale in MODELS[name].scales}


def test_the_page_is_what_the_catalogue_writes() -> None:
    assert PAGE.read_text("utf-8") == page()
