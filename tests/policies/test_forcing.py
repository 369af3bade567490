"""Teacher forcing: what was sampled gets the log-probabilities it was sampled with, in any batch."""

import pytest

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.policies.completions import completions
from stablereward.policies.forcing import forced
from stablereward.policies.token import TokenPolicy
from stablereward.types import Group
from stablereward.worlds.sums.problems import problems


@pytest.mark.parametrize("budget", [1, 2**14])
def test_samples_get_back_what_they_were_drawn_with(budget: int) -> None:
    policy = TokenPolicy.load("sums", device="cpu")
    prompts = problems(6, seed=0)
    outputs = HFEngine(policy).sample(prompts, Sampling(num_generations=3, max_completion_length=32))
    groups = [
        Group(prompt=p, trajectories=o) for p, o in zip(prompts, outputs, strict=True) if isinstance(o, tuple)
    ]
    groups.insert(2, Group(prompt=prompts[0], trajectories=()))
    read = forced(completions(policy), groups, budget)
    assert [len(group.trajectories) for group in read] == [3, 3, 0, 3, 3, 3, 3]
    for before, after in zip(groups, read, strict=True):
        for one, other in zip(before.trajectories, after.trajectories, strict=True):
            assert other.text == one.text
            assert other.logprobs == pytest.approx(one.logprobs, abs=1e-4)
