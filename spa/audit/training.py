"""What trained, against what may: no held-out prompt and no gold label."""

from collections.abc import Mapping

from spa.audit.findings import Findings
from spa.audit.pools import Rows


def audit_apart(rows: Rows, pools: Mapping[str, Rows], found: Findings) -> None:
    """No held-out prompt and no gold label, either way round, is among the pairs that train."""
    held_out = {
        prompt: pools[name].name
        for name in ("test", "development", "gold")
        for prompt in pools[name]["prompt_id"]
    }
    labels = {
        (prompt, frozenset(answers)): pools[name].name
        for name in ("gold", "hidden_gold")
        for prompt, *answers in zip(
            *(pools[name][column] for column in ("prompt_id", "chosen", "rejected")), strict=True
        )
    }
    columns = (rows[name] for name in ("prompt_id", "pair_id", "chosen", "rejected"))
    for row, (prompt, own, *answers) in enumerate(zip(*columns, strict=True), 1):
        if prompt in held_out:
            what = f"trains on prompt {prompt}, which {held_out[prompt]} holds out"
            found.fault(rows.name, what, row)
        if where := labels.get((prompt, frozenset(answers))):
            found.fault(rows.name, f"trains on {own}, a gold pair of {where}", row)
