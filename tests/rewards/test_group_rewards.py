"""A reward that sees siblings: one reward for each, or a failure for all; steps belong to steps."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest

from stablereward.errors import ConfigError
from stablereward.rewards.reward import GroupReward, Sample, each, score_groups
from stablereward.types import Completion, Failure, Group, Prompt, Reward


def group(*texts: str) -> Group[Prompt, Completion]:
    ids = [tuple(range(len(text))) for text in texts]
    written = (Completion(text=text, token_ids=own) for text, own in zip(texts, ids, strict=True))
    return Group(prompt=Prompt.user(text="q"), trajectories=tuple(written))


def rewarded(
    reward: GroupReward, *groups: Group[Any, Any], max_concurrency: int = 32
) -> list[tuple[Reward | Failure, ...]]:
    return asyncio.run(score_groups(groups, reward, max_concurrency=max_concurrency))


def ranked(group: Group[Prompt, Completion]) -> list[Reward]:
    """The longest of its group earns 1, the others nothing."""
    longest = max(len(t.text) for t in group.trajectories)
    return [Reward(value=float(len(t.text) == longest)) for t in group.trajectories]


def test_siblings_are_seen_together_plain_and_async() -> None:
    async def later(group: Group[Prompt, Completion]) -> Sequence[Reward]:
        await asyncio.sleep(0)
        return ranked(group)

    groups = group("a", "bbb"), group("cc", "c", "cc"), group()
    expected = [
        (Reward(value=0.0), Reward(value=1.0)),
        (Reward(value=1.0), Reward(value=0.0), Reward(value=1.0)),
        (),
    ]
    assert rewarded(ranked, *groups) == rewarded(later, *groups) == expected


def test_a_function_of_one_sample_as_one_of_a_group() -> None:
    def length(sample: Sample) -> Reward:
        if sample.completion.text == "bad":
            raise RuntimeError("boom")
        return Reward(value=float(len(sample.completion.text)))

    failure = Failure(reason="reward_raised", detail="RuntimeError: boom")
    groups = group("a", "bad"), group("cc")
    assert rewarded(each(length), *groups) == [(Reward(value=1.0), failure), (Reward(value=2.0),)]
    [alone] = [asyncio.run(_called(each(length), groups[0]))]
    assert alone == [Reward(value=1.0), failure]


async def _called(reward: GroupReward, group: Group[Any, Any]) -> list[Reward | Failure]:
    made = reward(group)
    return list(made if isinstance(made, Sequence) else await made)


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        (lambda g: [Reward(value=1.0)], "ValueError: 1 rewards for 2 trajectories"),
        (lambda g: [1.0, 2.0], "TypeError: a reward is a Reward or a Failure, not float"),
        (lambda g: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_function_that_fails_fails_for_its_group_and_no_other(wrong: Any, detail: str) -> None:
    def reward(group: Group[Prompt, Completion]) -> Sequence[Reward | Failure]:
        made: Sequence[Reward | Failure] = ranked(group) if len(group.trajectories) > 2 else wrong(group)
        return made

    bad, good = rewarded(reward, group("a", "bb"), group("a", "b", "cc"))
    assert bad == (Failure(reason="reward_raised", detail=detail),) * 2
    assert [type(r) for r in good] == [Reward] * 3


def test_steps_must_be_the_trajectorys_and_finite() -> None:
    def steps(*earned: float) -> GroupReward:
        return lambda g: [Reward(value=1.0, steps=earned)]

    assert rewarded(steps(0.5, -1.0), group("ab")) == [(Reward(value=1.0, steps=(0.5, -1.0)),)]
    short = Failure(reason="wrong_steps", detail="1 rewards for 2 steps")
    assert rewarded(steps(0.5), group("ab")) == [(short,)]
    wrong = Failure(reason="non_finite_reward", detail="step 2 is nan")
    assert rewarded(steps(0.5, math.nan), group("ab")) == [(wrong,)]


def test_so_many_groups_are_under_way_at_once() -> None:
    under_way, most = 0, 0

    async def reward(group: Group[Prompt, Completion]) -> Sequence[Reward]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return ranked(group)

    rewarded(reward, *[group("a")] * 9, max_concurrency=4)
    assert most == 4
    with pytest.raises(ConfigError, match="max_concurrency is 0"):
        rewarded(reward, group("a"), max_concurrency=0)
