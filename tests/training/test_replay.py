"""What is kept and drawn: rows by hand, windows of n steps, and the same after it was put back."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stablereward.training.replay import Memories, Replay, Step, Transitions, generator, mixed


def row(number: int, *, over: tuple[int, ...] = (0, 0), terminated: tuple[int, ...] = (0, 0)) -> Step:
    """The step of that number in each environment: every value tells number and environment."""
    values = torch.tensor([[float(number + 100 * env)] for env in range(len(over))])
    return Step(
        observation=values,
        base=values + 0.25,
        action=values + 0.5,
        reward=torch.full((len(over),), 1.0),
        terminated=torch.tensor(terminated).bool(),
        over=torch.tensor(over).bool(),
        next_observation=values + 1,
        next_base=values + 1.25,
    )


def every(replay: Replay) -> dict[float, tuple[float, float, float]]:
    """For each observation its return, worth and next observation, from so many draws that all come."""
    drawn = replay.draw(2000, generator(0, "test", 0))
    columns = (drawn.observation[:, 0], drawn.returns, drawn.worth, drawn.next_observation[:, 0])
    return {seen: tuple(rest) for seen, *rest in zip(*(c.tolist() for c in columns), strict=True)}


def filled(capacity: int = 100, n: int = 3) -> Replay:
    replay = Replay(capacity, 2, n=n, gamma=0.5)
    replay.add(row(0))
    replay.add(row(1, over=(1, 0), terminated=(1, 0)))
    replay.add(row(2, over=(0, 1)))
    replay.add(row(3))
    replay.add(row(4))
    return replay


def test_windows_end_at_an_end_a_time_out_and_the_newest_row() -> None:
    found = every(filled())
    assert len(found) == 10 == len(filled())
    # Environment 0 terminates in step 1; what follows is another episode.
    assert found[0] == (1.5, 0.0, 2) and found[1] == (1.0, 0.0, 2)
    assert found[2] == (1.75, 0.125, 5)
    assert found[3] == (1.5, 0.25, 5) and found[4] == (1.0, 0.5, 5)
    # Environment 1 runs out of time in step 2, which goes on from where that led.
    assert found[100] == (1.75, 0.125, 103) and found[102] == (1.0, 0.5, 103)


def test_one_step() -> None:
    assert every(filled(n=1))[0] == (1.0, 0.5, 1)


def test_only_the_newest_are_kept_and_windows_pass_the_seam() -> None:
    replay = filled(capacity=6)
    assert len(replay) == 6 and replay.num_rows == 3
    found = every(replay)
    assert sorted(found) == [2, 3, 4, 102, 103, 104] and found[2] == (1.75, 0.125, 5)
    assert replay.latest_actions(2)[:, :, 0].tolist() == [[3.5, 103.5], [4.5, 104.5]]


def test_what_is_drawn_belongs_together() -> None:
    drawn = filled().draw(50, generator(0, "test", 0))
    assert torch.equal(drawn.base, drawn.observation + 0.25)
    assert torch.equal(drawn.action, drawn.observation + 0.5)
    assert torch.equal(drawn.next_base, drawn.next_observation + 0.25)


def same(ours: Transitions, theirs: Transitions) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_draw_is_a_function_of_seed_use_and_number() -> None:
    replay = filled()
    first = replay.draw(20, generator(1, "critic", 5))
    assert same(first, replay.draw(20, generator(1, "critic", 5)))
    for other in (generator(2, "critic", 5), generator(1, "actor", 5), generator(1, "critic", 6)):
        assert not same(first, replay.draw(20, other))


@pytest.mark.parametrize("capacity", [6, 100])
def test_what_was_put_back_goes_on_alike(capacity: int, tmp_path: Path) -> None:
    replay, other = filled(capacity), Replay(capacity, 2, n=3, gamma=0.5)
    other.add(row(77))
    save_file(dict(replay.state_dict()), tmp_path / "memory.safetensors")
    other.load_state_dict(load_file(tmp_path / "memory.safetensors"))
    for kept in (replay, other):
        kept.add(row(5, over=(1, 1)))
    assert same(replay.draw(99, generator(0, "a", 0)), other.draw(99, generator(0, "a", 0)))
    assert all(
        torch.equal(a, b)
        for a, b in zip(replay.state_dict().values(), other.state_dict().values(), strict=True)
    )
    other.load_state_dict(Replay(capacity, 2, n=3, gamma=0.5).state_dict())
    assert len(other) == 0


def test_parts_are_mixed_in_their_shares() -> None:
    shown, own, empty = Replay(10, 1, n=1, gamma=1.0), filled(), Replay(10, 1, n=1, gamma=1.0)
    shown.add(row(900, over=(1,), terminated=(1,)))
    drawn = mixed([(shown, 8), (own, 24), (empty, 5)], generator(0, "a", 0))
    assert len(drawn.observation) == 32 and (drawn.observation == 900).sum() == 8
    assert same(mixed([(shown, 0), (own, 4)], generator(0, "a", 0)), own.draw(4, generator(0, "a", 0)))


def test_memories_are_put_back_each_to_its_own() -> None:
    replay, linear = filled(), torch.nn.Linear(2, 1)
    state = Memories(replay=replay, target=linear).state_dict()
    other, another = Replay(100, 2, n=3, gamma=0.5), torch.nn.Linear(2, 1)
    Memories(replay=other, target=another).load_state_dict(state)
    assert torch.equal(another.weight, linear.weight) and len(other) == len(replay)
    assert "target/weight" in state and "replay/written" in state
