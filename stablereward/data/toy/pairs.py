"""Preference pairs from scenes: balanced in order and in length, train and held-out apart in scenes."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stablereward.data.toy.questions import KINDS, Question, ask
from stablereward.data.toy.scenes import Scene, draw, random_scene
from stablereward.types import Preference

_OPENINGS = ("Looking at the picture: ", "Here is what I can tell. ", "I have looked closely. ")
_CLOSINGS = (
    " That is what I see in the picture.",
    " I looked at the whole picture before I answered.",
    " I am quite sure about this answer.",
    " It is a simple drawing on a light background.",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference with the truth it was made from. `right_index` is the better response."""

    scene: Scene
    question: Question
    responses: tuple[str, str]
    right_index: int

    def preference(self) -> Preference:
        """The pair as an ordinary preference, its picture drawn."""
        best = self.right_index
        return Preference(
            question=self.question.text,
            responses=self.responses,
            ranks=(best, 1 - best),
            images=(draw(self.scene),),
            category=self.question.kind,
            id=f"{self.question.form}-{self.scene.jitter}",
            extra={"listing": self.scene.listing, "form": self.question.form},
        )


def pairs(num: int, *, seed: int, held_out: bool = False, kinds: Sequence[str] = tuple(KINDS)) -> list[Pair]:
    """`num` pairs of the kinds of question in equal shares.

    In each kind the better response stands first in half of the pairs and is the longer one in half
    of them, the two independent of each other. A scene belongs to the held-out half or to the
    training half by its truth alone (see `is_held_out`), so the two never share a scene.
    """
    rng = random.Random(f"{seed}/{held_out}")
    source = scenes(rng, held_out=held_out)
    made = []
    for i in range(num):
        kind, quarter = kinds[i % len(kinds)], (i // len(kinds)) % 4
        scene = next(source)
        question = ask(scene, kind, rng)
        made.append(make_pair(scene, question, quarter % 2, right_is_longer=quarter < 2, rng=rng))
    rng.shuffle(made)
    return made


def is_held_out(scene: Scene) -> bool:
    """Whether a scene is kept for measuring: decided by what is where, whatever the jitter."""
    return random.Random(scene.listing).random() < 0.2


def scenes(rng: random.Random, *, held_out: bool) -> Iterator[Scene]:
    """Random scenes of the held-out part or of the training part, without end."""
    while True:
        scene = random_scene(rng)
        if is_held_out(scene) == held_out:
            yield scene


def make_pair(
    scene: Scene, question: Question, right_index: int, *, right_is_longer: bool, rng: random.Random
) -> Pair:
    """The two answers of a question as responses of the lengths asked for."""
    right, wrong = question.right, question.wrong
    if right_is_longer:
        right, wrong = _lengthen(right, wrong, rng)
    else:
        wrong, right = _lengthen(wrong, right, rng)
    responses = (right, wrong) if right_index == 0 else (wrong, right)
    return Pair(scene, question, responses, right_index)


def _lengthen(longer: str, shorter: str, rng: random.Random) -> tuple[str, str]:
    """Adds words that carry no information until `longer` is the longer one."""
    if rng.random() < 0.4:
        longer, shorter = rng.choice(_OPENINGS) + longer, rng.choice((*_OPENINGS, "")) + shorter
    closings = list(_CLOSINGS)
    rng.shuffle(closings)
    longer += closings.pop()
    while len(longer) < len(shorter) + 8:
        longer += closings.pop()
    return longer, shorter
