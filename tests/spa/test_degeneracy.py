"""Measures of degenerate answers, by hand."""

import pytest

from spa.degeneracy import (
    content,
    distinct_pairs,
    length_ratio,
    mojibake,
    normalise,
    prompt_echo,
    repetition,
    similarity,
    word_count,
)


def test_normalising_forgets_case_blanks_and_unicode_form() -> None:
    assert normalise("  ＡBC\n d ") == "abc d"
    assert normalise("\ufeffa\u200bb\u00ad\u2060 \u00a0c\r\nd\u2028e") == "ab c d e"
    assert normalise("cafe\u0301") == normalise("caf\u00e9")
    assert normalise("\u0645\u06cc\u200c\u0634") != normalise(
        "\u0645\u06cc\u0634"
    )  # as Persian has it


def test_similarity_is_dice_over_word_pairs() -> None:
    """'a b c' and 'a b d' share one of their two pairs each: 2 * 1 / 4."""
    assert similarity("a b c", "a b d") == 0.5
    assert similarity("a b d", "a b c") == 0.5
    assert similarity("A b c", "a  b c") == 1.0
    assert similarity("a b", "c d") == 0.0
    assert similarity("", "") == 1.0


def test_similarity_counts_repeats() -> None:
    """Five pairs, "a b" three times, against "a b" once: 2 * 1 / 6."""
    assert similarity("a b a b a b", "a b") == pytest.approx(1 / 3)


def test_order_matters_to_similarity() -> None:
    assert similarity("the dog bit the man", "the man bit the dog") < 1


def test_repetition_is_the_share_of_triples_there_before() -> None:
    """Seven words, five triples; 'a b c' twice: 1 - 4/5 against (2 - 1)/7."""
    assert repetition("a b c x a b c") == pytest.approx(0.2)
    assert repetition("one two three four five six") == 0
    assert repetition("no no") == 0


def test_one_word_over_and_over_is_repetition() -> None:
    assert repetition("no " * 10) == pytest.approx(0.9)
    assert repetition("no " * 5) == pytest.approx(0.8)
    assert repetition("no " * 4) == 0
    assert repetition("go a go b go c go d go e") == pytest.approx(4 / 10)


def test_echo_is_the_share_of_the_answers_triples_in_the_prompt() -> None:
    assert prompt_echo("why does bread rise", "Why does bread rise?") == 1.0
    assert prompt_echo("why does bread rise", "why does bread fall") == 0.5
    assert prompt_echo("why does bread rise", "yeast makes gas") == 0.0
    assert prompt_echo("why", "") == 0.0


def test_blanks_dots_and_emoji_are_no_words() -> None:
    assert [word_count(t) for t in ("", " \n", "...", "👉🎉⚡", "It is 5.")] == [0, 0, 0, 0, 3]


def test_distinct_pairs_by_hand() -> None:
    """a b c and a b: pairs ab, bc, ab, two of three different."""
    assert distinct_pairs(["a b c", "A b"]) == pytest.approx(2 / 3)
    assert distinct_pairs([""]) == 0.0


def test_content_tells_nothing_blanks_and_signs_apart() -> None:
    texts = ("", " \n\t", "\u200b\ufeff", "\x00", "...", "👍", "5", "Ja.")
    kinds = ("empty", "blank", "blank", "blank", "wordless", "wordless", "words", "words")
    assert tuple(map(content, texts)) == kinds
    assert set(map(content, ("\u3164", "\u2800\u2800", "\u115f\u1160 \uffa0", "\r\n"))) == {"blank"}
    assert set(map(content, ("____", "\u0301", "_ _"))) == {"wordless"}
    assert content("__init__") == "words"


def test_length_ratio_is_longer_over_shorter() -> None:
    assert length_ratio("a b c d e f", "a b") == length_ratio("a b", "a b c d e f") == 3
    assert length_ratio("", "a b c d") == 4
    assert length_ratio("", "...") == 1


@pytest.mark.parametrize(
    "text", ["café, naïve, it’s £5 — “so”", "für São João: 20 °C", "日本 👍\n\tß"]
)
def test_what_was_decoded_wrongly_is_mojibake_and_nothing_else(text: str) -> None:
    assert mojibake(text) == 0
    for wrong in ("cp1252", "latin-1"):
        assert mojibake("café and naïve".encode().decode(wrong)) == 2
    assert mojibake("it’s".encode().decode("cp1252")) == 1
    assert mojibake("a\ufffdb\x1b") == 2


CHINESE = (
    "面包会膨胀。是因为酵母吃掉面粉里的糖。产生二氧化碳。面筋像一张网。把气体留在面团里。所以面团慢慢变大。",
    "烤箱的热量让气体继续膨胀。同时水变成蒸汽。最后淀粉和蛋白质凝固。面包就保持住了它的形状。",
)
JAPANESE = (
    "パンが膨らむのは、酵母が小麦粉の糖を食べて二酸化炭素を出すからです。グルテンの網がそのガスを閉じ込めます。",
    "オーブンの熱でガスはさらに広がり、水は蒸気になります。やがて澱粉が固まり、パンの形が決まります。",
)
THAI = (
    "ขนมปังพองตัวเพราะยีสต์กินน้ำตาลในแป้งแล้วปล่อยก๊าซคาร์บอนไดออกไซด์ออกมา "
    "กลูเตนในแป้งทำหน้าที่เหมือนตาข่ายที่กักเก็บก๊าซเอาไว้",
    "เมื่อนำเข้าเตาอบ ความร้อนทำให้ก๊าซขยายตัวมากขึ้นและน้ำกลายเป็นไอ จากนั้นโปรตีนจะแข็งตัว ขนมปังจึงคงรูปอยู่ได้",
)


@pytest.mark.parametrize(("first", "second"), [CHINESE, JAPANESE, THAI])
def test_scripts_without_blanks_are_measured_by_pairs_of_signs(first: str, second: str) -> None:
    assert word_count(first) > 35
    assert repetition(first + second) < 0.1
    assert repetition(first[:20] * 5) > 0.5
    assert similarity(first, second) < 0.3
    assert similarity(first, first + second[:2]) > 0.9
    assert length_ratio(first, second) < 1.5
    assert length_ratio(first, first[:6]) > 8
    assert prompt_echo(first, first[:30]) == 1
    assert prompt_echo(first, second) < 0.2


def test_two_signs_that_follow_each_other_are_a_word_where_there_are_no_blanks() -> None:
    """Five signs are four pairs, a lone one is a word, and Latin words stay as they are."""
    assert word_count("面包会膨胀") == 4
    assert word_count("好") == 1
    assert word_count("用 yeast 做 bread 2 次") == 6
    assert content("好。") == "words"
