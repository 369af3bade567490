"""R1-Reward in one file: the whole method, written out plainly, on the toy world.

    python examples/minimal.py

It uses the library's types, mathematics and data, and none of its training code: every sample is run
alone, the prompt is read again for every token, nothing is shared, cached or resumed. A test keeps its
updates equal to those of `stablereward train r1_reward`, which does the same work many times faster.
"""

import random

import torch

from stablereward.data.parsing import Verdict, strict_format, verdict
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.annotator import NoisyReader
from stablereward.data.toy.pairs import pairs
from stablereward.objectives.advantages import sigma_filter, terminal_rewards, whiten
from stablereward.policies.token import TokenPolicy
from stablereward.rewards.rule_referee import leads_to
from stablereward.training.batching import in_order
from stablereward.types import Prompt

SEED, PROMPTS, SAMPLES, MAX_TOKENS = 0, 3, 4, 64
DELTA_MIN, DELTA_MAX, EPSILON, SIGMAS = 1e-3, 1e3, 0.2, 3.0


def main() -> None:
    policy = TokenPolicy.load("toy-base")
    data = pairs(24, seed=SEED)
    cold_start(policy, data, num_updates=20)
    prompts = [r1_reward(pair.preference()) for pair in data]
    for update, (loss, reward) in enumerate(stable_reinforce(policy, prompts, num_updates=10), start=1):
        print(f"update {update}: loss {loss:+.5f}, mean reward {reward:.3f}")


def cold_start(policy, data, num_updates):
    """Imitates the annotator's analyses whose verdict is right (section 4.3)."""
    rng = random.Random(SEED)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)
    for number in range(num_updates):
        pair = data[number % len(data)]
        analysis = NoisyReader().annotate(pair, rng)
        if analysis.choice != pair.right_index:
            continue
        prompt = r1_reward(pair.preference())
        tokens = list(policy.completion(policy.encode(prompt), analysis.text))
        loss = -logprobs(policy, prompt, tokens).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def stable_reinforce(policy, prompts, num_updates, learning_rate=1e-4):
    """Samples, rewards, advantages, loss, update (section 4.1). Yields loss and mean reward."""
    optimizer = torch.optim.AdamW(policy.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    for number, chosen in enumerate(in_order(len(prompts), PROMPTS, num_updates)):
        samples = []
        for place, index in enumerate(chosen):
            for numbers in uniforms((hash((SEED, number)), place)):
                tokens, text = sample(policy, prompts[index], numbers)
                samples.append((prompts[index], tokens, reward(text, prompts[index])))
        advantages = batch_advantages(samples)
        total = 0.0
        for (prompt, tokens, _), advantage in zip(samples, advantages, strict=True):
            current = logprobs(policy, prompt, tokens)
            loss = surrogate(current, current.detach(), advantage[: len(tokens)]).mean() / len(samples)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield total, sum(value for *_, value in samples) / len(samples)


def sample(policy, prompt: Prompt, numbers):
    """Draws one completion token by token; `numbers` are uniform in [0, 1)."""
    tokens: list[int] = []
    for number in numbers[:MAX_TOKENS]:
        with torch.no_grad():
            distribution = next_token(policy, prompt, tokens)[-1].double().exp().cumsum(-1)
        tokens.append(int(torch.searchsorted(distribution, number * distribution[-1:], right=True)))
        if tokens[-1] in policy.stop_ids:
            break
    return tokens, policy.text(policy.encode(prompt), tokens)


def uniforms(seed):
    """The engine's random numbers for one prompt, so that both draw the same samples."""
    generator = torch.Generator().manual_seed(hash(seed) % 2**63)
    return torch.rand((MAX_TOKENS, SAMPLES), generator=generator, dtype=torch.float64).T


def next_token(policy, prompt: Prompt, tokens):
    """Log-probabilities of the token after each place, images included. [P + T, V]"""
    encoded = policy.encode(prompt)
    completion = torch.tensor(tokens, dtype=torch.long)
    start = int(encoded.positions_AP.max()) + 1
    after = torch.arange(start, start + len(tokens)).expand(encoded.positions_AP.shape[0], -1)
    logits = policy.model(
        input_ids=torch.cat([encoded.input_ids_P, completion])[None],
        position_ids=torch.cat([encoded.positions_AP, after], dim=1)[:, None],
        use_cache=False,
        **encoded.media,
    ).logits[0]
    return policy.logprobs(logits)


def logprobs(policy, prompt: Prompt, tokens):
    """Log-probabilities of the tokens themselves. [T]"""
    first = policy.encode(prompt).num_tokens - 1
    distributions = next_token(policy, prompt, tokens[:-1])[first:]
    return distributions.gather(-1, torch.tensor(tokens)[:, None])[:, 0]


def reward(text, prompt: Prompt):
    """result · (1 + 0.5 · consistency) + 0.5 · format (section 4.3)."""
    value = 0.5 * strict_format(text)
    opinion = verdict(text, 2)
    if isinstance(opinion, Verdict) and opinion.choice == prompt.preference.best:
        value += 1.0 + 0.5 * (leads_to(opinion.reasoning, opinion.choice) is True)
    return value


def batch_advantages(samples):
    """Returns whitened over all tokens of the batch; what lies beyond 3 sigma is zeroed. [B, T]"""
    lengths = torch.tensor([len(tokens) for _, tokens, _ in samples])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    rewards = terminal_rewards(torch.tensor([value for *_, value in samples]), mask)
    returns = rewards.flip(-1).cumsum(-1).flip(-1)
    z = whiten(returns, mask)
    return sigma_filter(SIGMAS)(z, returns[mask].mean())


def surrogate(current, old, advantage):
    """PPO's clip on a ratio whose logarithm was clipped before exp (Pre-CLIP). [T]"""
    bounds = torch.tensor([DELTA_MIN, DELTA_MAX]).log()
    ratio = (current - old).clamp(bounds[0], bounds[1]).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - EPSILON, 1 + EPSILON) * advantage)


if __name__ == "__main__":
    main()
