import random
from collections import Counter

import pytest

from stablereward.training.batching import fill, in_order, passes


@pytest.mark.parametrize(("num_items", "batch_size"), [(10, 3), (4, 4), (3, 10), (1, 2), (7, 1)])
def test_every_pass_shows_every_item_once(num_items: int, batch_size: int) -> None:
    num_batches = 3 * num_items
    batches = list(passes(num_items, batch_size, num_batches, seed=1))
    assert [len(batch) for batch in batches] == [batch_size] * num_batches
    places = [number for batch in batches for number in batch]
    orders = [places[i : i + num_items] for i in range(0, len(places) - num_items + 1, num_items)]
    assert len(orders) >= 3
    assert all(sorted(order) == list(range(num_items)) for order in orders)
    assert num_items < 4 or len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize("start", range(9))
def test_a_resumed_order_goes_on_exactly(start: int) -> None:
    whole = list(passes(5, 3, 8, seed=4))
    assert list(passes(5, 3, 8, seed=4, start=start)) == whole[start:]


def test_items_in_their_own_order() -> None:
    whole = list(in_order(5, 3, 4))
    assert whole == [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4, 0, 1]]
    for start in range(5):
        assert list(in_order(5, 3, 4, start)) == whole[start:]


def test_the_seed_decides_the_order() -> None:
    first, again, other = (list(passes(20, 5, 4, seed=s)) for s in (0, 0, 1))
    assert first == again != other


def test_rows_of_similar_length_fill_the_budget() -> None:
    # Lengths 8, 3, 5, 3 and 2: with padding 2+3+3 makes 3 × 3 = 9, then 5+8 would make 2 × 8 = 16.
    groups = [8, 3, 5, 3, 2]
    assert fill(groups, 9) == [[4, 1, 3], [2], [0]]
    assert fill(groups, 10) == [[4, 1, 3], [2], [0]]
    assert fill(groups, 16) == [[4, 1, 3], [2, 0]]


def test_every_row_is_in_one_micro_batch_within_the_budget() -> None:
    rng = random.Random(0)
    for _ in range(50):
        groups = [rng.randint(1, 60) for _ in range(rng.randint(1, 20))]
        budget = rng.randint(1, 200)
        parts = fill(groups, budget)
        assert Counter(n for part in parts for n in part) == Counter(range(len(groups)))
        for part in parts:
            longest = max(groups[n] for n in part)
            assert len(part) * longest <= budget or len(part) == 1
