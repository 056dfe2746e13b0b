"""The only way from text to tokens: the model's own chat template, rendered once for all stages.

A prompt ends with the template's generation prompt. An answer is its own tokens and, only
if it finished, the template's end-of-turn token: a cut answer never gets one. Text that spells a
token of the template (`<|im_end|>`) stays text: it begins and ends no turn.
"""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from spa.errors import ModelError
from spa.records import FinishReason, Message

_MARK = "answer-of-the-assistant"
_SECONDS = 20.0
"""How long a chat template may take for one conversation; real ones take milliseconds."""


@dataclass(frozen=True)
class TokenSequence:
    """Token ids of one prompt and one answer to it."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class Encoder:
    """Turns conversations and answers into token ids, with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        """Find the end-of-turn token of `tokenizer`, a transformers tokenizer.

        Raises:
            ModelError: the tokenizer has no chat template or no end-of-turn token.
        """
        if not tokenizer.chat_template:
            raise ModelError(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template; wanted one, as "
                "prompts are conversations; use an instruct model or add chat_template.jinja"
            )
        self.tokenizer = tokenizer
        self.special = _special(tokenizer)
        self.end_of_turn = _end_of_turn(tokenizer, self.special)
        self._control = _control_tokens(tokenizer)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation, up to where the assistant begins to answer.

        Raises:
            ModelError: the chat template does not take the conversation, or does not end.
        """
        return self._chat(messages, add_generation_prompt=True)

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a conversation whose last turn is an answer, as the template has it.

        Raises:
            ModelError: as `prompt`.
        """
        return self._chat(messages, add_generation_prompt=False)

    def spells_token(self, messages: Sequence[Message]) -> bool:
        """Whether a turn holds a token of the template as text."""
        return any(token in turn["content"] for turn in messages for token in self._control)

    def _chat(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
        encoded = render(
            self.tokenizer,
            messages,
            add_generation_prompt=add_generation_prompt,
            tokenize=True,
            return_dict=True,
            sanitize_control_tokens=self.spells_token(messages),  # always: slow with many tokens
        )
        return [int(token) for token in encoded["input_ids"]]

    def answer(self, text: str, finish_reason: FinishReason) -> list[int]:
        """Token ids of an answer; a finished one ends with the end-of-turn token."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        ids = [int(token) for token in encoded["input_ids"]]
        return [*ids, self.end_of_turn] if finish_reason == "stop" else ids

    def sequence(
        self, messages: Sequence[Message], text: str, finish_reason: FinishReason
    ) -> TokenSequence:
        """Token ids of a prompt with one answer."""
        return TokenSequence(self.prompt(messages), self.answer(text, finish_reason))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of an answer's tokens, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


def render(tokenizer: Any, messages: Sequence[Any], **settings: Any) -> Any:
    """What the chat template makes of a conversation: it is a stranger's program.

    Raises:
        ModelError: it fails, in whatever way, or does not end.
    """
    try:
        with _in_time(_SECONDS):
            return tokenizer.apply_chat_template(list(messages), **settings)
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{tokenizer.name_or_path}: its chat template fails: {text}; wanted one that takes "
            "this conversation; mend chat_template.jinja or use another model"
        ) from error


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so long; only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"it does not end within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _control_tokens(tokenizer: Any) -> list[str]:
    """Texts of the tokens that make a chat: special ones, and others that the template writes."""
    return [
        own.content
        for own in tokenizer.added_tokens_decoder.values()
        if own.special or (own.content.strip() and own.content in tokenizer.chat_template)
    ]


def _special(tokenizer: Any) -> frozenset[int]:
    """Ids of all special tokens, also of those that no config names."""
    added = tokenizer.added_tokens_decoder.items()
    return frozenset({*tokenizer.all_special_ids, *(token for token, own in added if own.special)})


def _end_of_turn(tokenizer: Any, special: frozenset[int]) -> int:
    """The special token that follows an assistant's answer in the chat template."""
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _MARK}]
    rendered = render(tokenizer, turns, tokenize=False)
    suffix = rendered[rendered.rindex(_MARK) + len(_MARK) :] if _MARK in rendered else ""
    for token in tokenizer(suffix, add_special_tokens=False)["input_ids"]:
        if token in special:
            return int(token)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{tokenizer.name_or_path}: found no end-of-turn token in the chat template and no "
            "eos token; wanted one, or answers never finish; set eos_token in its config"
        )
    return int(tokenizer.eos_token_id)
