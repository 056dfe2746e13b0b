"""The functions of `spa`: the same figures as the commands, and the example of their page."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import spa
from spa.api import Ask
from spa.compute import Compute
from spa.errors import InputError
from spa.scoring import response_logps

ROOT = Path(__file__).parents[2]
ASK = "Why does bread rise?"
TEXTS = ["Yeast makes gas.", "The dough holds it.", "Blue light the most."]


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, spa; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        spa.nothing  # noqa: B018


def test_sampled_answers_score_as_they_were_sampled(tiny_folder: Path, other_folder: Path) -> None:
    arguments: dict[str, Any] = {"samples": 3, "max_new_tokens": 8, "seed": 5, "device": "cpu"}
    answers = spa.sample([ASK, "What is salt?"], tiny_folder, **arguments)
    assert [a.prompt[0]["content"] for a in answers] == [ASK] * 3 + ["What is salt?"] * 3
    again = spa.sample([ASK, "What is salt?"], tiny_folder, **arguments)
    assert again == answers
    policy = spa.load_policy(tiny_folder, device="cpu")
    read = response_logps(policy, answers, token_budget=Compute().score_tokens)
    assert read == pytest.approx([a.logprob for a in answers], abs=1e-3)


def test_the_label_follows_the_reward(tiny_folder: Path, other_folder: Path) -> None:
    rows = [(ASK, text) for text in TEXTS]
    scores = spa.score(rows, tiny_folder, other_folder, device="cpu")
    assert [s.reward for s in scores] == [s.policy_logp - s.reference_logp for s in scores]
    rewards = dict(zip(TEXTS, (s.reward for s in scores), strict=True))
    [pair] = spa.judge([(ASK, TEXTS)], tiny_folder, other_folder, device="cpu")
    assert pair.chosen == max(TEXTS, key=rewards.__getitem__)
    assert pair.rejected == min(TEXTS, key=rewards.__getitem__)
    assert pair.margin == pytest.approx(rewards[pair.chosen] - rewards[pair.rejected])
    assert spa.judge([(ASK, TEXTS)], tiny_folder, other_folder, tie_band=1e6, device="cpu") == []
    assert spa.judge([(ASK, TEXTS[:1])], tiny_folder, other_folder, device="cpu") == []


def test_sampled_answers_are_read_by_their_own_tokens_and_cut_ones_without_an_end(
    tiny_folder: Path, other_folder: Path
) -> None:
    answers = spa.sample([ASK], tiny_folder, samples=4, max_new_tokens=4, seed=5, device="cpu")
    cut = [answer for answer in answers if answer.finish_reason == "length"]
    assert cut
    scores = spa.score(answers, tiny_folder, other_folder, device="cpu")
    assert [s.tokens for s in scores] == [len(a.token_ids) for a in answers]
    assert [s.policy_logp for s in scores] == pytest.approx([a.logprob for a in answers], abs=1e-4)
    [as_text] = spa.score([(ASK, cut[0].text)], tiny_folder, other_folder, device="cpu")
    assert as_text.tokens > len(cut[0].token_ids)
    [pair] = spa.judge([(ASK, answers)], tiny_folder, other_folder, device="cpu")
    best = max(range(4), key=lambda i: scores[i].reward)
    assert pair.chosen_id == answers[best].response_id
    assert pair.chosen_finish_reason == answers[best].finish_reason
    with pytest.raises(InputError, match=r"questions, row 1, .* another prompt"):
        spa.judge([("What is salt?", answers)], tiny_folder, other_folder, device="cpu")


def test_messages_are_prompts_too_and_bad_ones_are_named(
    tiny_folder: Path, other_folder: Path
) -> None:
    turns = [{"role": "user", "content": ASK}]  # as a caller writes it, without a type of ours
    asked: list[Ask] = [ASK, turns, tuple(turns)]
    one, two, three = spa.score([(ask, "Yeast.") for ask in asked], tiny_folder, other_folder)
    assert two == three
    assert one.tokens == two.tokens
    assert one.reward == pytest.approx(two.reward, abs=1e-4)
    assert one.policy_logp == pytest.approx(two.policy_logp, abs=1e-4)
    with pytest.raises(InputError, match=r"prompts, row 2, field 'prompt'"):
        spa.score([(ASK, "Yeast."), ("", "Yeast.")], tiny_folder, other_folder)


def test_the_example_of_the_page_runs(
    tiny_folder: Path, other_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    (tmp_path / "data" / "round-1").mkdir(parents=True)
    (tmp_path / "data" / "base").mkdir()
    (tmp_path / "data" / "round-1" / "policy").symlink_to(tiny_folder)
    (tmp_path / "data" / "base" / "policy").symlink_to(other_folder)
    pair = {"prompt": ASK, "chosen": TEXTS[0], "rejected": TEXTS[1]}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code.replace("samples=4", "samples=4, max_new_tokens=6"), names)
    assert len(names["pairs"]) == 1
    assert len(names["answers"]) == 4
