"""What the stages that evaluate ask of annotators: who compares what with what."""

from typing import Any

from stages._context import Context


def baseline(here: Context, round: str, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a policy's outputs are compared with: the base's, or on test prompts the reference's.

    Raises:
        ArtefactError: evaluate.against is reference, and the instructions came without outputs.
    """
    from spa.errors import ArtefactError
    from spa.files import read_json

    layout = here.layout
    base = outputs if round == "base" else read_json(layout.evaluation("base") / "outputs.json")
    if here.params.evaluate.against == "base":
        return list(base)
    reference = read_json(layout.reference_outputs)
    if not reference:
        raise ArtefactError(
            "evaluate.against: found no outputs in split.instructions; wanted a field 'output' in "
            "every row, or against: base"
        )
    return [*(row for row in base if row["dataset"] == "development"), *reference]


def annotate_by_all(
    here: Context, base: list[dict[str, Any]], outputs: list[dict[str, Any]], *, null: bool
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, dict[str, float | None]]]:
    """Annotations by annotator, one of them in memory at a time.

    With `null` also how often each prefers a constant answer to the development outputs (the test
    ones if there are none); nobody has recorded that answer.
    """
    from spa.annotation.loading import load_annotator
    from spa.evaluation import annotate, null_win_rate

    annotations, nulls, settings = {}, {}, here.params.evaluate
    shown = [row for row in outputs if row["dataset"] == "development"] or outputs
    for name in settings.annotators:
        annotator = load_annotator(name, here.params, here.compute, layout=here.layout)
        signature = settings.alpaca_eval.signature if name == "alpaca_eval" else name
        annotations[str(name)] = annotate(base, outputs, annotator, name=signature)
        if null and name != "recorded":
            nulls[str(name)] = null_win_rate(shown, annotator, seed=here.params.seed)
        del annotator
    return annotations, nulls


def length_controlled(here: Context, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """AlpacaEval's length-controlled win rate, 0 to 1, where answers met its reference's.

    Null with the reason where it is refused; nothing where the base was the baseline.
    """
    from spa.importing.files import refuse_links
    from spa.regression_data import fetch_regression_data, read_regression_data
    from spa.winrate import INSTRUCTIONS, lc_refusal, win_rate

    settings = here.params.evaluate
    if settings.against == "base":
        return {}
    rows = [row for row in annotations if row["dataset"] == "test"]
    if lc_refusal(rows):
        data = None
    elif settings.regression_data is None:
        data = fetch_regression_data()
    else:
        refuse_links(settings.regression_data, here.layout.root)
        data = read_regression_data(here.layout.root / settings.regression_data, INSTRUCTIONS)
    found = win_rate(rows, data)
    rate = None if found.lc_win_rate is None else found.lc_win_rate / 100
    return {
        "lc_win_rate": rate,
        "lc_approximate": found.lc_approximate,
        "lc_reason": found.lc_reason,
    }
