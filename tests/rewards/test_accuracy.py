import pytest

from stablereward.rewards.accuracy import accuracy_reward
from stablereward.rewards.reward import Sample
from stablereward.types import Completion, Failure, Preference, Prompt, Reward


def sample(text: str, ranks: tuple[int, ...] | None) -> Sample:
    preference = Preference(question="q", responses=("a", "b"), ranks=ranks)
    prompt = Prompt.user(text="shown", preference=preference)
    return Sample(prompt=prompt, completion=Completion(text=f"<think>t</think>{text}"))


@pytest.mark.parametrize("ranks", [(0, 1), (1, 0)])
@pytest.mark.parametrize("choice", [0, 1])
def test_right_is_one_and_wrong_is_zero(ranks: tuple[int, int], choice: int) -> None:
    value = 1.0 if ranks[choice] == 0 else 0.0
    assert accuracy_reward(sample(f"<answer>{choice + 1}</answer>", ranks)) == Reward(value=value)


def test_swapping_the_responses_swaps_the_reward() -> None:
    shown = sample("<answer>1</answer>", (0, 1))
    assert shown.prompt.preference is not None
    swapped = Sample(
        prompt=Prompt.user(text="shown", preference=shown.prompt.preference.swapped()),
        completion=shown.completion,
    )
    assert accuracy_reward(shown) == Reward(value=1.0)
    assert accuracy_reward(swapped) == Reward(value=0.0)


@pytest.mark.parametrize("text", ["", "the answer is 1", "<answer>3</answer>", "<answer>one</answer>"])
def test_an_unreadable_verdict_is_the_policys_doing(text: str) -> None:
    assert accuracy_reward(sample(text, (0, 1))) == Reward(value=0.0)


@pytest.mark.parametrize("ranks", [None, (0, 0)])
def test_a_row_without_a_best_response_is_a_failure(ranks: tuple[int, ...] | None) -> None:
    outcome = accuracy_reward(sample("<answer>1</answer>", ranks))
    assert isinstance(outcome, Failure)
    assert outcome.reason == "no_label"


def test_a_prompt_without_a_preference_is_a_failure() -> None:
    unlabelled = Sample(prompt=Prompt.user(text="q"), completion=Completion(text="<answer>1</answer>"))
    outcome = accuracy_reward(unlabelled)
    assert isinstance(outcome, Failure)
    assert outcome.reason == "no_label"
