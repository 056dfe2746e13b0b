"""Languages are told of sentences, and little is believed of words and signs."""

import pytest

from spa.checks.languages import gap, language, languages

ENGLISH = "Why does the bread rise so slowly in the cold kitchen?"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", ENGLISH),
        ("de", "Das Brot geht langsam auf, weil die Hefe den Zucker im Teig frisst."),
        ("fr", "Le pain monte lentement parce que la levure mange le sucre de la farine."),
        ("ja", "パンは、酵母が砂糖を食べてガスを出すので、ゆっくりと膨らみます。"),
    ],
)
def test_sentences_are_told_surely(code: str, text: str) -> None:
    told, belief = language(text)
    assert told == code
    assert belief > 0.9
    assert (gap(language(ENGLISH), (told, belief)) > 0.9) == (code != "en")


@pytest.mark.parametrize("text", ["", "4", "Paris.", "42 + 1 = 43", "x = f(y)"])
def test_little_is_believed_of_words_and_signs(text: str) -> None:
    assert gap(language(ENGLISH), language(text)) < 0.5


def test_texts_keep_their_order_and_repeats() -> None:
    assert languages([ENGLISH, "4", ENGLISH]) == [language(t) for t in (ENGLISH, "4", ENGLISH)]
