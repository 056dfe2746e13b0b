"""The numbers of params.yaml that follow from a user's own data, set line by line.

Comments and form stay as they are: a preset is a text that people read.
"""

import json
import re
from collections.abc import Mapping

from spa.errors import InputError

_FEWEST = 20
_MANY = 200
"""Prompts from which on batches are the starter's."""
_PLAIN = re.compile(r"[\w./=-][\w./=@:-]*")


def sizes(prompts: int) -> dict[str, int]:
    """How prompts that have a pair each are shared out, as keys of params.yaml.

    A fifth each to the seed and the test, a sixth to gold, a twentieth to development, at most
    as many as help; two rounds share the rest.

    Args:
        prompts: how many different ones there are.

    Raises:
        InputError: there are too few.
    """
    if prompts < _FEWEST:
        raise InputError(
            f"found pairs for {prompts} prompts; wanted {_FEWEST} or more, to draw a seed, "
            "held-out sets and two rounds from them; add pairs"
        )
    seed, gold = min(prompts // 5, 2000), min(prompts // 6, 500)
    test, development = min(prompts // 5, 400), min(prompts // 20, 100)
    round = (prompts - seed - gold - test - development) // 2
    few = prompts < _MANY
    return {
        "split.seed_pairs": seed,
        "split.gold": gold,
        "split.test": test,
        "split.development": development,
        "rounds.1.prompts": round,
        "rounds.2.prompts": round,
        "train.batch_size": 4 if few else 8,
        "filter.min_kept": 4 if few else 16,
    }


def with_values(text: str, values: Mapping[str, str | int]) -> str:
    """params.yaml's text with some keys set.

    Args:
        text: sections in block style, one line a key, one line a round in flow style.
        values: by `section.key`, or `rounds.N.key`.

    Raises:
        ValueError: the text has no such line, or several.
    """
    for key, value in values.items():
        found = list(_pattern(key).finditer(text))
        if len(found) != 1:
            raise ValueError(f"{key}: found {len(found)} lines, wanted one")
        start, end = found[0].span("value")
        text = text[:start] + _scalar(value) + text[end:]
    return text


def _pattern(key: str) -> re.Pattern[str]:
    """From a section's first line to a value in it."""
    section, *rest = key.split(".")
    head = rf"^{section}:\n(?:(?:  .*|#.*)?\n)*?"
    if len(rest) == 2:
        line = rf'  "{rest[0]}": {{.*?\b{rest[1]}: (?P<value>[^,}}\n]+)'
    else:
        line = rf"  {rest[0]}: (?P<value>.*)$"
    return re.compile(head + line, re.MULTILINE)


def _scalar(value: str | int) -> str:
    plain = isinstance(value, int) or _PLAIN.fullmatch(value)
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
