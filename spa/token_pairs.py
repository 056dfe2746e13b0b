"""What is trained on: preference pairs as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass

from spa.encoding import TokenSequence
from spa.errors import TrainingError


@dataclass(frozen=True)
class TokenPair:
    """A preference pair as token ids.

    `reference` has the summed log-probabilities (nats) of chosen and rejected answer under
    the policy that training starts from, where they are known already.
    """

    pair_id: str
    chosen: TokenSequence
    rejected: TokenSequence
    reference: tuple[float, float] | None = None


def check_lengths(pairs: Sequence[TokenPair], max_length: int) -> None:
    """Refuse pairs that are too long to train on; nothing is cut silently.

    Raises:
        TrainingError: an answer with its prompt has more than `max_length` tokens.
    """
    long = [p for p in pairs if max(len(p.chosen), len(p.rejected)) > max_length]
    if long:
        most = max(max(len(p.chosen), len(p.rejected)) for p in long)
        raise TrainingError(
            f"train: {len(long)} pairs, first {long[0].pair_id}, are longer than train.max_length "
            f"= {max_length} tokens (the longest has {most}); nothing is cut silently; raise "
            "train.max_length or take them out of the data"
        )
