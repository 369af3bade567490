"""An engine as a policy's sampler: how to sample is settled, prompts and seed are not."""

from collections.abc import Sequence
from dataclasses import replace

from stablereward.blocking import blocking
from stablereward.engines.engine import Engine, Sampling, StreamingEngine
from stablereward.policies.policy import Finished, Sampler, StreamingSampler
from stablereward.types import Completion, Failure, Prompt


def sampler(engine: Engine, sampling: Sampling) -> Sampler:
    """`sampling.num_generations` completions a prompt; it streams where the engine does."""
    if isinstance(engine, StreamingEngine):
        return _Streaming(engine, sampling)

    def sample(prompts: Sequence[Prompt], seed: int) -> list[tuple[Completion, ...] | Failure]:
        return blocking(engine.generate(prompts, replace(sampling, seed=seed)))

    return sample


def greedy(engine: Engine, sampling: Sampling) -> Sampler:
    """The likeliest completion of each prompt, alone."""
    return sampler(engine, replace(sampling, num_generations=1, temperature=0.0))


class _Streaming(StreamingSampler):
    def __init__(self, engine: StreamingEngine, sampling: Sampling) -> None:
        self.engine, self.sampling = engine, sampling

    def __call__(self, prompts: Sequence[Prompt], seed: int) -> list[tuple[Completion, ...] | Failure]:
        return blocking(self.engine.generate(prompts, replace(self.sampling, seed=seed)))

    def stream(
        self, prompts: Sequence[Prompt], seed: int, finished: Finished
    ) -> list[tuple[Completion, ...] | Failure]:
        return self.engine.stream(prompts, replace(self.sampling, seed=seed), finished)
