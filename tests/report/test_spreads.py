from stablereward.report.spreads import quantity


def test_quantities_by_name():
    assert quantity("reward/follows_form").title == "Reward: follows form"
    assert quantity("policy/entropy").unit == "nats"
    assert quantity("made/up").title == "made/up"
