"""What is chosen of samples, by hand: of equals the earlier, never what failed, and order alone matters."""

import math
import random

import pytest

from stablereward.training.select import any_of_each, best, best_of_each, some, top_share
from stablereward.types import Completion, Failure, Group, Reward

FAILED = Failure(reason="dead")


def group(name: str, *rewards: float | None) -> Group[str, Completion]:
    """Completions named after prompt and place; None is a failed reward."""
    return Group(
        prompt=name,
        trajectories=tuple(Completion(text=f"{name}{k}") for k in range(len(rewards))),
        rewards=tuple(FAILED if r is None else Reward(value=r) for r in rewards),
    )


def texts(group: Group[str, Completion]) -> list[str]:
    return [t.text for t in group.trajectories]


def test_the_best_of_a_group() -> None:
    one = group("a", 1.0, None, 3.0, 3.0, 2.0)
    assert texts(best(one)) == ["a2"]
    assert texts(best(one, 3)) == ["a2", "a3", "a4"]
    assert [r.value for r in best(one, 9).rewards if isinstance(r, Reward)] == [3.0, 3.0, 2.0, 1.0]
    assert texts(best(group("a", None, None))) == []
    assert best(one).prompt == "a"


def test_the_top_share_of_a_pool() -> None:
    pool = [group("a", 1.0, 5.0), group("b", 4.0, None), group("c", 0.0, 4.0)]
    # Five rewards; two fifths are the 5 and the earlier 4.
    assert [texts(g) for g in top_share(pool, 0.4)] == [["a1"], ["b0"]]
    assert [texts(g) for g in top_share(pool, 0.6)] == [["a1"], ["b0"], ["c1"]]
    assert [texts(g) for g in top_share(pool, 0.01)] == [["a1"]]
    assert top_share([group("a", None)], 0.5) == []


def test_some_are_any_of_those_with_a_reward() -> None:
    one = group("a", 1.0, None, 3.0)
    drawn = {texts(some(one, 1, random.Random(seed)))[0] for seed in range(30)}
    assert drawn == {"a0", "a2"}
    assert sorted(texts(some(one, 5, random.Random(0)))) == ["a0", "a2"]


@pytest.mark.parametrize("increasing", [math.exp, lambda r: r**3, lambda r: 2 * r - 7])
def test_only_the_order_matters(increasing) -> None:  # type: ignore[no-untyped-def]
    rng = random.Random(0)
    values = [[rng.choice([-2.0, 0.0, 0.5, 1.0, 3.0]) for _ in range(6)] for _ in range(5)]
    plain = [group(str(n), *own) for n, own in enumerate(values)]
    changed = [group(str(n), *map(increasing, own)) for n, own in enumerate(values)]
    assert [texts(best(g, 2)) for g in plain] == [texts(best(g, 2)) for g in changed]
    assert [texts(g) for g in top_share(plain, 0.3)] == [texts(g) for g in top_share(changed, 0.3)]


def test_of_every_group_that_has_a_reward_one_is_taken() -> None:
    pool = [group("a", 1.0, 5.0), group("b", None, None), group("c", 2.0, None)]
    assert [texts(g) for g in best_of_each(pool)] == [["a1"], ["c0"]]
    taken = {tuple(t for g in any_of_each(pool, seed) for t in texts(g)) for seed in range(20)}
    assert taken == {("a0", "c0"), ("a1", "c0")}
    assert any_of_each(pool, 3) == any_of_each(pool, 3)
