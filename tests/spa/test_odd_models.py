"""Models as people have them: without pad or end tokens, tied or not, with bad templates."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from spa import encoding
from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.errors import SpaError
from spa.generation.engine import Request
from spa.generation.transformers_engine import TransformersEngine
from spa.logprobs import score
from spa.models import load_encoder, load_policy, save_policy
from spa.records import Message

CPU = Compute(device="cpu")
ASKED: list[Message] = [{"role": "user", "content": "Why does bread rise?"}]


def _without(source: Path, target: Path, *tokens: str) -> Path:
    """A copy whose tokenizer and configs never heard of some special tokens."""
    shutil.copytree(source, target)
    for file in target.glob("*.json"):
        value = json.loads(file.read_text(encoding="utf-8"))
        if file.name == "tokenizer.json" or not isinstance(value, dict):
            continue
        for token in tokens:
            value.pop(f"{token}_token", None)
            value.pop(f"{token}_token_id", None)
        file.write_text(json.dumps(value), encoding="utf-8")
    return target


@pytest.mark.parametrize("tokens", [("pad",), ("eos",), ("pad", "eos"), ("bos", "eos", "pad")])
def test_what_a_tokenizer_does_not_name_changes_nothing(
    tiny_folder: Path, tmp_path: Path, tokens: tuple[str, ...]
) -> None:
    whole = load_policy(tiny_folder, CPU)
    bare = load_policy(_without(tiny_folder, tmp_path / "bare", *tokens), CPU)
    prompt = whole.encoder.prompt(ASKED)
    assert bare.encoder.prompt(ASKED) == prompt
    assert bare.encoder.answer("Yeast.", "stop") == whole.encoder.answer("Yeast.", "stop")
    requests = [Request(prompt, seed) for seed in range(6)]
    answers = [
        TransformersEngine(policy, temperature=2.0, max_new_tokens=40, batch=4).complete(requests)
        for policy in (whole, bare)
    ]
    assert [a.tokens for a in answers[0]] == [a.tokens for a in answers[1]]
    assert [a.finished for a in answers[0]] == [a.finished for a in answers[1]]
    sequences = [TokenSequence(prompt, a.tokens) for a in answers[0]]
    one, two = (score(policy.model, sequences, token_budget=64) for policy in (whole, bare))
    assert one == two


@pytest.mark.parametrize("tied", [True, False])
def test_tied_and_untied_weights_survive_saving(
    tiny_folder: Path, tmp_path: Path, tied: bool
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone() * 1.5)
    save_policy(model, load_encoder(tiny_folder).tokenizer, tmp_path / "saved")
    saved = load_policy(tmp_path / "saved", CPU).model
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert torch.equal(saved(tokens).logits, model(tokens).logits)
    assert (saved.lm_head.weight is saved.model.embed_tokens.weight) == tied


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{% for m in messages %}",
    ],
    ids=["loops for ever", "reaches for Python", "is no template"],
)
def test_a_bad_template_is_one_clear_error(
    tiny_folder: Path, tmp_path: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_SECONDS", 0.5)
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "bad"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    with pytest.raises(SpaError, match="template"):
        load_encoder(folder).prompt(ASKED)
