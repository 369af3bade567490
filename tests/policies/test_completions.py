from stablereward.policies.completions import show_prompt
from stablereward.types import Preference, Prompt


def test_a_prompt_without_a_preference_is_shown_by_its_text():
    assert show_prompt(Prompt.user(text=" red ball")) == {"question": "red ball", "images": ()}


def test_a_prompt_of_a_preference_is_shown_by_its_question():
    asked = Preference(id="1", question="Which?", responses=("a", "b"), ranks=(1, 0))
    shown = show_prompt(Prompt.user(text="<system> Which?", preference=asked))
    assert shown == {"question": "Which?", "responses": ["a", "b"], "best": asked.best, "images": ()}
