"""Rows, prompts and parts of a batch."""

from dataclasses import replace

import torch

from stablereward.training.samples import Batch, parts, spread
from stablereward.types import Completion, Failure, Group, Prompt, Reward


def kept(num_samples: int, length: int) -> Group[Prompt, Completion]:
    written = Completion(text="x", token_ids=(1,) * length, logprobs=(-0.5,) * length)
    return Group(
        prompt=Prompt.user(text="q"),
        trajectories=(written,) * num_samples,
        rewards=tuple(Reward(value=float(n)) for n in range(num_samples)),
    )


def test_rows_belong_to_their_prompts() -> None:
    batch = Batch([kept(2, 3), kept(1, 5), kept(3, 1)])
    assert batch.rows([0, 2]).tolist() == [0, 1, 3, 4, 5]
    assert batch.groups_B.tolist() == [0, 0, 1, 2, 2, 2]
    assert batch.rewards_B.tolist() == [0, 1, 0, 0, 1, 2]
    assert batch.mask_BT.sum(-1).tolist() == [3, 3, 5, 1, 1, 1]
    assert batch.longest([0, 2]) == 3
    assert batch.rows_mask([2]).sum(-1).tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(batch.engine_logprobs_BT != 0, batch.mask_BT)
    assert batch.greedy_rewards_B is None and batch.steps_BT is None


def test_steps_are_there_where_every_reward_has_them() -> None:
    short = Completion(text="x", token_ids=(1,), logprobs=(-0.5,))
    long = Completion(text="y", token_ids=(1, 2), logprobs=(-0.5, -0.5))
    rewards = (Reward(value=3.0, steps=(3.0,)), Reward(value=1.0, steps=(None, -1.0)))
    group = Group(prompt=Prompt.user(text="q"), trajectories=(short, long), rewards=rewards)
    steps_BT = Batch([group]).steps_BT
    assert steps_BT is not None and steps_BT.isnan().tolist() == [[False, True], [True, False]]
    assert (steps_BT[0, 0], steps_BT[1, 1]) == (3.0, -1.0)
    assert Batch([replace(group, rewards=(rewards[0], Reward(value=1.0)))]).steps_BT is None


def test_every_sample_is_held_against_the_greedy_answer_of_its_prompt() -> None:
    greedy_B = Batch([kept(2, 1), kept(3, 1)], [1.5, 0.5]).greedy_rewards_B
    assert greedy_B is not None and greedy_B.tolist() == [1.5, 1.5, 0.5, 0.5, 0.5]


def test_parts_cover_everything_once_and_keep_their_number() -> None:
    assert parts(5, 2) == [[0, 1], [2, 3, 4]]
    for num in range(9):
        cut = parts(num, 4)
        assert len(cut) == 4
        assert [n for part in cut for n in part] == list(range(num))
        assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_means_return_to_their_samples() -> None:
    def rollouts(*rewards: Reward | Failure) -> Group[Prompt, Completion]:
        completion = Completion(text="x", token_ids=(1,), logprobs=(-0.5,), finished=True)
        return Group(prompt=Prompt.user(text="q"), trajectories=(completion,) * len(rewards), rewards=rewards)

    good, bad = Reward(value=1.0), Failure(reason="x", detail="y")
    mask_BT = torch.tensor([[True, False], [True, True]])
    values_BT = torch.tensor([[3.0, 9.0], [1.0, 2.0]])
    groups = [rollouts(good, bad, good), rollouts(bad, good)]
    assert spread(groups, mask_BT, values_BT, min_group=2) == ((3.0, None, 1.5), (None, None))
