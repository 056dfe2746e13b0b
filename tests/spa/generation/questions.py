"""What the tests of engines ask."""

from spa.generation.engine import Request
from spa.models import Policy
from spa.seeds import derive_seed


def make_requests(policy: Policy, count: int = 7) -> list[Request]:
    """Requests of three lengths, each with a seed of its own."""
    prompts = ["Why?", "How do plants drink water?", "What makes the sky so very blue today?"]
    return [
        Request(
            policy.encoder.prompt([{"role": "user", "content": prompts[i % 3]}]),
            derive_seed(1, "test", i),
        )
        for i in range(count)
    ]
