"""The in-process engine: a token policy sampled on any device, each prompt read once for all its samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stablereward.engines.engine import Sampling
from stablereward.engines.prompt_cache import CopiedCache, PromptCache, SharedCache
from stablereward.errors import DataError
from stablereward.policies.token import TokenPolicy, device_named, number_named
from stablereward.policies.tree import EncodedPrompt, join_media
from stablereward.types import Completion, Failure, Prompt

COMPACT_BELOW = 0.75
"""Finished samples leave the batch once fewer than this share of its rows are still writing."""
LOOK_EVERY = 8
"""Steps between two looks at who still writes on a GPU, which has to be waited for each time."""
NOTHING = -1


class HFEngine:
    """Samples from a policy. `max_batch_tokens` bounds the tokens held in the cache at once."""

    def __init__(self, policy: TokenPolicy, *, max_batch_tokens: int = 2**16) -> None:
        self.policy = policy
        self.max_batch_tokens = max_batch_tokens

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `Engine.generate`. What a prompt gets depends on its place, the seed and the weights,
        not on how the prompts are batched."""
        return self.sample(prompts, sampling)

    @torch.no_grad()
    def sample(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[tuple[Completion, ...] | Failure]:
        """`generate` for callers that are not asynchronous."""
        answers: dict[int, tuple[Completion, ...] | Failure] = {}
        encoded: dict[int, EncodedPrompt] = {}
        for index, prompt in enumerate(prompts):
            try:
                encoded[index] = self.policy.encode(prompt)
            except DataError as error:
                answers[index] = Failure(reason="bad_prompt", detail=str(error))
        was_training = self.policy.training
        self.policy.eval()
        for batch in self._batches(encoded, sampling):
            with self.policy.precision():
                groups = _Decoding(self.policy, [encoded[i] for i in batch], batch, sampling).run()
            answers.update(zip(batch, groups, strict=True))
        self.policy.train(was_training)
        return [answers[index] for index in range(len(prompts))]

    def _batches(self, encoded: dict[int, EncodedPrompt], sampling: Sampling) -> Iterator[list[int]]:
        """Prompts of similar length together, as many as the token budget holds."""
        batch: list[int] = []
        longest = 0
        for index in sorted(encoded, key=lambda i: encoded[i].num_tokens):
            longest = max(longest, encoded[index].num_tokens)
            row = (longest + sampling.max_completion_length) * sampling.num_generations
            if batch and row * (len(batch) + 1) > self.max_batch_tokens:
                yield batch
                batch, longest = [], encoded[index].num_tokens
            batch.append(index)
        if batch:
            yield batch


@dataclass
class _State:
    """What is decoded next, for the S samples still in the batch."""

    cache: PromptCache
    positions_S: Tensor
    logits_SV: Tensor
    samples_S: Tensor
    going_S: Tensor


class _Decoding:
    """One batch of prompts from prefill to the last token."""

    def __init__(
        self, policy: TokenPolicy, prompts: list[EncodedPrompt], indices: list[int], sampling: Sampling
    ) -> None:
        self.policy, self.prompts, self.sampling = policy, prompts, sampling
        limits = [min(sampling.max_completion_length, policy.max_context - p.num_tokens) for p in prompts]
        self.num_steps = max(limits)
        self.num_samples = len(prompts) * sampling.num_generations
        device = policy.device
        shape = (self.num_samples, self.num_steps)
        self.tokens_BT = torch.full(shape, NOTHING, dtype=torch.long, device=device)
        self.logprobs_BT = torch.zeros(shape, device=device)
        self.limits_B = torch.tensor(limits, device=device).repeat_interleave(sampling.num_generations)
        self.uniforms_BT = torch.cat([self._uniforms(index) for index in indices]).to(device)
        self.stops = torch.tensor(policy.stop_ids, device=device)
        self.look_every = LOOK_EVERY if device.type == "cuda" else 1

    def _uniforms(self, index: int) -> Tensor:
        """The random numbers of one prompt, a function of the seed and its place alone."""
        generator = torch.Generator().manual_seed(hash((self.sampling.seed, index)) % 2**63)
        # Step by step, so that the length limit decides only how many there are.
        shape = (self.num_steps, self.sampling.num_generations)
        return torch.rand(shape, generator=generator, dtype=torch.float64).T

    def run(self) -> list[tuple[Completion, ...]]:
        state = self._prefill()
        for step in range(self.num_steps):
            tokens_S = self._choose(state, step)
            # A finished sample may still be in the batch; only what it says up to its first stop counts.
            state.going_S = (
                state.going_S & ~self._stops(tokens_S) & (self.limits_B[state.samples_S] > step + 1)
            )
            if step + 1 == self.num_steps:
                break
            if step % self.look_every == 0:
                kept_S = state.going_S.nonzero()[:, 0]
                if len(kept_S) == 0:
                    break
                if len(kept_S) < COMPACT_BELOW * len(tokens_S):
                    tokens_S = tokens_S[kept_S]
                    self._compact(state, kept_S)
            self._advance(state, tokens_S)
        return self._completions()

    def _prefill(self) -> _State:
        """Reads every prompt once and hands what was read to each of its samples."""
        policy, prompts, copies = self.policy, self.prompts, self.sampling.num_generations
        lengths = [p.num_tokens for p in prompts]
        num_axes = prompts[0].positions_AP.shape[0]
        input_ids = torch.full((len(prompts), max(lengths)), policy.pad_token_id)
        positions = torch.zeros((num_axes, len(prompts), max(lengths)), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            input_ids[row, : prompt.num_tokens] = prompt.input_ids_P
            positions[:, row, : prompt.num_tokens] = prompt.positions_AP
        device = policy.device
        positions, lengths_R = positions.to(device), torch.tensor(lengths, device=device)
        text = policy.model.config.get_text_config()
        cache: PromptCache = SharedCache(lengths_R) if policy.shares_prompts else CopiedCache(lengths_R, text)
        states_RPD = policy.model.model(
            input_ids=input_ids.to(device),
            position_ids=positions if num_axes > 1 else positions[0],
            use_cache=True,
            **cache.arguments(),
            **{name: value.to(device) for name, value in join_media(prompts).items()},
        ).last_hidden_state
        cache.branch(copies, self.num_steps)
        states_RD = states_RPD[torch.arange(len(prompts), device=device), lengths_R - 1]
        return _State(
            cache=cache,
            positions_S=positions.amax(dim=(0, 2)).repeat_interleave(copies) + 1,
            logits_SV=policy.model.get_output_embeddings()(states_RD).repeat_interleave(copies, dim=0),
            samples_S=torch.arange(self.num_samples, device=device),
            going_S=torch.ones(self.num_samples, dtype=torch.bool, device=device),
        )

    def _choose(self, state: _State, step: int) -> Tensor:
        """Draws a token for every sample by the inverse of the distribution function."""
        logprobs_SV = self.policy.logprobs(state.logits_SV, self.sampling.temperature)
        if self.sampling.temperature == 0:
            tokens_S = logprobs_SV.argmax(-1)
        else:
            probabilities_SV = _nucleus(logprobs_SV.exp(), self.sampling.top_p)
            mass_SV = probabilities_SV.cumsum(-1, dtype=torch.float64)
            threshold_S = self.uniforms_BT[state.samples_S, step] * mass_SV[:, -1]
            tokens_S = torch.searchsorted(mass_SV, threshold_S[:, None], right=True)[:, 0]
        self.tokens_BT[state.samples_S, step] = tokens_S
        self.logprobs_BT[state.samples_S, step] = logprobs_SV.gather(-1, tokens_S[:, None])[:, 0]
        return tokens_S

    def _stops(self, tokens: Tensor) -> Tensor:
        return (tokens[..., None] == self.stops).any(-1)

    def _compact(self, state: _State, kept_S: Tensor) -> None:
        """Finished samples leave."""
        state.cache.keep(kept_S)
        state.positions_S, state.samples_S = state.positions_S[kept_S], state.samples_S[kept_S]
        state.going_S = state.going_S[kept_S]

    def _advance(self, state: _State, tokens_S: Tensor) -> None:
        """Feeds the chosen tokens."""
        state.cache.grow()
        positions_S1 = state.positions_S[:, None]
        num_axes = self.prompts[0].positions_AP.shape[0]
        states_S1D = self.policy.model.model(
            input_ids=tokens_S[:, None],
            position_ids=positions_S1.expand(num_axes, -1, -1) if num_axes > 1 else positions_S1,
            use_cache=True,
            **state.cache.arguments(),
        ).last_hidden_state
        state.positions_S = state.positions_S + 1
        state.logits_SV = self.policy.model.get_output_embeddings()(states_S1D[:, -1])

    def _completions(self) -> list[tuple[Completion, ...]]:
        """Cuts every sample after its first stop or at its limit."""
        stops_BT = self._stops(self.tokens_BT)
        finished_B = stops_BT.any(-1)
        first_B = torch.where(finished_B, stops_BT.int().argmax(-1) + 1, self.limits_B)
        lengths = torch.minimum(first_B, self.limits_B).tolist()
        finished = (finished_B & (first_B <= self.limits_B)).tolist()
        tokens, logprobs = self.tokens_BT.tolist(), self.logprobs_BT.tolist()
        decode = self.policy.tokenizer.decode
        completions = [
            Completion(
                text=decode(ids[:length], skip_special_tokens=True),
                token_ids=tuple(ids[:length]),
                logprobs=tuple(values[:length]),
                finished=done,
            )
            for ids, values, length, done in zip(tokens, logprobs, lengths, finished, strict=True)
        ]
        copies = self.sampling.num_generations
        return [tuple(completions[first : first + copies]) for first in range(0, len(completions), copies)]


def _nucleus(probabilities_SV: Tensor, top_p: float) -> Tensor:
    """Keeps the most probable tokens whose mass reaches `top_p`; the others get zero."""
    if top_p >= 1.0:
        return probabilities_SV
    sorted_SV, order_SV = probabilities_SV.sort(-1, descending=True)
    # A token stays while the mass before it is below top_p, so the first always stays.
    kept_SV = sorted_SV.cumsum(-1) - sorted_SV < top_p
    return torch.zeros_like(probabilities_SV).scatter(-1, order_SV, sorted_SV * kept_SV)


def load_engine(
    path_or_name: str | Path,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> HFEngine:
    """An engine over a model folder or a shipped model.

    `device` defaults to the GPU where there is one; `dtype` ("float32", "bfloat16", "float16") to
    bfloat16 on a GPU and float32 on a CPU. Raises ModelError.
    """
    number = number_named(dtype, device_named(device))
    policy = TokenPolicy.load(path_or_name, device=device, dtype=number, trust_remote_code=trust_remote_code)
    return HFEngine(policy)
