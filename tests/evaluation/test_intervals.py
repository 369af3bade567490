"""Intervals and the exact test: cases by hand, printed quantiles, laws, and exact coverage of one order."""

import math
from collections.abc import Sequence
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from stablereward.evaluation.intervals import (
    Floats,
    difference_interval,
    paired_interval,
    share_bounds,
    share_interval,
    sign_flip_p,
    student_quantile,
)


def alone(n: int) -> list[str]:
    return [""] * n


def plain(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval of the mean of a sample, term by term."""
    n, mean = len(values), sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    reach = student_quantile(n - 1) * deviation / math.sqrt(n)
    return mean - reach, mean + reach


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (5, 2.5706),
        (10, 2.2281),
        (29, 2.0452),
        (120, 1.9799),
    ],
)
def test_students_quantile_is_the_printed_one(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, abs=5e-5)


def test_students_quantile_nears_the_normal_one() -> None:
    assert student_quantile(100_000) == pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-4)


def test_a_share_is_a_sample_with_two_values_added_at_either_end() -> None:
    values = [1.0] * 9 + [0.5] * 4 + [0.0] * 3
    low, high = share_interval(np.array(values), alone(16))
    assert (low, high) == pytest.approx(plain([*values, 0, 0, 1, 1]))


def test_a_difference_is_a_sample_with_one_value_added_at_either_end() -> None:
    values = [1.0] * 5 + [0.5] * 2 + [0.0] * 20 + [-1.0] * 2
    low, high = difference_interval(np.array(values), alone(29))
    assert (low, high) == pytest.approx(plain([*values, -1, 1]))


def test_pairs_of_a_question_by_hand() -> None:
    # Questions with 3 of 3, 1 of 2 and 0 of 1 right. Their effective size is 14 / 6 and number 36 / 14: with
    # the added ones 4 + 14/3 of 6 + 28/3, or 46/3, and 36/14 + 4 = 6.57 questions, 5 degrees of freedom.
    values, names = np.array([1.0, 1, 1, 1, 0, 0]), ["a", "a", "a", "b", "b", ""]
    mean, of = 13 / 23, 46 / 3
    squares = (
        (3 - 3 * mean) ** 2 / (1 - 3 / of)
        + (1 - 2 * mean) ** 2 / (1 - 2 / of)
        + mean**2 / (1 - 1 / of)
        + 2 * (7 / 3) ** 2 * (mean**2 + (1 - mean) ** 2) / (1 - 7 / 3 / of)
    )
    reach = student_quantile(5) * math.sqrt(squares) / of
    low, high = share_interval(values, names)
    assert (low, high) == pytest.approx((max(mean - reach, 0), min(mean + reach, 1)))
    assert (low, high) == share_interval(values[::-1], names[::-1])


def test_all_right_is_not_certain_and_no_difference_is_not_none() -> None:
    for n in (1, 20, 500):
        low, high = share_interval(np.ones(n), alone(n))
        assert low < 1 - 2.5 / (n + 4) and high == 1.0
        # Three in n is what a share may be that was not met in n, with 95 %.
        low, high = difference_interval(np.zeros(n), alone(n))
        assert low == -high and min(1.0, 2.7 / (n + 2)) <= high


def test_20_of_20_right_is_80_to_100_percent() -> None:
    assert share_interval(np.ones(20), alone(20)) == pytest.approx((0.797, 1.0), abs=1e-3)


@pytest.mark.parametrize(("size", "questions"), [(1, 20), (3, 7), (4, 46)])
def test_questions_of_one_size_are_a_sample(size: int, questions: int) -> None:
    right = [i % 3 / 2 for i in range(questions)]
    names = [str(i) for i in range(questions) for _ in range(size)]
    low, high = share_interval(np.repeat(right, size), names)
    assert (low, high) == pytest.approx(plain([*right, 0, 0, 1, 1]))


def test_a_question_with_half_of_the_pairs_widens_the_interval() -> None:
    """100 of its pairs and 100 alone: 4 questions in effect, whose interval is hardly one."""
    values = np.array([1.0] * 100 + [0.0, 1.0] * 50)
    low, high = share_interval(values, ["large"] * 100 + [""] * 100)
    assert low < 0.35 and high == 1.0
    few_low, _ = share_interval(np.array([1.0] * 10 + [0.0, 1.0] * 50), ["large"] * 10 + [""] * 100)
    assert few_low > 0.4


def test_one_question_alone_says_next_to_nothing() -> None:
    low, high = share_interval(np.ones(100), ["q"] * 100)
    assert low < 0.1 and high == 1.0


@pytest.mark.parametrize("n", [1, 2, 3, 20, 77])
def test_law_the_value_lies_in_its_interval(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(50):
        values = rng.integers(0, 3, n) / 2
        low, high = share_interval(values, alone(n))
        assert 0 <= low <= values.mean() <= high <= 1
        low, high = difference_interval(values - 0.5, alone(n))
        assert -1 <= low <= values.mean() - 0.5 <= high <= 1


def test_more_pairs_narrow_it_to_the_normal_width() -> None:
    low, high = share_interval(np.repeat([0.0, 1.0], [4000, 6000]), alone(10_000))
    half = NormalDist().inv_cdf(0.975) * math.sqrt(0.6 * 0.4 / 10_000)
    assert (low, high) == pytest.approx((0.6 - half, 0.6 + half), abs=2e-4)


def lowest_coverage(low_R: Floats, high_R: Floats, n: int) -> float:
    """Exact, over accuracies of 50 to 99 %, of the intervals for 0 to n right of n."""
    ways = [math.log(math.comb(n, k)) for k in range(n + 1)]
    found = []
    for p in np.arange(0.5, 0.9901, 0.0025):
        chances = np.exp(ways + np.arange(n + 1) * np.log(p) + np.arange(n, -1, -1) * np.log1p(-p))
        found.append(float(chances[(low_R <= p) & (p <= high_R)].sum()))
    return min(found)


@pytest.mark.parametrize("n", [20, 21, 30, 46, 50, 77, 100, 170, 200, 333, 480, 500])
def test_one_order_covers_94_percent_at_every_accuracy(n: int) -> None:
    right_RN = (np.arange(n)[None] < np.arange(n + 1)[:, None]).astype(np.float64)
    assert lowest_coverage(*share_bounds(right_RN, np.ones_like(right_RN)), n) > 0.94


def test_wilsons_interval_would_cover_90_percent_of_20_pairs() -> None:
    n, z = 20, NormalDist().inv_cdf(0.975)
    share_R = np.arange(n + 1) / n
    centre_R = (share_R + z**2 / (2 * n)) / (1 + z**2 / n)
    reach_R = z * np.sqrt(share_R * (1 - share_R) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    assert lowest_coverage(centre_R - reach_R, centre_R + reach_R, n) == pytest.approx(0.896, abs=1e-3)


def discordant(only_a: int, only_b: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.repeat([1, -1], [only_a, only_b])


def test_the_exact_test_is_mcnemars_by_hand() -> None:
    def p(only_a: int, only_b: int) -> float:
        return sign_flip_p(discordant(only_a, only_b), alone(only_a + only_b))

    assert p(0, 0) == 1.0
    assert p(1, 5) == 2 * (1 + 6) / 64
    assert p(5, 1) == p(1, 5)
    assert p(3, 3) == 1.0
    # 2 Σ_{i≤400} C(1000, i) / 2^1000 ≈ 2 Φ(-6.29): about 3e-10.
    assert p(400, 600) == pytest.approx(2.7e-10, rel=0.1)
    # Pairs that both judges do alike on say nothing.
    assert sign_flip_p(np.array([1] * 5 + [0] * 50 + [-1]), alone(56)) == p(5, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_test_is_the_count_of_all_signs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, names = rng.integers(-2, 3, 9), [str(i // 2) if i < 4 else "" for i in range(9)]
    sums = [points[0] + points[1], points[2] + points[3], *points[4:]]
    flipped = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in product((-1, 1), repeat=7)
    ]
    far = sum(one >= abs(sum(sums)) for one in flipped)
    assert sign_flip_p(points, names) == pytest.approx(far / 2**7)


@pytest.mark.parametrize("n", [20, 50, 200])
def test_law_no_interval_leaves_out_0_where_exact_mcnemar_keeps_it(n: int) -> None:
    drawn_out = 0
    for only_a in range(20):
        for only_b in range(only_a + 1):
            points = np.concatenate([discordant(only_a, only_b), np.zeros(n, dtype=np.int64)])[:n]
            p = sign_flip_p(points, alone(n))
            low, high = paired_interval(points.astype(np.float64), alone(n), p)
            assert p <= 0.05 or low <= 0 <= high
            own = difference_interval(points.astype(np.float64), alone(n))
            drawn_out += (low, high) != own
            assert low <= own[0] and own[1] <= high
    assert drawn_out > 0  # 5 to 0, p = .0625, is one of them
