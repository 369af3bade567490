"""Steps of a completion: cut at separator tokens and at the end, scored, and placed where they end."""

from collections.abc import Sequence

import pytest

from stablereward.policies.token import TokenPolicy
from stablereward.rewards.reward import Sample
from stablereward.rewards.steps import Steps, signed, step_reward
from stablereward.types import Completion, Failure, Prompt, Reward

PROMPT = Prompt.user(text="47+85")


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps(TokenPolicy.load("sums", device="cpu"), "\n")


def sample(steps: Steps, text: str, *, ends: bool = True) -> Sample:
    policy = steps.policy
    ids = policy.completion(policy.encode(PROMPT), text)
    ids = ids if ends else ids[:-1]
    return Sample(prompt=PROMPT, completion=Completion(text=text, token_ids=ids, finished=ends))


@pytest.mark.parametrize(
    ("text", "ends", "texts"),
    [
        ("7+5=12\n132", [6, 10], ["7+5=12", "132"]),
        ("132", [3], ["132"]),
        ("", [0], [""]),
        ("132\n", [3, 4], ["132", ""]),
        ("\nok", [0, 2], ["", "ok"]),
    ],
)
def test_where_steps_end(steps: Steps, text: str, ends: list[int], texts: list[str]) -> None:
    ids = sample(steps, text).completion.token_ids
    assert steps.ends(ids) == ends and steps.texts(ids) == texts


def test_a_text_that_was_cut_ends_its_last_step_where_it_was_cut(steps: Steps) -> None:
    ids = sample(steps, "7+5=12\n13", ends=False).completion.token_ids
    assert steps.ends(ids) == [6, 8] and steps.texts(ids) == ["7+5=12", "13"]


def test_scores_are_put_where_steps_end(steps: Steps) -> None:
    def scores(prompt: Prompt, texts: Sequence[str]) -> list[float]:
        assert prompt is PROMPT
        return [0.5 * len(text) for text in texts]

    one = sample(steps, "ok\n132")
    verdict = step_reward(steps, scores, lambda prompt, text: float(text.endswith("132")))(one)
    expected = (None, 1.0, None, None, None, 1.5)
    parts = {"process": 1.25, "worst_step": 1.0}
    assert verdict == Reward(value=1.0, parts=parts, steps=expected)
    assert step_reward(steps, scores, lambda prompt, text: None)(one) == Reward(
        value=0.0, parts=parts, steps=expected
    )
    assert step_reward(steps, scores)(one) == Reward(value=1.25, parts=parts, steps=expected)


def test_what_cannot_be_scored_has_no_reward(steps: Steps) -> None:
    failure = Failure(reason="too_long")
    assert step_reward(steps, signed(lambda prompt, texts: failure))(sample(steps, "ok")) is failure


def test_signed_scores() -> None:
    assert signed(lambda prompt, texts: [0.0, 0.5, 0.75])(PROMPT, ["a", "b", "c"]) == [-1.0, 0.0, 0.5]


def test_by_what_hacking_shows(steps: Steps) -> None:
    def figures(text: str) -> list[float]:
        return [monitor(sample(steps, text)) for monitor in steps.monitors().values()]

    assert figures("ok\nok\n132") == [3.0, pytest.approx(1 / 3), 2 / 8, 0.0]
    assert figures("") == [1.0, 0.0, 0.0, 1.0]
