"""Which rounds a policy is made of."""

from spa.params import Params


def rounds_of(params: Params, round: int) -> list[int]:
    """The rounds whose pairs a policy was trained on, first to last; none for round 0.

    They follow `rounds.N.prev`: a round that another one went past is not among them.

    Raises:
        ParamsError: params.yaml has no such round.
    """
    found: list[int] = []
    name = str(round)
    while name not in ("0", "rival"):
        found.insert(0, int(name))
        name = params.round(int(name)).prev
    return found
