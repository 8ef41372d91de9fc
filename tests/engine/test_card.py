from groklst_engine.card import card_text
from groklst_engine.weights import ModelCard, read_card, shipped_weights

ROW = {"region": "r", "mae": 0.3, "bias": 0.0, "cc": 0.9, "rsd": 0.1, "n": 100}


def test_card_text_states_scores_beside_bicubic_and_their_mean():
    card = ModelCard(
        name="tiny",
        architecture="guided-residual",
        scales=(2,),
        metrics=(
            {"scene": "a", "scale": 2, "method": "bicubic", "rmse": 1.0, "rmse_to_bicubic": 1.0, **ROW},
            {"scene": "a", "scale": 2, "method": "tiny", "rmse": 0.5, "rmse_to_bicubic": 0.5, **ROW},
            {"scene": "b", "scale": 2, "method": "bicubic", "rmse": 2.0, "rmse_to_bicubic": 1.0, **ROW},
            {"scene": "b", "scale": 2, "method": "tiny", "rmse": 1.4, "rmse_to_bicubic": 0.7, **ROW},
            {"scene": "c", "scale": 2, "method": "bicubic", "rmse": 1.0, "rmse_to_bicubic": 1.0, **ROW, "region": "s"},
            {"scene": "c", "scale": 2, "method": "tiny", "rmse": 0.9, "rmse_to_bicubic": 0.9, **ROW, "region": "s"},
        ),
    )
    text = card_text(card)
    assert "| r | 2 | x2 | 0.950 | 0.300 | 0.000 | 0.900 | 0.100 | 1.500 | 0.600 |" in text
    assert "| s | 1 | x2 | 0.900 | 0.300 | 0.000 | 0.900 | 0.100 | 1.000 | 0.900 |" in text
    assert "| **mean of the regions** | 2 | x2 | | | | | | | **0.750** |" in text
    assert "| **mean of the scenes** | 3 | x2 | | | | | | | **0.700** |" in text


def test_shipped_cards_say_what_the_weights_say():
    shipped = shipped_weights()
    assert shipped
    for path in shipped.values():
        assert path.with_suffix(".md").read_text("utf-8") == card_text(read_card(path))
