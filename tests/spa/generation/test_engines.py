"""The contract of all engines, each with the real thing: an answer follows from its own seed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from spa.chunks import Chunks, Keep, T, anew
from spa.compute import Compute
from spa.encoding import TokenSequence
from spa.errors import EngineError
from spa.generation.choosing import open_sampler
from spa.generation.engine import Completion, Engine, Request
from spa.generation.transformers_engine import TransformersEngine
from spa.generation.vllm_engine import VllmEngine
from spa.logprobs import score
from spa.models import Policy, load_policy
from spa.params import Generate
from tests.spa.generation.questions import make_requests
from tests.tiny import write_tiny_model
from tests.vllm_environment import SMALL, vllm_compute

Make = Callable[..., Engine]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("wide"), seed=0, heads=1)


@pytest.fixture(scope="module")
def policy(folder: Path) -> Policy:
    return load_policy(folder, Compute(device="cpu"))


@pytest.fixture(
    scope="module", params=["transformers", pytest.param("vllm", marks=pytest.mark.slow)]
)
def make(request: pytest.FixtureRequest, folder: Path, policy: Policy) -> Iterator[Make]:
    """Makes engines; vLLM takes long to start, so the last one stays as long as it will do."""
    last: list[tuple[float, Keep, VllmEngine]] = []

    def engine(temperature: float = 1.0, keep: Keep = anew) -> Engine:
        if request.param == "transformers":
            own = Policy(policy.model, policy.encoder, policy.stop_tokens, keep)
            return TransformersEngine(own, temperature=temperature, max_new_tokens=24, batch=64)
        if not last or last[0][:2] != (temperature, keep):
            while last:
                last.pop()[2].close()
            started = VllmEngine(
                folder, vllm_compute(), temperature=temperature, max_new_tokens=24,
                stop_tokens=policy.stop_tokens, keep=keep,
            )  # fmt: skip
            last.append((temperature, keep, started))
        return last[0][2]

    yield engine
    while last:
        last.pop()[2].close()


def _tokens(completions: Sequence[Completion]) -> list[list[int]]:
    return [completion.tokens for completion in completions]


def test_neighbours_and_order_change_nothing(make: Make, policy: Policy) -> None:
    requests = make_requests(policy)
    together = make().complete(requests)
    assert _tokens(make().complete(requests[::-1])[::-1]) == _tokens(together)
    alone = [make().complete([one])[0] for one in requests[:2]]
    assert _tokens(alone) == _tokens(together[:2])


def test_the_same_call_gives_the_same_answers(make: Make, policy: Policy) -> None:
    assert make().complete(make_requests(policy)) == make().complete(make_requests(policy))


def test_another_seed_gives_another_answer(make: Make, policy: Policy) -> None:
    [request] = make_requests(policy, 1)
    answers = make().complete([Request(request.prompt, seed) for seed in range(4)])
    assert len({tuple(tokens) for tokens in _tokens(answers)}) == 4


def test_what_was_answered_before_a_kill_is_kept(
    make: Make, policy: Policy, tmp_path: Path
) -> None:
    requests = make_requests(policy, 70)  # more than are kept together
    chunks = Chunks(tmp_path)
    work: list[Any] = []

    def keep(what: Any, answer: Callable[[], T]) -> T:
        if len(work) == 1:
            raise KeyboardInterrupt
        work.append(what)
        return chunks(what, answer)

    undisturbed = make().complete(requests)
    with pytest.raises(KeyboardInterrupt):
        make(keep=keep).complete(requests)
    assert _tokens(make(keep=chunks).complete(requests)) == _tokens(undisturbed)
    assert len(list(tmp_path.iterdir())) > 1


def test_log_probabilities_are_the_models_own_at_temperature_one(
    make: Make, policy: Policy
) -> None:
    requests = make_requests(policy)
    completions = make(temperature=0.5).complete(requests)
    sequences = [
        TokenSequence(request.prompt, c.tokens)
        for request, c in zip(requests, completions, strict=True)
    ]
    rows = score(policy.model, sequences, token_budget=512)
    for completion, row in zip(completions, rows, strict=True):
        assert completion.logprobs == pytest.approx(row, abs=1e-4)


def test_a_finished_answer_ends_with_its_stop_token_and_a_cut_one_has_none(
    make: Make, policy: Policy
) -> None:
    completions = make(temperature=3.0).complete(make_requests(policy, 200))
    finished = [c for c in completions if c.finished]
    cut = [c for c in completions if not c.finished]
    assert finished
    assert cut
    stops = set(policy.stop_tokens)
    assert all(c.tokens[-1] in stops and not stops & set(c.tokens[:-1]) for c in finished)
    assert all(len(c.tokens) == 24 and not stops & set(c.tokens) for c in cut)


@pytest.mark.slow
def test_vllm_answers_as_transformers_does(folder: Path, policy: Policy, tmp_path: Path) -> None:
    requests = make_requests(policy, 100)
    answers = []
    for engine in ("transformers", "vllm"):
        settings = Generate(engine=engine, temperature=0.8, max_new_tokens=24)
        chunks = Chunks(tmp_path / engine)
        with open_sampler(folder, settings, vllm_compute(), chunks) as sampler:
            answers.append(_tokens(sampler.engine.complete(requests)))
    assert sum(a == b for a, b in zip(*answers, strict=True)) >= 99


@pytest.mark.slow
def test_two_copies_of_the_model_share_themake_requests(folder: Path, policy: Policy) -> None:
    requests = make_requests(policy, 70)
    answers = []
    for copies in (1, 2):
        engine = VllmEngine(
            folder, vllm_compute(data_parallel=copies), temperature=1.0, max_new_tokens=24,
            stop_tokens=policy.stop_tokens,
        )  # fmt: skip
        with closing(engine):
            answers.append(_tokens(engine.complete(requests)))
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_what_vllm_cannot_hold_is_refused(folder: Path, policy: Policy) -> None:
    compute = vllm_compute(options={**SMALL, "max_model_len": 64})
    engine = VllmEngine(
        folder, compute, temperature=1.0, max_new_tokens=60, stop_tokens=policy.stop_tokens
    )
    with closing(engine), pytest.raises(EngineError, match="vLLM holds 64 tokens: found a prompt"):
        engine.complete(make_requests(policy, 3))
