"""The report's sentences follow from the figures."""

from pathlib import Path

import pytest

from spa import report, report_words
from spa.layout import Layout
from spa.records import FlaggedSeedPair, Message, Pair
from tests.finished_run import write_finished_run


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return write_finished_run(Layout(tmp_path))


def _gain(name: str, mean: float, low: float, high: float) -> dict[str, float]:
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def test_gains_are_told_prompt_by_prompt(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    end = rows[3]
    end |= _gain("over_seed", 0.25, 0.1, 0.4) | _gain("over_rival", 0.02, -0.05, 0.09)
    text = " ".join(report_words.in_words(rows))
    assert (
        "Win rate of round 2 minus that of the seed policy, paired by prompt: "
        "+25.0 points [+10.0, +40.0]: the rounds gained." in text
    )
    assert "(gamma 4), has 78.0%. Round 2 minus the rival: +2.0 points [-5.0, +9.0]: no" in text
    end |= _gain("over_seed", 0.05, -0.1, 0.2) | _gain("over_rival", 0.2, 0.1, 0.3)
    text = " ".join(report_words.in_words(rows))
    assert "+5.0 points [-10.0, +20.0]: no clear difference." in text
    assert "+20.0 points [+10.0, +30.0]: the rounds beat it." in text
    end |= _gain("over_seed", -0.2, -0.3, -0.1) | _gain("over_rival", -0.2, -0.3, -0.1)
    text = " ".join(report_words.in_words(rows))
    assert "-20.0 points [-30.0, -10.0]: the rounds lost." in text
    assert "-20.0 points [-30.0, -10.0]: it beats the rounds" in text


def test_the_rival_is_told_at_equal_drift_too(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    rows[3]["kl_to_base"], rows[-1]["kl_to_base"] = 2.0, 5.0
    tries = [(2.0, 0.6, 0.5), (4.0, 0.7, 2.2), (8.0, 0.8, 5.0)]
    rows[-1]["tried"] = [
        {"gamma": g, "development_win_rate": rate, "kl_to_base": kl} for g, rate, kl in tries
    ]
    text = " ".join(report_words.in_words(rows))
    assert "a larger one in rival.gammas may win more" not in text
    rows[-1]["gamma"] = 8.0
    edge = " ".join(report_words.in_words(rows))
    assert "Its gamma is the largest of those tried, so a larger one in rival.gammas may" in edge
    assert "Round 2 is 2.00 nats from the base, the rival 5.00" in text
    assert "gamma 4 is closest to the round's distance (2.20 nats); its win rate is 70.0%" in text
    assert "is 70.0% on development prompts, round 2's 90.0%." in text


def test_words_about_a_judge_follow_from_its_interval(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    good, _ = report_words.judges_in_words(rows, flipped=0.0)
    assert good.startswith("The judge of round 1 is right on 70.0% [60.0%, 80.0%] of its pairs")
    assert "better than chance, and above the best of likelihood and length" in good
    assert "rates the chosen answers +0.120 [+0.050, +0.200] higher" in good
    assert good.endswith("the labels point the right way.")
    rows[2] |= {"label_gap": -0.1, "label_gap_low": -0.2, "label_gap_high": -0.01}
    rows[3] |= {"label_gap": 0.01, "label_gap_low": -0.05, "label_gap_high": 0.07}
    rows[2] |= {"judge_accuracy": 0.55, "judge_accuracy_low": 0.45, "judge_accuracy_high": 0.65}
    rows[3] |= {"judge_accuracy": 0.3, "judge_accuracy_low": 0.2, "judge_accuracy_high": 0.4}
    poor, bad, flips = report_words.judges_in_words(rows, flipped=0.4)
    assert "no clear difference from chance, and no better than the best of" in poor
    assert "the labels point the wrong way" in poor
    assert "worse than chance" in bad
    assert "the labels may be no better than noise" in bad
    assert flips.startswith("40% of the seed's labels were flipped on purpose")


def test_what_round_zeros_detector_made_of_turned_labels_is_said(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    noise = {"n": 40, "wrong_share": 0.4, "auroc": 0.61}
    said = " ".join(report_words.judges_in_words(rows, flipped=0.4, noise=noise))
    assert "40% of the seed's labels were flipped" in said
    assert "AUROC of 0.61" in said
    assert "AUROC" not in " ".join(report_words.judges_in_words(rows, flipped=0.4))


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
    flags = report_words.seed_flags(seed, flagged)
    reasons = {"cut:chosen": 1, "identical": 1, "near_identical": 1}
    assert flags == {"pairs": 5, "dropped": 1, "reasons": reasons}
    (sentence,) = report_words.seed_in_words(flags)
    assert sentence.startswith("1 of 5 seed pairs failed data checks and were not trained on")
    assert report_words.seed_in_words(report_words.seed_flags(seed, flagged[:1])) == []


def test_a_cheap_judge_counts_whichever_way_round_it_fits(layout: Layout) -> None:
    """A judge right on 60 % is no better than "longer wins" where shorter answers win 30 %."""
    rows = report.read_rows(layout, ["1", "2"])
    rows[2] |= {"judge_accuracy": 0.6, "likelihood_accuracy": 0.39, "length_accuracy": 0.3}
    said = report_words.judges_in_words(rows, flipped=0.0)[0]
    assert "no better than the best of likelihood and length" in said
    assert "(longer wins: 70.0%)" in said


def test_held_out_labels_turned_labels_and_the_detectors_peer_are_told(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    plain = " ".join(report_words.judges_in_words(rows, flipped=0.0))
    assert not any(word in plain for word in ("held-out", "on purpose", "detector"))
    rows[1] |= {"heldout_n": 100, **_gain("heldout_accuracy", 0.52, 0.42, 0.62)}
    rows[2] |= {"label_accuracy": 0.5, "noise_auroc": 0.55, "noise_margin_auroc": 0.65}
    said = " ".join(report_words.judges_in_words(rows, flipped=0.0))
    assert "Round 0's implicit reward is right on 52.0% [42.0%, 62.0%] of 100 held-out" in said
    assert "pairs: no clear difference from chance" in said
    assert "right on 70.0%, the labels trained on are right on 50.0%" in said
    assert "AUROC of 0.55, the judge's plain margin with 0.65" in said


def test_a_likelihood_that_misleads_is_a_cheap_judge_too(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    rows[2] |= {"judge_accuracy": 0.7, "likelihood_accuracy": 0.3, "length_accuracy": 0.5}
    said = report_words.judges_in_words(rows, flipped=0.0)[0]
    assert "no better than the best of likelihood and length" in said
    assert "(less likely wins: 70.0%)" in said


def test_the_last_round_is_the_last_by_number(layout: Layout) -> None:
    rows = report.read_rows(layout, ["1", "2"])
    rows[2]["round"], rows[3]["round"] = "9", "10"
    assert report_words.in_words(rows)[0].startswith("Win rate of round 10 minus")
