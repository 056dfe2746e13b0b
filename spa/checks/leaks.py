"""Template leaks: what only a chat template should say, found in an answer.

The rule. These are leaks, each of them once:

- a special token of any model family: `<|...|>` around a name, also in full-width bars; the
  bracketed names of Llama and Mistral (`[INST]`, `<<SYS>>`, `[SYSTEM_PROMPT]`); the pointed ones
  of Gemma, T5, Cohere and GLM (`<start_of_turn>`, `<|turn>`, `<turn|>`, `<unused7>`, `<bos>`,
  `<extra_id_0>`, `<EOS_TOKEN>`);
- `<s>` or `</s>`, but for a pair of them around a part of a line: HTML's struck text;
- the opening of a turn: a line that begins with `Human:`, `Assistant:` or `User:`, or with `###`
  and a role, one among others that is a role and no more, and `USER:` or `ASSISTANT:` before a
  blank anywhere.

What is spoken of is none: within Markdown's code (fences or backticks) or double quotes on one
line. Bare prose about tokens, and a dialogue between a `User:` and an `Assistant:` that was asked
for, cannot be told from a leak and count.
"""

import re

_SPOKEN_OF = re.compile(
    r"^[ \t]*(?P<fence>```++|~~~++).*?^[ \t]*(?P=fence)"
    r"|(?<!`)(?P<ticks>`++)[^`\n]+(?P=ticks)"
    r'|"[^"\n]*"|“[^“”\n]*”',
    re.MULTILINE | re.DOTALL,
)
_TOKEN = re.compile(
    r"<[|\uff5c][a-zA-Z][\w\u2581.:-]+[|\uff5c]>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|gMASK)\]"
    r"|<</?SYS>>"
    r"|<(?:start|end)_of_(?:turn|image|utterance)>"
    r"|<\|(?:turn|channel|tool|tool_call|tool_response)>"
    r"|<(?:turn|channel|tool|tool_call|tool_response)\|>"
    r"|<(?:bos|eos|pad|unk|sop|eop|(?:unused|reserved_|extra_id_)\d+)>"
    r"|<(?:BOS|EOS|PAD|UNK)_TOKEN>"
)
_TURN = re.compile(
    r"^[ \t]*(?:Human|Assistant|User):"
    r"|^[ \t]*###[ \t]*(?:Human|Assistant|User|System|Instruction|Response):"
    r"|(?!\A\w+\s*\Z)^(?:user|assistant|system)[ \t]*$"
    r"|(?:^|(?<=\s))(?:USER|ASSISTANT):(?!\S)",
    re.MULTILINE,
)
_STRUCK = re.compile(r"<s>.{1,1000}?</s>")
_SENTENCE = re.compile(r"</?s>")


def template_leaks(text: str) -> int:
    """How many template or special tokens, or openings of a new turn, stand in a text."""
    said = _SPOKEN_OF.sub("", "\n".join(text.splitlines()))
    outside = _STRUCK.sub("", said)
    sentences = outside if outside.strip() else said  # a pair around everything strikes nothing
    return len(_TOKEN.findall(said)) + len(_TURN.findall(said)) + len(_SENTENCE.findall(sentences))
