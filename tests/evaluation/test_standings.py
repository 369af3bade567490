"""Judges side by side."""

import json
from collections.abc import Sequence
from dataclasses import replace

from stablereward.evaluation.cost import Cost
from stablereward.evaluation.curves import voting_curve
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.standings import standing, to_json, to_markdown
from stablereward.judges.controls import always_first, longer_wins
from stablereward.judges.protocol import Opinion
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Preference, Row

PAIRS = [
    Preference(
        question=f"q{i}", responses=("good", "bad!!" if i % 4 else "no"), ranks=(0, 1), category="ab"[i % 2]
    )
    for i in range(40)
]


class Stumbling:
    """Longer wins, but a fifth of the pairs gets no verdict."""

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        heard = await longer_wins.opinions(preferences, votes=votes, both_orders=both_orders)
        return [
            (Failure(reason="no_answer"),) * len(opinions) if int(p.question[1:]) % 5 == 0 else opinions
            for p, opinions in zip(preferences, heard, strict=True)
        ]


def test_always_first_is_perfect_chosen_first_and_a_coin_in_both_orders_in_one_table() -> None:
    one = standing(evaluate(always_first, PAIRS), "always first")
    assert (one.right_first, one.right_later, one.summary.accuracy_mean, one.macro) == (1.0, 0.0, 0.5, 0.5)
    assert one.summary.order_consistency == 0.0 and one.together == 0.0 and one.summary.first_shown == 1.0
    text = to_markdown("title", [one])
    assert "| right one shown first   |      100.0 % |" in text
    assert "| accuracy (micro)        |       50.0 % |" in text


def test_both_orders_as_one_vote_follow_the_surer_one_and_take_a_question_together() -> None:
    def judged(given: int, reversed_: int, question: str) -> Row:
        """So many of four opinions an order are right."""
        orders = zip((given, reversed_), ((0, 1), (1, 0)), strict=True)
        heard = [[Judgement(choice=int(k >= n), order=order) for k in range(4)] for n, order in orders]
        return Row(id="", category="", best=0, votes=tuple(vote(one, 2) for one in heard), cluster=question)

    # Wrong in the given order by 1 of 4, right in the other by 4 of 4: together right.
    rows = [judged(1, 4, str(i // 5)) for i in range(20)] + [judged(0, 3, str(i // 5)) for i in range(20, 40)]
    one = standing(rows, "judge")
    assert (one.together, one.summary.accuracy_mean) == (0.5, 0.5)
    apart = standing([replace(r, cluster="") for r in rows], "judge").together_interval
    assert one.together_interval is not None and apart is not None
    assert one.together_interval[0] < apart[0] < 0.5 < apart[1] < one.together_interval[1]


def test_failing_a_fifth_of_the_time_changes_nothing_on_the_rest() -> None:
    whole = standing(evaluate(longer_wins, [p for p in PAIRS if int(p.question[1:]) % 5]), "whole")
    part = standing(evaluate(Stumbling(), PAIRS), "stumbling")
    assert part.summary.parse_failures == 0.2
    assert part.among_verdicts == whole.summary.accuracy_mean == whole.among_verdicts
    assert part.summary.accuracy_mean == 0.8 * whole.summary.accuracy_mean
    assert part.failures == {"no_answer": 16} and part.summary.ties == 0.0


def test_macro_is_the_mean_of_categories() -> None:
    uneven = [replace(p, category="a" if i < 4 else "b") for i, p in enumerate(PAIRS)]
    one = standing(evaluate(longer_wins, uneven), "longer")
    # Every fourth pair is right: one of the first four, nine of the others.
    assert one.summary.accuracy_mean == 0.25 == one.macro
    first_right = [replace(p, category="a" if i == 0 else "b") for i, p in enumerate(PAIRS)]
    assert standing(evaluate(longer_wins, first_right), "longer").macro == (1 + 9 / 39) / 2


def test_an_order_drawn_by_lot_has_no_figures_of_the_stored_one() -> None:
    one = standing(evaluate(longer_wins, PAIRS, both_orders=False), "longer", in_given_order=False)
    text = to_markdown("title", [one], ["a finding"])
    assert "shown first   " not in text.replace("chose the first shown", "") and "given order" not in text
    assert text.endswith("Note: a finding")


def test_json_has_every_measure() -> None:
    one = standing(evaluate(longer_wins, PAIRS, votes=3), "longer")
    whole = json.loads(to_json("title", [one], ["a finding"]))
    assert whole["title"] == "title" and whole["notes"] == ["a finding"]
    [judge] = whole["judges"]
    assert judge["summary"]["accuracy_mean"] == 0.25 and judge["reliability"][0]["n"] == 40
    assert judge["calibration_error"] == 0.75 and set(judge["categories"]) == {"a", "b"}
    assert judge["confidence"] is None and judge["cost"] is None and whole["curves"] == {}


def test_the_curve_its_gain_and_the_costs_stand_below_the_measures() -> None:
    rows = evaluate(longer_wins, PAIRS, votes=3)
    curves = {"majority": voting_curve(rows)}
    cost = Cost(judgements=240, seconds=0.0123, prompt_tokens=480.4, completion_tokens=None)
    one = standing(rows, "longer", cost=cost)
    text = to_markdown("title", [one, standing(rows, "other")], ["a finding"], curves)
    shown = {line.split("|")[1].strip(): line.split("|")[2:4] for line in text.splitlines() if "|" in line}
    assert [cell.strip() for cell in shown["seconds a judgement"]] == ["0.0123", "–"]
    assert [cell.strip() for cell in shown["prompt tokens"]] == ["480", "–"]
    assert "completion tokens" not in shown
    _, curve, gain, note = text.split("\n\n")[1:]
    assert curve.startswith("| votes an order | majority |") and "25.0 %" in curve
    assert note == "Note: a finding" and gain.startswith(
        "3 votes minus 1 vote: +0.0 points (95 % interval -6.9 to +6.9, paired over 40 pairs; "
    )
    whole = json.loads(to_json("title", [one], (), curves))
    assert [point["votes"] for point in whole["curves"]["majority"]] == [1, 2, 3]
    assert whole["judges"][0]["cost"]["seconds"] == 0.0123


def test_confidence_is_told_only_where_every_opinion_has_one() -> None:
    def sure(*confidences: float | None) -> Row:
        heard = [Judgement(choice=0, confidence=one) for one in confidences]
        return Row(id="", category="", best=0, votes=(vote(heard, 2),))

    assert standing([sure(0.5, 0.75), sure(1.0, 0.75)], "judge").confidence == 0.75
    assert standing([sure(0.5, 0.75), sure(1.0, None)], "judge").confidence is None
