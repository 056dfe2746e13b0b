"""Stage `calibrate`: which files its figures are of."""

import shutil
from pathlib import Path

from spa.files import read_json
from spa.layout import Layout
from spa.records import FlaggedPair, JudgedPair, Response, Score, TrainingRow
from spa.tables import write_table
from tests.pipeline.in_process import call
from tests.pipeline.tiny_params import write_pipeline
from tests.stages.test_filter import _pair, _response


def _look(pair: str, confidence: float) -> TrainingRow:
    return TrainingRow(
        step=3, pair_id=pair, loss=0.7, margin=0.0, extrapolated_margin=0.0, confidence=confidence,
        threshold=0.5, flagged=confidence < 0.5, refined=False, learning_rate=1e-6,
    )  # fmt: skip


def test_every_judged_pair_is_held_against_gold_and_its_rounds_own_detector(
    tmp_path: Path, tiny_folder: Path, database: Path
) -> None:
    """Four pairs were judged, three kept, and two seen by the detector."""
    layout = Layout(write_pipeline(tmp_path / "pipeline", tiny_folder, code=False))
    shutil.copy(database, layout.root)
    pairs = [_pair(n) for n in range(4)]
    answers = [
        _response(f"{side}{n}", [1, 2], prompt_id=f"q{n}", prompt=pairs[n].prompt)
        for n in range(4)
        for side in "ab"
    ]
    scores = [
        Score(response_id=r.response_id, prompt_id=r.prompt_id, policy_logp=-1.0, base_logp=-2.0,
              tokens=2, reward=1.0)
        for r in answers
    ]  # fmt: skip
    dropped = FlaggedPair(**pairs[3].row(), reasons=["tie"], action="drop")
    write_table(layout.responses(1), answers, Response)
    write_table(layout.scores(1), scores, Score)
    write_table(layout.pairs(1), pairs, JudgedPair)
    write_table(layout.kept(1), pairs[:3], JudgedPair)
    write_table(layout.flagged(1), [dropped], FlaggedPair)
    write_table(layout.training_log(0), [_look("p0", 0.9)], TrainingRow)
    write_table(layout.training_log(1), [_look("p0", 0.2), _look("p1", 0.6)], TrainingRow)
    assert call(layout, "spa calibrate --round 1") == 0
    rows = read_json(layout.calibration(1) / "pairs.json")
    assert [row["pair_id"] for row in rows] == ["p0", "p1", "p2", "p3"]
    assert [row["confidence"] for row in rows] == [0.2, 0.6, None, None]
    digest = read_json(layout.digest(1))
    assert (digest["kept"], digest["flagged"]) == (3, 1)
