"""The world of captions: worth and grammar by hand, prompts apart, and a writer who is mostly well-formed."""

import random

import pytest

from stablereward.types import Prompt
from stablereward.worlds.captions.grammar import required, scenes, well_formed, worth, written

PROMPT = Prompt.user(text=" small blue cup shelf")


@pytest.mark.parametrize(
    ("caption", "value", "formed"),
    [
        (" a small blue cup on the shelf", 4.0, True),
        (" a cup", 1.0, True),
        (" a big red cup on the bed", 1.0, True),
        (" a small small blue cup", 2.5, False),
        (" blue small cup", 3.0, False),
        (" a blue small cup", 3.0, False),
        (" a cup on the shelf on the shelf", 2.0 - 1.5, False),
        (" a small blue", 2.0, False),
        ("", 0.0, False),
    ],
)
def test_worth_and_grammar_by_hand(caption: str, value: float, formed: bool) -> None:
    assert worth(PROMPT, caption) == value
    assert well_formed(caption) == formed


def test_held_out_scenes_are_others() -> None:
    train, held_out = scenes(800, seed=1), scenes(200, seed=1, held_out=True)
    assert not {p.text for p in train} & {p.text for p in held_out}
    assert scenes(5, seed=1) == train[:5] != scenes(5, seed=2)
    assert {len(required(p)) for p in train} == {1, 2, 3, 4, 5}


def test_the_writer_is_careless() -> None:
    rng = random.Random(0)
    texts = [(p, written(p, rng)) for p in scenes(1000, seed=0)]
    assert 0.85 < sum(well_formed(text) for _, text in texts) / 1000 < 0.95
    mean = sum(worth(p, text) / len(required(p)) for p, text in texts) / 1000
    assert 0.5 < mean < 0.7
