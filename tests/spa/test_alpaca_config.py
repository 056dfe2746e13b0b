"""Configs of alpaca-eval's annotators: those that can be asked, and one clear line of others."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from spa.alpaca_config import asked
from spa.errors import AnnotationError
from spa.leaderboard import open_annotator

TEMPLATE = '<|im_start|>user\n"output": """{output_1}"""\n"output": """{output_2}"""<|im_end|>'


def write_config(folder: Path, template: str = TEMPLATE, **changes: Any) -> Path:
    """A config of one's own that asks for m or M, in a folder with its template."""
    own = {
        "prompt_template": f"{folder.name}/prompt.txt",
        "fn_completions": "openai_completions",
        "completions_kwargs": {"model_name": "mine", "max_tokens": 1},
        "fn_completion_parser": "regex_parser",
        "completion_parser_kwargs": {"outputs_to_match": {1: "m", 2: "M"}},
        "batch_size": 1,
    }
    folder.mkdir(parents=True)
    (folder / "prompt.txt").write_text(template)
    (folder / "configs.yaml").write_text(yaml.safe_dump({folder.name: own | changes}))
    return folder


def test_a_folder_of_the_pipeline_is_a_config(tmp_path: Path) -> None:
    write_config(tmp_path / "judges" / "mine")
    annotator = open_annotator("judges/mine", tmp_path)
    [single] = annotator.annotators.values()
    assert single.prompt_template == TEMPLATE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fn_completions": "anthropic_completions"}, "fn_completions anthropic_completions; want"),
        ({"completions_kwargs": {}}, "no completions_kwargs.model_name"),
        (
            {"completions_kwargs": {"model_name": "x", "tokens_to_favor": ["m"]}},
            "completions_kwargs.tokens_to_favor, which no chat completion takes",
        ),
        (
            {"completions_kwargs": {"model_name": "x", "requires_chatml": False}},
            "requires_chatml: false; wanted a chat",
        ),
        ({"fn_completion_parser": "nobody"}, "cannot be read"),
        ({"nonsense": 1}, "cannot be read"),
        ({"prompt_template": "prompt.txt"}, "cannot be read .*prompt.txt"),
        ({"template": "Which is better?"}, "has the prompt_template 'Which is better"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_config(tmp_path / "mine", **changes)
    with pytest.raises(AnnotationError, match=message) as error:
        open_annotator("mine", tmp_path)
    assert str(error.value).startswith("evaluate.alpaca_eval.config: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "mine: text", ""])
def test_a_file_of_no_configs_is_one_line(tmp_path: Path, text: str) -> None:
    folder = write_config(tmp_path / "mine")
    (folder / "configs.yaml").write_text(text)
    with pytest.raises(AnnotationError, match=r"found 'mine', which cannot be read") as error:
        open_annotator("mine", tmp_path)
    assert "\n" not in str(error.value)


def test_of_alpaca_eval_s_own_all_that_ask_chat_completions_can_be_opened(tmp_path: Path) -> None:
    for name in ("weighted_alpaca_eval_gpt4_turbo", "alpaca_eval_gpt4_turbo_fn", "chatgpt_fn"):
        assert open_annotator(name, tmp_path).annotators
    for name in ("claude", "cohere", "guanaco_33b", "alpaca_farm", "text_davinci_003"):
        with pytest.raises(AnnotationError, match=rf"config: {name} has "):
            open_annotator(name, tmp_path)


def test_what_only_alpaca_eval_s_client_takes_is_not_sent(tmp_path: Path) -> None:
    [single] = open_annotator("alpaca_eval_llama3_70b_fn", tmp_path).annotators.values()
    found = asked(single.completions_kwargs)
    assert found.model == "meta-llama/Llama-3-70b-chat-hf"
    assert found.arguments == {"max_tokens": 100, "temperature": 0}
    assert found.usd_per_token == 9e-7
