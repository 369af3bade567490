"""Balance: neither the order nor the length of two responses tells which one is better."""

import random
from collections import Counter
from itertools import islice

import pytest

from stablereward.data.toy.pairs import is_held_out, make_pair, pairs, scenes
from stablereward.data.toy.questions import KINDS
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.metrics import by_category, summarise
from stablereward.judges.controls import always_first, longer_wins
from tests.data.toy_oracle import is_right


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("num", [12, 48, 480])
def test_order_and_length_are_balanced_in_every_kind_and_independent(num: int, held_out: bool) -> None:
    made = pairs(num, seed=num, held_out=held_out)
    counts = Counter(
        (
            pair.question.kind,
            pair.right_index,
            len(pair.responses[pair.right_index]) > len(pair.responses[1 - pair.right_index]),
        )
        for pair in made
    )
    assert set(counts.values()) == {num // 12} and len(counts) == 12
    assert [pair.question.kind for pair in made[:12]] != [kind for _ in range(4) for kind in KINDS]


def test_judges_that_look_at_nothing_get_exactly_half() -> None:
    preferences = [pair.preference() for pair in pairs(120, seed=2)]
    for judge in (longer_wins, always_first):
        rows = evaluate(judge, preferences)
        assert summarise(rows).accuracy == 0.5
        assert {summary.accuracy for summary in by_category(rows).values()} == {0.5}
    assert summarise(evaluate(longer_wins, preferences)).accuracy_swapped == 0.5


def test_the_longer_response_is_clearly_longer() -> None:
    gaps = [abs(len(a) - len(b)) for a, b in (pair.responses for pair in pairs(1200, seed=3))]
    assert min(gaps) >= 8


def test_the_label_names_the_response_with_the_right_answer() -> None:
    for pair in pairs(240, seed=4):
        preference = pair.preference()
        assert preference.best == pair.right_index
        best, worst = pair.responses[pair.right_index], pair.responses[1 - pair.right_index]
        assert pair.question.right in best and pair.question.wrong in worst
        assert pair.question.right not in worst and pair.question.wrong not in best
        assert is_right(pair.scene, preference.question, pair.question.right)
        assert not is_right(pair.scene, preference.question, pair.question.wrong)
        assert (preference.category, preference.extra["listing"]) == (pair.question.kind, pair.scene.listing)


def test_added_words_say_nothing_about_the_worth() -> None:
    """What is left of a response without its answer is as frequent around right answers as around wrong."""
    around: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for pair in pairs(4800, seed=6):
        for index, response in enumerate(pair.responses):
            right = index == pair.right_index
            answer = pair.question.right if right else pair.question.wrong
            around[right].update(part for part in response.split(answer) if part)
    assert len(around[True]) > 5
    for words in around[True] | around[False]:
        right, wrong = around[True][words], around[False][words]
        assert abs(right - wrong) < 4.5 * (right + wrong) ** 0.5, words


def test_training_and_held_out_share_no_scene() -> None:
    train = {pair.scene.listing for pair in pairs(1500, seed=0)}
    held_out = {pair.scene.listing for seed in (0, 1) for pair in pairs(480, seed=seed, held_out=True)}
    assert len(train) > 1000 and len(held_out) > 500
    assert not train & held_out
    assert not any(map(is_held_out, islice(scenes(random.Random(1), held_out=False), 50)))


def test_the_seed_decides_everything() -> None:
    first, again, other = (pairs(24, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert pairs(24, seed=0, held_out=True) != first
    assert len({pair.preference().id for pair in pairs(300, seed=0)}) == 300


@pytest.mark.parametrize("right_is_longer", [True, False])
@pytest.mark.parametrize("right_index", [0, 1])
def test_a_pair_is_made_to_order(right_index: int, right_is_longer: bool) -> None:
    for pair in pairs(60, seed=9):
        made = make_pair(
            pair.scene, pair.question, right_index, right_is_longer=right_is_longer, rng=random.Random(1)
        )
        right, wrong = made.responses[right_index], made.responses[1 - right_index]
        assert pair.question.right in right and pair.question.wrong in wrong
        assert (len(right) > len(wrong)) == right_is_longer


def test_some_kinds_alone() -> None:
    made = pairs(12, seed=0, kinds=("general",))
    assert {pair.question.kind for pair in made} == {"general"}
    assert sum(pair.right_index for pair in made) == 6
