"""Laws of the nouns."""

import random
from pathlib import Path

import pytest

from stablereward.data.responses import response_keys
from stablereward.types import (
    Message,
    Part,
    Preference,
    Prompt,
    Response,
    images_of,
    merged,
    parts_of,
    pictured,
)

PIECES: tuple[Part, ...] = ("", "a", "b\n", Path("x/1.png"), Path("y/1.png"), Path("y/2.png"))


def some_preference(rng: random.Random) -> Preference:
    """Two to four responses: texts, pictures, clips, and texts with pictures."""
    responses: list[Response] = [
        "".join(rng.choices("ab ", k=3)) if rng.random() < 0.4 else pictured(*rng.choices(PIECES, k=3))
        for _ in range(rng.randint(2, 4))
    ]
    return Preference(
        question="Q?", responses=tuple(responses), ranks=tuple(rng.choices(range(3), k=len(responses)))
    )


@pytest.fixture(params=range(40))
def preference(request: pytest.FixtureRequest) -> Preference:
    return some_preference(random.Random(request.param))


def test_law_swapping_twice_is_the_identity(preference: Preference) -> None:
    assert preference.swapped().swapped() == preference
    assert preference.swapped().swapped().all_images == preference.all_images


def test_law_an_order_moves_pictures_labels_and_keys_with_their_responses(preference: Preference) -> None:
    order = tuple(random.Random(1).sample(range(len(preference.responses)), len(preference.responses)))
    moved = preference.reordered(order)
    assert [images_of(r) for r in moved.responses] == [images_of(preference.responses[i]) for i in order]
    assert moved.all_images == tuple(i for place in order for i in images_of(preference.responses[place]))
    assert preference.ranks is not None and moved.ranks == tuple(preference.ranks[i] for i in order)
    assert response_keys(moved) == [response_keys(preference)[i] for i in order]


def test_law_merging_changes_nothing_that_is_said_or_shown(preference: Preference) -> None:
    for response in preference.responses:
        whole = Message("assistant", merged(parts_of(response)))
        assert whole.text == "".join(part for part in parts_of(response) if isinstance(part, str))
        assert whole.images == images_of(response)
        assert merged(whole.parts) == whole.parts and "" not in whole.parts


def test_a_prompt_of_a_user_is_images_then_text() -> None:
    prompt = Prompt.user("What?", images=[Path("a.png")])
    assert prompt.messages == (Message("user", (Path("a.png"), "What?")),)
    assert (prompt.text, prompt.images) == ("What?", (Path("a.png"),))
