"""From prompts to response records, with any engine."""

from collections.abc import Sequence

from spa.encoding import Encoder
from spa.generation.engine import Completion, Engine, Request
from spa.records import Prompt, Response, content_hash
from spa.seeds import derive_seed


def sample_responses(
    engine: Engine,
    encoder: Encoder,
    prompts: Sequence[Prompt],
    *,
    samples: int,
    seed: int,
    names: Sequence[str | int],
    model: str,
) -> list[Response]:
    """Sample answers to every prompt.

    Args:
        engine: what samples.
        encoder: renders prompts and decodes answers.
        prompts: what to answer.
        samples: answers per prompt.
        seed: the pipeline's seed.
        names: the purpose of these answers, e.g. ("generate", 2); with prompt and sample
            number it names the seed of each answer.
        model: content hash of the sampler.

    Returns:
        `samples` responses per prompt, in the order of the prompts.
    """
    wanted = [
        (prompt, sample, derive_seed(seed, *names, prompt.prompt_id, sample))
        for prompt in prompts
        for sample in range(samples)
    ]
    encoded = {prompt.prompt_id: encoder.prompt(prompt.prompt) for prompt in prompts}
    requests = [Request(encoded[prompt.prompt_id], own) for prompt, _, own in wanted]
    return [
        _response(encoder, prompt, sample, own, model, completion)
        for (prompt, sample, own), completion in zip(wanted, engine.complete(requests), strict=True)
    ]


def _response(
    encoder: Encoder, prompt: Prompt, sample: int, seed: int, model: str, completion: Completion
) -> Response:
    return Response(
        response_id=content_hash(prompt.prompt_id, sample, seed, model, completion.tokens),
        prompt_id=prompt.prompt_id,
        prompt=prompt.prompt,
        sample=sample,
        text=encoder.decode(completion.tokens).strip(),
        token_ids=completion.tokens,
        finish_reason="stop" if completion.finished else "length",
        seed=seed,
        model=model,
        logprob=sum(completion.logprobs),
        token_logprobs=completion.logprobs,
    )
