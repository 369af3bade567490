"""Judges on the same pairs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.bench import JudgedPair, judge_all, keep_settings
from stablereward.evaluation.benchmarks import find
from stablereward.evaluation.comparison import (
    Results,
    compare,
    differing,
    holm,
    in_shared_orders,
    knows_pairs,
    read,
    read_elsewhere,
)
from stablereward.evaluation.rows import append
from stablereward.evaluation.side_by_side import headline, shared_line, to_json, to_markdown
from stablereward.judges.controls import always_first, longer_wins, random_choice
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Preference

GIVEN, REVERSED = (0, 1), (1, 0)


def judged(pair: str, *choices: int | None, best: int = 0, category: str = "", first: int = 0) -> JudgedPair:
    """One opinion an order, None where it failed; `first` is the response that stands first at first."""
    orders = (GIVEN, REVERSED) if first == 0 else (REVERSED, GIVEN)
    opinions = [
        Failure(reason="no_answer") if choice is None else Judgement(choice=choice, order=order)
        for choice, order in zip(choices, orders, strict=False)
    ]
    votes = tuple(vote([opinion], 2) for opinion in opinions)
    return JudgedPair(id="the same id", category=category, best=best, votes=votes, pair=pair)


def results(name: str, *rows: JudgedPair, **settings: object) -> Results:
    return Results(name=name, rows=rows, settings=settings)


def test_two_judges_by_hand() -> None:
    a = results("a", judged("1", 0, 0), judged("2", 0, 0), judged("3", 0, 1), judged("4", 1, 1))
    b = results("b", judged("4", 1, 1), judged("3", 1, 1), judged("2", 0, 0), judged("1", 1, 1))
    found = compare([a, b])
    [contrast] = found.contrasts
    tally = contrast.overall
    # Right in both orders: a on 1 and 2, b on 2. Orders right of 8: a 5, b 2.
    assert (tally.only_a, tally.only_b, tally.both_right, tally.neither) == (1, 0, 1, 2)
    assert tally.measured.difference == pytest.approx(3 / 8)
    assert tally.measured.p_mcnemar == contrast.p_holm == 1.0
    assert [found.summaries[name].accuracy_mean for name in "ab"] == [5 / 8, 2 / 8]
    assert differing(found) == [(0, frozenset({"a"})), (2, frozenset())]
    assert found.notes == () and contrast.categories == {}


def test_the_exact_test_counts_discordant_pairs() -> None:
    a = results("a", *(judged(str(i), 0, 0) for i in range(6)))
    b = results("b", *(judged(str(i), 1, 1) for i in range(6)))
    [contrast] = compare([a, b]).contrasts
    assert contrast.overall.measured.p_mcnemar == pytest.approx(2 / 2**6)


def test_pairs_of_a_question_go_together_where_one_of_the_results_knows_it() -> None:
    a = [replace(judged(str(i), 0, 0), cluster=str(i // 4)) for i in range(12)]
    b = [judged(str(i), 1, 1) for i in range(12)]
    for one, other in ((a, b), (b, a)):
        found = compare([results("x", *one), results("y", *other)])
        measured = found.contrasts[0].overall.measured
        assert measured.p_mcnemar == measured.p_sign_flip == 2 / 2**3
        alone = compare([results("x", *b), results("y", *b)]).summaries["x"].interval
        assert max(some.interval[1] for some in found.summaries.values()) == 1.0
        assert any(some.interval[1] > alone[1] for some in found.summaries.values() if not some.accuracy_mean)


def test_pairs_are_matched_by_content_and_the_rest_is_counted() -> None:
    a = results("a", judged("1", 0, 0), judged("2", 1, 1), judged("only a", 0, 0))
    b = results("b", judged("2", 0, 0), judged("1", 0, 0))
    found = compare([a, b])
    assert [row.pair for row in found.rows["b"]] == ["1", "2"]
    assert found.more == {"a": 1, "b": 0}
    assert shared_line(found) == "2 pairs judged by all, matched by content; a has 1 more"


def test_swapping_the_judges_swaps_the_signs() -> None:
    rows = [judged(str(i), i % 2, int(i % 3 == 0), category=str(i % 2)) for i in range(12)]
    others = [judged(str(i), 0, i % 2, category=str(i % 2)) for i in range(12)]
    [one] = compare([results("a", *rows), results("b", *others)]).contrasts
    [other] = compare([results("b", *others), results("a", *rows)]).contrasts
    for x, y in [(one.overall, other.overall), *((one.categories[c], other.categories[c]) for c in "01")]:
        assert (x.only_a, x.only_b) == (y.only_b, y.only_a)
        assert x.measured.difference == pytest.approx(-y.measured.difference)
        assert x.measured.p_mcnemar == y.measured.p_mcnemar
    assert sum(tally.measured.n for tally in one.categories.values()) == 12


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


def test_three_judges_are_corrected_together() -> None:
    def says(name: str, choice: int) -> Results:
        return results(name, *(judged(str(i), choice, choice) for i in range(8)))

    found = compare([says("a", 0), says("b", 1), says("c", 1)])
    # The smallest p is 2 / 2^8, twice, so both are tripled, the third stays 1.
    assert [one.p_holm for one in found.contrasts] == pytest.approx([6 / 2**8, 6 / 2**8, 1.0])


def test_other_numbers_of_orders_are_cut_to_those_of_both_and_said() -> None:
    both = results("both", judged("1", 0, 1), judged("2", 1, 0), orders="both")
    drawn = results("drawn", judged("1", 0, first=1), judged("2", None), orders="random")
    a, b = in_shared_orders(both.rows, drawn.rows)
    assert [row.votes[0].choice for row in a] == [1, 1]  # the reversed order; the given one where not known
    assert list(b) == list(drawn.rows)
    found = compare([both, drawn])
    assert found.contrasts[0].overall.measured.difference == pytest.approx(-0.5)
    assert found.notes == (
        "orders differ: both both, drawn random",
        "the differences are of the orders that both judges of a column were shown",
        "drawn: opinions without a verdict: 1 no_answer",
    )


def test_what_cannot_be_compared_is_refused() -> None:
    one = results("a", judged("1", 0, 0), benchmark="x")
    with pytest.raises(ConfigError, match="different benchmarks \\(a: x; b: y\\)"):
        compare([one, results("b", judged("1", 0, 0), benchmark="y")])
    with pytest.raises(DataError, match="a and b share no pair"):
        compare([one, results("b", judged("2", 0, 0))])
    with pytest.raises(DataError, match="different labels on 1 pairs"):
        compare([one, results("b", judged("1", 0, 0, best=1))])
    for few in ([one], [one, one]):
        with pytest.raises(ConfigError, match="two or more different results"):
            compare(few)


def test_the_headline_says_who_or_that_nobody_is_ahead() -> None:
    rows = [judged(str(i), 1, 1) for i in range(20)]
    better = [judged(str(i), 0, 0) for i in range(20)]
    ahead = compare([results("a", *rows), results("b", *better)])
    assert headline(ahead) == "b is more accurate than a: +100.0 points (95 % interval +72.0 to +100.0)."
    level = compare([results("a", *rows), results("b", *rows), results("c", *better)])
    assert headline(level).startswith("The best two of 3: c is more accurate than a")
    same = compare([results("a", *rows), results("b", *rows)])
    assert headline(same).startswith("No clear difference between a and b in accuracy: +0.0 points")


def test_the_printed_forms_hold_every_figure() -> None:
    a = results("a", *(judged(str(i), 0, i % 2, category="c|d") for i in range(4)), benchmark="bench")
    b = results("b", *(judged(str(i), 1, 1, category="c|d") for i in range(4)))
    found = compare([a, b])
    text = to_markdown(found)
    for piece in ("**bench**", "a − b", "its exact p", "exact McNemar p", "c\\|d", "+75.0", "ties"):
        assert piece in text
    assert "Holm" not in text
    whole = json.loads(to_json(found))
    assert whole["contrasts"][0]["overall"]["only_a"] == 2 and "rows" not in whole
    assert whole["headline"] == headline(found)


PREFERENCES = [
    Preference(id="mathverse_1", question=str(i), responses=("right", "long and wrong"), ranks=(0, 1))
    for i in range(3)
]


def test_results_of_bench_are_read_and_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    keep_settings(path, {"benchmark": "b", "orders": "both"})
    rows = judge_all(always_first, PREFERENCES, path)
    kept = path.read_bytes()
    assert knows_pairs(tmp_path) and knows_pairs(path)
    found = read(tmp_path, "first")
    assert (found.name, list(found.rows), found.settings["orders"]) == ("first", rows, "both")
    path.write_bytes(kept + b'{"pair": "torn')
    with pytest.raises(DataError, match=r"rows\.jsonl:4: not a row .*Invalid JSON"):
        read(tmp_path, "first")
    assert path.read_bytes() == kept + b'{"pair": "torn'


def test_judgements_made_elsewhere_are_matched_in_the_order_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "rewards.jsonl"
    lines = [json.dumps({"id": "mathverse_1", "rewards": pair}) for pair in ([1, 0], [0, 1], [1, 1])]
    path.write_text("\n".join(lines))
    benchmark = find("VL-RewardBench")
    found = read_elsewhere(path, "r", benchmark, PREFERENCES, tmp_path)
    judge_all(longer_wins, PREFERENCES, tmp_path / "rows.jsonl")
    comparison = compare([found, read(tmp_path, "longer")])
    assert [row.votes[0].choice for row in comparison.rows["r"]] == [0, 1, None]
    assert not knows_pairs(path)
    with pytest.raises(DataError, match="its 3 rows are not the 2 pairs"):
        read_elsewhere(path, "r", benchmark, PREFERENCES[:2], tmp_path)
    turned = [preference.swapped() for preference in PREFERENCES]
    with pytest.raises(DataError, match="another response is best"):
        read_elsewhere(path, "r", benchmark, turned, tmp_path)


def test_rows_that_do_not_know_their_pairs_are_told_from_those_that_do(tmp_path: Path) -> None:
    append(judge_all(always_first, PREFERENCES, tmp_path / "a.jsonl"), tmp_path / "plain.jsonl")
    assert not knows_pairs(tmp_path / "plain.jsonl")


def test_repeated_ids_of_a_real_benchmark_are_kept_apart(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    data = shared("r1_reward/VL-RewardBench/data.jsonl")
    preferences = list(find("VL-RewardBench").load(data, require_images=False))
    for name, judge in (("longer", longer_wins), ("random", random_choice(0))):
        judge_all(judge, preferences, tmp_path / f"{name}.jsonl")
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(reversed((tmp_path / "random.jsonl").read_text().splitlines(keepends=True))))
    read_all = [read(tmp_path / f"{name}.jsonl", name) for name in ("longer", "random", "turned")]
    found = compare(read_all)
    assert found.summaries["longer"].n == 1250
    assert found.rows["random"] == found.rows["turned"]
