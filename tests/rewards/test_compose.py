import asyncio

import pytest

from stablereward.engines.scripted import Scripted
from stablereward.rewards.accuracy import accuracy_reward
from stablereward.rewards.compose import r1_reward, transformed, weighted_sum
from stablereward.rewards.consistency import (
    ReadReply,
    consistency_reward,
    paper_values,
    released_values,
)
from stablereward.rewards.format import format_reward
from stablereward.rewards.reward import GroupReward, RewardFunction, Sample, each, score, score_groups
from stablereward.types import Completion, Failure, Group, Preference, Prompt, Reward

FAILURE = Failure(reason="down")


def outcome(reward: RewardFunction, text: str = "", best: int = 0) -> Reward | Failure:
    preference = Preference(question="q", responses=("a", "b"), ranks=(best, 1 - best))
    sample = Sample(prompt=Prompt.user(text="p", preference=preference), completion=Completion(text=text))
    return asyncio.run(score([sample], reward))[0]


def constant(value: float) -> RewardFunction:
    return lambda _: Reward(value=value)


def never(_: Sample) -> Reward:
    raise AssertionError("asked")


@pytest.mark.parametrize("formed", [True, False])
@pytest.mark.parametrize(
    ("read", "best", "reply", "value"),
    [
        (paper_values, 0, "1", 2.0),
        (paper_values, 0, "0", 1.5),
        (paper_values, 1, "1", 0.5),
        (released_values, 0, "1", 2.0),
        (released_values, 0, "0 or 1", 1.5),
        (released_values, 0, "0", 1.0),
        (released_values, 1, "1", 0.5),
    ],
)
def test_the_table_of_the_paper_and_of_the_released_code(
    read: ReadReply, best: int, reply: str, value: float, formed: bool
) -> None:
    consistency = consistency_reward(Scripted(lambda _, k: reply), read=read)
    reward = r1_reward(format_reward, accuracy_reward, consistency)
    text = f"<think>t</think>{'' if formed else ' '}<answer>1</answer>"
    scored = outcome(reward, text, best)
    assert isinstance(scored, Reward)
    assert scored.value == value - (0.0 if formed else 0.5)


def test_the_parts_are_recorded() -> None:
    reward = r1_reward(constant(1), constant(1), constant(0.25), consistency_weight=0.8, format_weight=0.1)
    scored = outcome(reward)
    assert isinstance(scored, Reward)
    assert scored.value == pytest.approx(1 + 0.8 * 0.25 + 0.1)
    assert scored.parts == {"format": 1, "result": 1, "consistency": 0.25}


def test_where_the_result_is_wrong_the_referee_is_not_asked() -> None:
    scored = outcome(r1_reward(constant(1), constant(0), never))
    assert scored == Reward(value=0.5, parts={"format": 1, "result": 0})


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_failed_part_fails_the_whole(position: int) -> None:
    parts: list[RewardFunction] = [constant(1)] * 3
    parts[position] = lambda _: FAILURE
    assert outcome(r1_reward(*parts)) == FAILURE


def test_a_weighted_sum_by_hand() -> None:
    async def late(_: Sample) -> Reward:
        return Reward(value=-3.0)

    reward = weighted_sum({"a": (0.5, constant(4.0)), "b": (2.0, late)})
    assert outcome(reward) == Reward(value=-4.0, parts={"a": 4.0, "b": -3.0})


def test_a_failed_term_fails_the_sum() -> None:
    assert outcome(weighted_sum({"a": (1.0, constant(1)), "b": (0.0, lambda _: FAILURE)})) == FAILURE


@pytest.mark.parametrize("later", [False, True])
def test_a_function_of_rewards_leaves_failures_and_parts(later: bool) -> None:
    def said(sample: Sample) -> Reward | Failure:
        known = Reward(value=float(sample.completion.text or 0), parts={"own": 1.0})
        return known if sample.completion.text else FAILURE

    def at_once(asked: Group[Prompt, Completion]) -> list[Reward | Failure]:
        return [said(Sample(prompt=asked.prompt, completion=t)) for t in asked.trajectories]

    reward: GroupReward = each(said) if later else at_once
    group = Group(prompt=Prompt.user(text="p"), trajectories=(Completion(text="3"), Completion(text="")))
    [found] = asyncio.run(score_groups([group], transformed(reward, lambda value: value**2)))
    assert found == (Reward(value=9.0, parts={"own": 1.0}), FAILURE)
