import pytest

from stablereward.lab.filter_share import BATCH, RULES, crossing, measured, paper, released


def test_the_crossings():
    """At 90 % z of a wrong answer is -3; at 68.5 % it is 2.5 - 1.5 p = 1.473 below zero."""
    assert crossing(paper) == pytest.approx(0.9, abs=1e-6)
    assert crossing(released) == pytest.approx(0.685, abs=1e-3)
    p = crossing(released)
    assert (p / (1 - p)) ** 0.5 == pytest.approx(2.5 - 1.5 * p, abs=1e-6)


def test_beyond_its_crossing_each_rule_zeroes_every_wrong_answer():
    assert [paper(p) for p in (0.5, 0.89, 0.91)] == pytest.approx([0, 0, 0.09])
    assert [released(p) for p in (0.5, 0.68, 0.69, 0.8)] == pytest.approx([0, 0, 0.31, 0.2])
    # Rare right answers are outliers too.
    assert (paper(0.05), released(0.05)) == pytest.approx((0.05, 0.05))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_code_does_what_theory_says_at_every_accuracy(rule):
    for right in range(BATCH + 1):
        assert measured(rule, right) == pytest.approx(rule.theory(right / BATCH), abs=1e-6), right
