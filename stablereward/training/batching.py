"""Orders and splits: which samples an update sees, and how they are cut into micro-batches."""

import random
from collections.abc import Iterator, Sequence


def in_order(num_items: int, batch_size: int, num_batches: int, start: int = 0) -> Iterator[list[int]]:
    """Batches `start` + 1 to `num_batches` of item numbers, each pass over the items in their own order."""
    for batch in range(start, num_batches):
        yield [place % num_items for place in range(batch * batch_size, (batch + 1) * batch_size)]


def passes(
    num_items: int, batch_size: int, num_batches: int, seed: int, start: int = 0
) -> Iterator[list[int]]:
    """Batches `start` + 1 to `num_batches` of item numbers, each pass over the items in a new order.

    The order is a function of the seed and the pass, so a resumed run continues it exactly.
    """
    orders: dict[int, list[int]] = {}
    for batch in range(start, num_batches):
        chosen = []
        for place in range(batch * batch_size, (batch + 1) * batch_size):
            number, index = divmod(place, num_items)
            if number not in orders:
                order = list(range(num_items))
                random.Random(f"{seed}/{number}").shuffle(order)
                orders = {number - 1: orders.get(number - 1, []), number: order}
            chosen.append(orders[number][index])
        yield chosen


def fill(costs: Sequence[int], budget: int) -> list[list[int]]:
    """Numbers of the groups in each micro-batch, from what each costs (tokens of a row, for tokens).

    Rows of a micro-batch are of similar length; padded to the longest they cost at most `budget` (a single
    longer row is a micro-batch of its own).
    """
    micro_batches: list[list[int]] = [[]]
    for number in sorted(range(len(costs)), key=lambda n: costs[n]):
        rows = len(micro_batches[-1]) + 1
        if rows > 1 and rows * costs[number] > budget:
            micro_batches.append([])
        micro_batches[-1].append(number)
    return micro_batches
