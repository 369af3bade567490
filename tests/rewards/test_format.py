import pytest

from stablereward.rewards.format import format_reward
from stablereward.rewards.reward import Sample
from stablereward.types import Completion, Prompt, Reward


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<think>a\nb</think><answer>1</answer>", 1.0),
        ("<think>a</think> <answer>1</answer>", 0.0),
        ("<answer>1</answer>", 0.0),
        ("", 0.0),
    ],
)
def test_only_the_strict_form_earns_it(text: str, value: float) -> None:
    sample = Sample(prompt=Prompt.user(text="q"), completion=Completion(text=text))
    assert format_reward(sample) == Reward(value=value)
