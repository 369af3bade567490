"""Demonstrations, their chunks, and what the frozen imitation would have done along them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stablereward.errors import DataError
from stablereward.policies.control import ChunkPolicy, Plans
from stablereward.recipes.control.base import (
    Base,
    Demonstrations,
    Task,
    chunk_batches,
    chunk_loss,
    demonstrations,
    imitate,
    kept,
    places,
)
from stablereward.runs.folder import RunFolder
from stablereward.training.optim import OptimConfig


def shown(*lengths: int) -> Demonstrations:
    """Episodes whose steps are counted on: step k has the action k / 100."""
    over = torch.cat([torch.arange(length) == length - 1 for length in lengths])
    numbers = torch.arange(float(len(over)))[:, None]
    return Demonstrations(
        observation=numbers,
        action=numbers / 100,
        reward=over.float(),
        terminated=over,
        over=over,
        next_observation=numbers + 1,
    )


def test_places_count_within_an_episode() -> None:
    assert places(shown(3, 1, 2).over).tolist() == [0, 1, 2, 0, 0, 1]


def test_a_chunk_ends_with_its_episode() -> None:
    [[batch]] = chunk_batches(shown(3, 2), 3, 5, 1, seed=0, start=0)
    rows = {
        int(seen): (mask.tolist(), actions[mask, 0].tolist())
        for seen, actions, mask in zip(*batch, strict=True)
    }
    assert rows[0] == ([True] * 3, pytest.approx([0, 0.01, 0.02]))
    assert rows[1] == ([True, True, False], pytest.approx([0.01, 0.02]))
    assert rows[3] == ([True, True, False], pytest.approx([0.03, 0.04]))
    assert rows[4] == ([True, False, False], pytest.approx([0.04]))


def test_the_loss_is_the_mean_distance_of_the_steps_that_are_there() -> None:
    policy = ChunkPolicy(observation=1, action=1, chunk=3, hidden=2)
    policy.net.silence()
    [[batch]] = chunk_batches(shown(3, 2), 3, 5, 1, seed=0, start=0)
    # Actions 0 1 2, 1 2, 2, 3 4, 4 hundredths.
    assert chunk_loss(policy, batch).value.item() == pytest.approx(0.19 / 9)


def test_the_base_along_a_demonstration_is_what_it_would_have_done() -> None:
    torch.manual_seed(0)
    policy, episodes = ChunkPolicy(observation=1, action=1, chunk=2, hidden=8), shown(5, 3)
    rows = kept(episodes, policy, n=1, gamma=1.0).rows
    assert rows is not None
    plans, expected, following = Plans(policy, 1), [], []
    for seen, after, over in zip(episodes.observation, episodes.next_observation, episodes.over, strict=True):
        expected.append(plans.now(seen[None]))
        plans.advance()
        following.append(plans.now(after[None]))
        plans.forget(over[None])
    torch.testing.assert_close(rows.base, torch.stack(expected))
    torch.testing.assert_close(rows.next_base, torch.stack(following))
    assert torch.equal(rows.observation[:, 0], episodes.observation) and torch.equal(
        rows.over[:, 0], episodes.over
    )


def test_a_file_of_demonstrations_is_read(tmp_path: Path) -> None:
    file = tmp_path / "shown.safetensors"
    save_file({name: column.clone() for name, column in shown(3, 2, 4)._asdict().items()}, file)
    task = Task(demonstrations=str(file), num_shown=2)
    assert len(demonstrations(task, 0).over) == 5
    assert len(demonstrations(replace(task, num_shown=99), 0).over) == 9
    for wrong in (
        {**shown(3)._asdict(), "reward": torch.zeros(2)},
        {**shown(3)._asdict(), "over": torch.zeros(3).bool()},
        {"observation": torch.zeros(3, 1)},
    ):
        save_file({name: column.clone() for name, column in wrong.items()}, file)
        with pytest.raises(DataError, match=r"demonstrations|columns"):
            demonstrations(task, 0)
    with pytest.raises(DataError, match="write a safetensors file of observation, action"):
        demonstrations(Task(demonstrations=str(tmp_path / "none")), 0)


def test_imitation_learns_and_is_not_done_twice(tmp_path: Path) -> None:
    episodes, run = demonstrations(Task(demonstrations="push", num_shown=3), 0), RunFolder(tmp_path)
    config = Base(chunk=4, hidden=16, num_updates=60, batch_size=32, optim=OptimConfig(learning_rate=3e-3))
    policy = imitate(run, episodes, config, 0, save_every=1000)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    first, last = (float(row.split('"loss": ')[1].split(",")[0]) for row in (rows[0], rows[-1]))
    assert last < 0.8 * first and len(rows) == 60
    again = imitate(run, episodes, config, 0, save_every=1000)
    assert torch.equal(policy(episodes.observation), again(episodes.observation))
    assert not any(p.requires_grad for p in policy.parameters())
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 60


def test_without_imitation_the_base_does_nothing(tmp_path: Path) -> None:
    episodes = demonstrations(Task(demonstrations="push", num_shown=1), 0)
    policy = imitate(RunFolder(tmp_path), episodes, None, 0, save_every=1000)
    assert policy(episodes.observation).abs().max() == 0 and policy.chunk == 1
