"""Your own rule: what makes an answer good? Replace it; a change reruns what asks it.

params.yaml names it (`rubric.file`, `rubric.function`), and it is asked where `judge.method` or
`evaluate.annotator` is `rubric`. As it stands it knows one thing: an answer should be there, and
come to an end.
"""


def score(question: str, answer: str, finish_reason: str) -> float:
    """How good an answer is; higher is better, equal is a tie.

    Args:
        question: the prompt's last turn.
        answer: the text to judge.
        finish_reason: `stop` where the answer came to an end, `length` where it was cut.
    """
    return float(bool(answer.strip()) and finish_reason == "stop")
