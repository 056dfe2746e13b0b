"""Tool `sample`: two policies' answers side by side, the same every time it is asked."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spa.layout import Layout
from stages._app import run
from stages._terminal import plain
from tests.pipeline.tiny_params import write_pipeline

Sample = Callable[..., tuple[int, str, str]]
ASK = ("--prompt", "Why does bread rise?")


@pytest.fixture
def sample(
    tmp_path: Path,
    tiny_folder: Path,
    other_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Sample:
    """`spa sample` in a pipeline whose round 1 has another model, and round 0 the base's."""
    layout = Layout(write_pipeline(tmp_path, tiny_folder, code=False))
    for name, folder in {"base": tiny_folder, "0": tiny_folder, "1": other_folder}.items():
        shutil.copytree(folder, layout.policy(name))
    monkeypatch.chdir(layout.root)

    def call(*arguments: str, stdin: str = "", person: bool = False) -> tuple[int, str, str]:
        typed = io.StringIO(stdin)
        monkeypatch.setattr(typed, "isatty", lambda: person)
        monkeypatch.setattr("sys.stdin", typed)
        with pytest.raises(SystemExit) as stop:
            run(["sample", *arguments])
        return int(stop.value.code or 0), *capsys.readouterr()

    return call


def _answers(out: str) -> dict[str, list[dict[str, Any]]]:
    rows = json.loads(out)["answers"]
    return {name: [r for r in rows if r["policy"] == name] for name in {r["policy"] for r in rows}}


def test_both_policies_answer_and_the_same_call_gives_the_same(sample: Sample) -> None:
    code, out, _ = sample("--round", "1", *ASK, "--samples", "3", "--json")
    assert code == 0
    found = _answers(out)
    assert {name: len(rows) for name, rows in found.items()} == {"base": 3, "1": 3}
    assert [r["seed"] for r in found["base"]] == [r["seed"] for r in found["1"]]
    assert [r["answer"] for r in found["base"]] != [r["answer"] for r in found["1"]]
    assert sample("--round", "1", *ASK, "--samples", "3", "--json")[1] == out
    assert sample("--round", "1", *ASK, "--samples", "3", "--seed", "9", "--json")[1] != out


def test_equal_policies_answer_alike(sample: Sample) -> None:
    found = _answers(sample("--round", "0", *ASK, "--json")[1])
    assert [r["answer"] for r in found["base"]] == [r["answer"] for r in found["0"]]


def test_every_option_changes_the_answers(sample: Sample) -> None:
    base = sample("--round", "1", *ASK, "--json")[1]
    assert sample("--round", "1", *ASK, "--temperature", "0.01", "--json")[1] != base
    short = _answers(sample("--round", "1", *ASK, "--max-new-tokens", "3", "--json")[1])
    assert {row["tokens"] for rows in short.values() for row in rows} <= {1, 2, 3}


def test_prompts_come_from_a_file_or_line_by_line(sample: Sample) -> None:
    questions = ["Why does dough grow?", "What is salt?"]
    Path("own.jsonl").write_text("".join(json.dumps({"prompt": q}) + "\n" for q in questions))
    code, out, _ = sample("--round", "1", "--file", "own.jsonl")
    assert code == 0
    assert [line for line in out.splitlines() if line in questions] == questions
    assert out.count("  base ") == out.count("  round 1 ") == 2
    code, piped, error = sample("--round", "1", stdin="\n".join(questions) + "\n")
    assert (code, piped, error) == (0, out, "")


def test_what_is_missing_is_one_line(sample: Sample) -> None:
    code, out, error = sample("--round", "2", *ASK)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert error.startswith("error: ")
    assert "dvc repro" in error
    assert sample("--round", "9", *ASK)[0] == 1
    assert sample(*ASK)[0] == 2


def test_a_question_that_is_none_is_named_by_its_place(sample: Sample) -> None:
    code, _, error = sample("--round", "1", *ASK, "--prompt", " ")
    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith("error: --prompt, row 2, field 'prompt': found nothing but blanks")
    code, out, error = sample("--round", "1", stdin="Why?\n\nWhat\0?\n")
    assert (code, error.count("\n")) == (1, 1)
    assert out.startswith("Why?\n  base ")
    assert error.startswith("error: standard input, row 3, field 'prompt': found a NUL character")


@pytest.mark.parametrize(("end", "after"), [("\n", ""), ("", "\n")])
def test_a_person_is_asked_until_an_empty_line_or_the_end(
    sample: Sample, end: str, after: str
) -> None:
    code, out, error = sample("--round", "1", stdin=f"Why?\n{end}", person=True)
    assert (code, error) == (0, "question (empty line ends): " * 2 + after)
    assert out.count("  base ") == 1


def test_a_terminal_obeys_no_answer() -> None:
    assert plain("a\x1b[2Jb\nc é") == "a\\x1b[2Jb\\nc é"


def test_nothing_piped_in_is_told_before_a_model_is_loaded(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    monkeypatch.setattr("spa.models.load_policy", lambda folder, *_: loaded.append(folder))
    code, out, error = sample("--round", "1", stdin="\n \n")
    assert (code, out, loaded) == (1, "", [])
    assert error == (
        "error: standard input: found no question; wanted one per line, or --prompt or --file\n"
    )
