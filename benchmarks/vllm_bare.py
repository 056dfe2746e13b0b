"""vLLM by itself, as `benchmarks/vllm_speed.py` compares with; run by the Python that has vLLM.

Reads `{"model", "dtype", "temperature", "max_new_tokens", "options"}` as a line of JSON and then
calls, `{"prompts": token ids, "seeds": one each or null}`; answers each with seconds and tokens.
"""

import json
import os
import sys
import time

from vllm import LLM, SamplingParams


def main() -> None:
    """Answer calls until the input ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what vLLM prints is not for the other side
    settings = json.loads(sys.stdin.readline())
    begun = time.perf_counter()
    llm = LLM(settings["model"], dtype=settings["dtype"], **settings["options"])
    print(json.dumps({"seconds": time.perf_counter() - begun}), file=out, flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        seeds = call["seeds"] or [None] * len(call["prompts"])
        params = [
            SamplingParams(
                temperature=settings["temperature"],
                max_tokens=settings["max_new_tokens"],
                logprobs=0,
                seed=seed,
            )
            for seed in seeds
        ]
        llm.reset_prefix_cache()  # the same prompts come twice
        begun = time.perf_counter()
        prompts = [{"prompt_token_ids": prompt} for prompt in call["prompts"]]
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds = time.perf_counter() - begun
        tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
        print(json.dumps({"seconds": seconds, "tokens": tokens}), file=out, flush=True)


if __name__ == "__main__":
    main()
