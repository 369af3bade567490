import pytest

from stablereward.errors import ConfigError
from stablereward.lab.regimes import DEFAULT_ARMS
from stablereward.lab.stability import plan


def test_the_whole_lab_is_what_was_asked_for():
    """At least seven arms, two regimes and five seeds, and the sweep beside its clean runs."""
    whole = plan()
    assert [one.name for one in whole.regimes] == ["calm", "stress"]
    ablation = [job for job in whole.jobs if job.in_ablation]
    assert len(ablation) == len(DEFAULT_ARMS) * 2 * 5 and len(DEFAULT_ARMS) >= 7
    assert len(whole.jobs) - len(ablation) == 8 * 3
    assert whole.setup.annotate and whole.setup.recipe.model == "toy-base"


def test_the_fast_form_is_two_arms_two_regimes_one_seed():
    quick = plan(quick=True)
    assert len(quick.jobs) == 4 and {job.seed for job in quick.jobs} == {0}
    assert all(one.rl.num_updates <= 8 for one in quick.regimes)


def test_some_of_it():
    some = plan(arms=["ppo"], regimes=["easy", "easy"], seeds=2)
    assert [job.name for job in some.jobs] == ["easy/ppo/seed-0", "easy/ppo/seed-1"]
    assert plan(arms=["ppo"], seeds=1, noise=False).jobs == plan(arms=["ppo"], seeds=1).jobs[:2]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"arms": ["pp"]}, "there is no arm 'pp'; there are reinforce_plus_plus, "),
        ({"regimes": ["hell"]}, "there is no regime 'hell'; there are calm, stress, easy"),
        ({"seeds": 0}, "--seeds is 0; it must be 1 or more"),
    ],
)
def test_what_is_not_known_is_refused(asked, message):
    with pytest.raises(ConfigError, match=message):
        plan(**asked)
