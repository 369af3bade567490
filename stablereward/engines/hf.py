"""The in-process engine: a token policy sampled on any device, each prompt read once for all its samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stablereward.engines.engine import Finished, Sampling
from stablereward.engines.prompt_cache import CopiedCache, PromptCache, SharedCache
from stablereward.engines.token_step import TokenStep, agrees, looks_like_llama
from stablereward.errors import DataError
from stablereward.policies.pixels import joined, moved
from stablereward.policies.token import TokenPolicy, device_named, number_named
from stablereward.policies.tree import EncodedPrompt
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
        self._agrees: bool | None = None

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `Engine.generate`. What a prompt gets depends on its place, the seed and the weights,
        not on how the prompts are batched."""
        return self.sample(prompts, sampling)

    def sample(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[tuple[Completion, ...] | Failure]:
        """`generate` for callers that are not asynchronous."""
        return self.stream(prompts, sampling, lambda place, number, completion: None)

    @torch.no_grad()
    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `StreamingEngine.stream`. `finished` is told when samples leave the batch and at its end."""
        answers: dict[int, tuple[Completion, ...] | Failure] = {}
        encoded: dict[int, EncodedPrompt] = {}
        for index, outcome in enumerate(self.policy.encode_all(prompts)):
            if isinstance(outcome, DataError):
                answers[index] = Failure(reason="bad_prompt", detail=str(outcome))
            else:
                encoded[index] = outcome
        was_training = self.policy.training
        self.policy.eval()
        try:
            for batch in self._batches(encoded, sampling):
                with self.policy.precision():
                    some = {index: encoded[index] for index in batch}
                    decoding = _Decoding(self.policy, some, sampling, quick=self._can_step(some[batch[0]]))
                    answers.update(decoding.run(finished))
        finally:
            self.policy.train(was_training)
        return [answers[index] for index in range(len(prompts))]

    def _can_step(self, prompt: EncodedPrompt) -> bool:
        """Modules may be exchanged between two calls; what they compute is tried once."""
        fits = self.policy.shares_prompts and looks_like_llama(self.policy.model.get_decoder())
        if fits and self._agrees is None:
            self._agrees = agrees(self.policy, prompt.positions_AP.shape[0])
        return fits and bool(self._agrees)

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
        self,
        policy: TokenPolicy,
        chosen: dict[int, EncodedPrompt],
        sampling: Sampling,
        *,
        quick: bool = False,
    ) -> None:
        """`chosen` has the prompts by their places among all."""
        self.indices, prompts = list(chosen), list(chosen.values())
        self.policy, self.prompts, self.sampling, self.quick = policy, prompts, sampling, quick
        self.step: TokenStep | None = None
        self.written: dict[int, Completion] = {}
        self.num_axes = prompts[0].positions_AP.shape[0]
        limits = [min(sampling.max_completion_length, policy.max_context - p.num_tokens) for p in prompts]
        self.num_steps = max(limits)
        self.num_samples = len(prompts) * sampling.num_generations
        device = policy.device
        shape = (self.num_samples, self.num_steps)
        self.tokens_BT = torch.full(shape, NOTHING, dtype=torch.long, device=device)
        self.logprobs_BT = torch.zeros(shape, device=device)
        self.limits_B = torch.tensor(limits, device=device).repeat_interleave(sampling.num_generations)
        self.uniforms_BT = torch.cat([self._uniforms(index) for index in chosen]).to(device)
        self.stops = torch.tensor(policy.stop_ids, device=device)
        self.look_every = LOOK_EVERY if device.type == "cuda" else 1

    def _uniforms(self, index: int) -> Tensor:
        """The random numbers of one prompt, a function of the seed and its place alone."""
        generator = torch.Generator().manual_seed(hash((self.sampling.seed, index)) % 2**63)
        # Step by step, so that the length limit decides only how many there are.
        shape = (self.num_steps, self.sampling.num_generations)
        return torch.rand(shape, generator=generator, dtype=torch.float64).T

    def run(self, finished: Finished) -> dict[int, tuple[Completion, ...]]:
        """The completions by the places of their prompts."""
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
                    self._write(state.samples_S[~state.going_S], finished)
                    self._compact(state, kept_S)
            self._advance(state, tokens_S)
        self._write(state.samples_S, finished)
        copies = self.sampling.num_generations
        return {
            index: tuple(self.written[place * copies + number] for number in range(copies))
            for place, index in enumerate(self.indices)
        }

    def _prefill(self) -> _State:
        """Reads every prompt once and hands what was read to each of its samples."""
        policy, prompts, copies = self.policy, self.prompts, self.sampling.num_generations
        lengths = [p.num_tokens for p in prompts]
        num_axes = self.num_axes
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
            **cache.arguments(policy.model.model),
            **moved(joined([prompt.media for prompt in prompts]), device),
        ).last_hidden_state
        cache.branch(copies, self.num_steps)
        next_R = positions.amax(dim=(0, 2)) + 1
        if self.quick:
            # The step has copies of its own of the weights that autocast copied to read the prompts.
            torch.clear_autocast_cache()
            self.step = TokenStep(policy, num_axes, int(next_R.max()) + self.num_steps)
        states_RD = states_RPD[torch.arange(len(prompts), device=device), lengths_R - 1]
        return _State(
            cache=cache,
            positions_S=next_R.repeat_interleave(copies),
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
        if self.step is not None:
            assert isinstance(state.cache, SharedCache)
            states_SD = self.step(tokens_S, state.positions_S, state.cache)
        else:
            positions_S1 = state.positions_S[:, None]
            states_SD = self.policy.model.model(
                input_ids=tokens_S[:, None],
                position_ids=positions_S1.expand(self.num_axes, -1, -1)
                if self.num_axes > 1
                else positions_S1,
                use_cache=True,
                **state.cache.arguments(self.policy.model.model),
            ).last_hidden_state[:, -1]
        state.positions_S = state.positions_S + 1
        state.logits_SV = self.policy.model.get_output_embeddings()(states_SD)

    def _write(self, samples_S: Tensor, finished: Finished) -> None:
        """Cuts these samples after their first stop or at their limits, and tells of them."""
        tokens_ST, limits_S = self.tokens_BT[samples_S], self.limits_B[samples_S]
        stops_ST = self._stops(tokens_ST)
        stopped_S = stops_ST.any(-1)
        first_S = torch.where(stopped_S, stops_ST.int().argmax(-1) + 1, limits_S)
        lengths = torch.minimum(first_S, limits_S).tolist()
        done = (stopped_S & (first_S <= limits_S)).tolist()
        tokens, logprobs = tokens_ST.tolist(), self.logprobs_BT[samples_S].tolist()
        for row, sample in enumerate(samples_S.tolist()):
            ids = tokens[row][: lengths[row]]
            completion = Completion(
                text=self.policy.tokenizer.decode(ids, skip_special_tokens=True),
                token_ids=tuple(ids),
                logprobs=tuple(logprobs[row][: lengths[row]]),
                finished=done[row],
            )
            self.written[sample] = completion
            place, number = divmod(sample, self.sampling.num_generations)
            finished(self.indices[place], number, completion)


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
