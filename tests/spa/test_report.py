"""The report: the promised keys, and sentences that follow from the figures."""

import shutil
from pathlib import Path

import pytest

from spa import report
from spa.errors import ArtefactError
from spa.layout import Layout
from spa.records import FlaggedSeedPair, Message, Pair
from tests.finished_run import write_finished_run

PROMISED = {
    "round", "win_rate", "win_rate_low", "win_rate_high", "annotator", "heldout_accuracy",
    "judge_accuracy", "kl_to_base", "mean_tokens", "finished", "kept", "flagged",
}  # fmt: skip


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_finished_run(Layout(tmp_path))


def test_rows_have_the_promised_keys_and_leftover_rounds_are_not_read(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    assert [row["round"] for row in rows] == ["base", "0", "1", "2", "rival"]
    assert all(row.keys() >= PROMISED for row in rows)
    assert rows[0]["judge_accuracy"] is None
    assert (rows[2]["judge_accuracy"], rows[2]["kept"]) == (0.7, 60)


def test_the_recommended_round_is_the_earliest_best_on_development(layout: Layout) -> None:
    summary = report.summary(report.read_rows(layout, ["1", "2"]))
    assert summary["recommended_round"] == "1"


def test_what_another_machine_evaluated_and_this_one_lacks_is_named(layout: Layout) -> None:
    said = r"data/evaluation/3, data/calibration/3: not found; .*`dvc pull .*` where another"
    with pytest.raises(ArtefactError, match=said):
        report.read_rows(layout, ["1", "2", "3"])
    shutil.rmtree(layout.calibration(1))
    with pytest.raises(ArtefactError, match=r"^data/calibration/1: not found"):
        report.read_rows(layout, ["1", "2"])


def test_the_words_follow_the_figures(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    text = " ".join(report.in_words(rows))
    assert "won 25.0% win rate over the seed policy; by their intervals round 2 is told" in text
    assert "(gamma 4), has 78.0%; round 2 is not told apart from it" in text
    rows[-1] |= {"win_rate": 0.6, "win_rate_low": 0.55, "win_rate_high": 0.65}
    assert "round 2 beats it" in " ".join(report.in_words(rows))
    rows[-1] |= {"win_rate": 0.95, "win_rate_low": 0.9, "win_rate_high": 1.0}
    assert "is beaten by it" in " ".join(report.in_words(rows))


def test_csv_and_table_hold_every_round(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    lines = report.to_csv(rows).splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["-1", "base", "0.5"], ["0", "0", "0.55"], ["1", "1", "0.7"], ["2", "2", "0.8"],
    ]  # fmt: skip
    table = report.to_table(rows).splitlines()
    assert len({len(line) for line in table}) == 1
    assert "80.0% [75.0%, 85.0%]" in table[5]


def test_words_about_a_judge_follow_from_its_interval(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    good, _ = report.judges_in_words(rows, flipped=0.0)
    assert good.startswith("The judge of round 1 is right on 70.0% [60.0%, 80.0%] of its pairs")
    assert "better than chance, and above the better of likelihood and length (60.0%)" in good
    assert good.endswith("+0.120 [+0.050, +0.200] higher: the labels point the right way.")
    rows[2] |= {"label_gap": -0.1, "label_gap_low": -0.2, "label_gap_high": -0.01}
    rows[3] |= {"label_gap": 0.01, "label_gap_low": -0.05, "label_gap_high": 0.07}
    rows[2] |= {"judge_accuracy": 0.55, "judge_accuracy_low": 0.45, "judge_accuracy_high": 0.65}
    rows[3] |= {"judge_accuracy": 0.3, "judge_accuracy_low": 0.2, "judge_accuracy_high": 0.4}
    poor, bad, flips = report.judges_in_words(rows, flipped=0.4)
    assert "not told apart from chance, and no better than the better of" in poor
    assert "the labels point the wrong way" in poor
    assert "worse than chance" in bad
    assert "the labels may point nowhere" in bad
    assert flips.startswith("40% of the seed's labels were turned round on purpose")


def test_what_round_zeros_detector_made_of_turned_labels_is_said(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    noise = {"n": 40, "wrong_share": 0.4, "auroc": 0.61}
    said = " ".join(report.judges_in_words(rows, flipped=0.4, noise=noise))
    assert "40% of the seed's labels were turned round" in said
    assert "AUROC of 0.61" in said
    assert "AUROC" not in " ".join(report.judges_in_words(rows, flipped=0.4))


def _seed_pair(number: int) -> Pair:
    prompt: list[Message] = [{"role": "user", "content": f"Question {number}?"}]
    return Pair(
        pair_id=f"p{number}",
        prompt_id=f"q{number}",
        prompt=prompt,
        chosen="yes",
        rejected="no",
        chosen_finish_reason="stop",
        rejected_finish_reason="stop",
    )


def test_seed_pairs_that_were_not_trained_on_are_told() -> None:
    seed = [_seed_pair(number) for number in range(5)]
    said = [(["cut:chosen"], "warn"), (["identical", "near_identical"], "drop")]
    flagged = [
        FlaggedSeedPair(**pair.row(), reasons=reasons, action=action)
        for pair, (reasons, action) in zip(seed, said, strict=False)
    ]
    flags = report.seed_flags(seed, flagged)
    reasons = {"cut:chosen": 1, "identical": 1, "near_identical": 1}
    assert flags == {"pairs": 5, "dropped": 1, "reasons": reasons}
    (sentence,) = report.seed_in_words(flags)
    assert sentence.startswith("1 of 5 seed pairs were not trained on")
    assert report.seed_in_words(report.seed_flags(seed, flagged[:1])) == []
