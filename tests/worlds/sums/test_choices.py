from stablereward.worlds.sums.checker import solved
from stablereward.worlds.sums.choices import choices
from stablereward.worlds.sums.problems import problem


def test_one_is_right_nine_differ_and_its_place_is_any() -> None:
    found = choices(40, seed=1)
    for one in found:
        prompt = problem(*map(int, one.question.split("+")))
        assert len(set(one.responses)) == 10 and all(one.responses)
        assert [solved(prompt, text) for text in one.responses].index(True) == one.best
        assert sum(solved(prompt, text) for text in one.responses) == 1
    assert len({one.best for one in found}) > 5
    assert choices(3, seed=1) == found[:3]
