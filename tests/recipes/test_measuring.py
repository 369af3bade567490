"""Measurement: every judge on the same preferences in both orders, each opinion kept and asked once."""

import gc
import json
import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablereward.errors import DataError, StorageError
from stablereward.evaluation.metrics import summarise
from stablereward.evaluation.rows import read
from stablereward.judges.controls import Rule, always_first
from stablereward.judges.protocol import Opinion
from stablereward.recipes.measuring import Judges, Subject, _with_shuffled_images, measure
from stablereward.recipes.stages import Hardware
from stablereward.runs.folder import RunFolder
from stablereward.types import Message, Preference, pictured

COLOURS = ("red", "green", "blue", "yellow", "purple")
PREFERENCES = [
    Preference(
        question=f"{n}?",
        responses=("good", "bad") if n % 2 else ("bad", "good"),
        ranks=(0, 1) if n % 2 else (1, 0),
        images=(Image.new("RGB", (8, 8), COLOURS[n]),),
        id=str(n),
        category="even" if n % 2 == 0 else "odd",
    )
    for n in range(5)
]


def chooses(word: str) -> Callable[[Preference, int], int]:
    return lambda shown, k: shown.responses.index(word)


@dataclass
class Made:
    """A judge factory that remembers the votes it was asked for and the images it was shown."""

    rule: Rule
    votes: list[int] = field(default_factory=list)
    shown: dict[str, object] = field(default_factory=dict)

    def __call__(self, votes: int) -> "Made":
        self.votes.append(votes)
        return self

    async def judge(self, preference: Preference) -> Opinion:
        return await self.rule.judge(preference)

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        self.shown |= {preference.id: preference.images[0] for preference in preferences}
        return await self.rule.opinions(preferences, votes=votes, both_orders=both_orders)


def content(run: RunFolder, name: str) -> Any:
    return json.loads((run.path / name).read_text(encoding="utf-8"))


def test_rows_of_other_preferences_are_not_taken_for_these(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    subject = Subject(name="good", role="start", judge=Made(Rule(chooses("good"))))
    measure(run, [subject], PREFERENCES)
    path = tmp_path / "judgements" / "good-1.jsonl"
    rows = path.read_text().splitlines(keepends=True)
    for damaged in (rows[1:], [*rows[1:], rows[0]], [*rows, rows[0]]):
        path.write_text("".join(damaged))
        with pytest.raises(
            DataError, match=r"good-1\.jsonl: not what was heard of these 5 preferences; remove"
        ):
            measure(run, [subject], PREFERENCES)


def test_every_subject_is_measured_at_each_number_of_votes(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    # One opinion in three is wrong, the third: a single sample errs sometimes, the majority never.
    wavering = Made(Rule(lambda shown, k: chooses("bad" if k % 3 == 2 else "good")(shown, k)))
    good, first = Made(Rule(chooses("good"))), Made(always_first)
    subjects = [
        Subject(name="cold start", role="start", judge=good),
        Subject(name="trained", role="trained", judge=wavering, votes=(1, 2, 6)),
        Subject(name="always first", role="control", judge=first),
    ]
    measure(run, subjects, PREFERENCES)
    results = content(run, "results.json")
    assert [(row["judge"], row["role"], row["votes"], row["n"]) for row in results] == [
        ("cold start", "start", 1, 5),
        ("trained", "trained", 1, 5),
        ("trained", "trained", 2, 5),
        ("trained", "trained", 6, 5),
        ("always first", "control", 1, 5),
    ]
    assert [row["accuracy_both_orders"] for row in results] == [
        1.0,
        1.0,
        results[2]["accuracy_both_orders"],
        1.0,
        0.0,
    ]
    assert results[4]["accuracy"] == 0.4 and results[4]["order_consistency"] == 0.0
    # One vote is a judgement of its own; the others are drawn from one pool of the largest number.
    assert (good.votes, wavering.votes, first.votes) == ([1], [6, 1], [1])
    categories = content(run, "categories.json")
    assert categories["always first"] == {"even": 0.5, "odd": 0.5}
    assert list(categories) == [
        "cold start",
        "trained",
        "trained, 2 votes",
        "trained, 6 votes",
        "always first",
    ]
    pool = read(tmp_path / "judgements" / "trained-6.jsonl")
    assert [len(vote.judgements) for row in pool for vote in row.votes] == [6] * 10
    assert summarise(pool, judge="trained").accuracy_mean == results[3]["accuracy_mean"]


def test_what_was_judged_is_read_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)

    def subject(word: str) -> Subject:
        return Subject(name="trained", role="trained", judge=Made(Rule(chooses(word))), votes=(1, 3))

    measure(run, [subject("good")], PREFERENCES)
    first = content(run, "results.json")
    # Another judge would be wrong, but is not asked.
    measure(run, [subject("bad")], PREFERENCES)
    assert content(run, "results.json") == first
    (tmp_path / "judgements" / "trained-1.jsonl").unlink()
    measure(run, [subject("bad")], PREFERENCES)
    assert [row["accuracy"] for row in content(run, "results.json")] == [0.0, 1.0]


def test_examples_show_the_opinions_of_the_trained_judge(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    good = Subject(name="trained", role="trained", judge=Made(Rule(chooses("good"))), votes=(3,))
    measure(run, [good], PREFERENCES, num_examples=2)
    examples = [json.loads(line) for line in (tmp_path / "examples.jsonl").read_text().splitlines()]
    assert [example["question"] for example in examples] == ["0?", "1?"]
    example = examples[0]
    assert (example["best"], example["vote"]) == (1, {"choice": 1, "probabilities": [0.0, 1.0], "votes": 3})
    assert [(one["choice"], one["order"]) for one in example["judgements"]] == [(1, [0, 1]), (1, [1, 0])]
    with Image.open(tmp_path / example["images"][0]) as kept:
        assert kept.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("num", [2, 3, 5])
def test_shuffled_images_are_never_the_questions_own(num: int, tmp_path: Path) -> None:
    blind = Made(Rule(chooses("good")))
    subject = Subject(name="shuffled", role="control", judge=blind, shuffle_images=True)
    measure(RunFolder(tmp_path), [subject], PREFERENCES[:num])
    own = {preference.id: preference.images[0] for preference in PREFERENCES[:num]}
    assert blind.shown.keys() == own.keys()
    assert all(blind.shown[name] is not own[name] for name in own)
    assert {id(image) for image in blind.shown.values()} == {id(image) for image in own.values()}


def solid(red: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (red, 0, 0))


def painted(num: int) -> list[Preference]:
    """Pairs of pictures, the first of which is better and shown by its own brightness."""
    return [
        Preference(
            question=f"Paint {n}",
            responses=(pictured("Here: ", solid(200 + n), "."), pictured(solid(n), solid(100 + n))),
            ranks=(0, 1),
            id=str(n),
            history=(Message("user", ("Like", solid(50 + n))), Message("assistant", ("Yes.",))),
        )
        for n in range(num)
    ]


def test_shuffled_images_are_dealt_to_the_responses_too() -> None:
    own = painted(40)
    found = _with_shuffled_images([*own[:20], *PREFERENCES, *own[20:]])
    assert found is not None
    texts, found = found[20:25], [*found[:20], *found[25:]]
    assert [one.responses for one in texts] == [one.responses for one in PREFERENCES]
    brighter = 0
    for one, before in zip(found, own, strict=True):
        mine = {id(image) for image in before.all_images}
        assert len(one.images) == 1 and len(one.all_images) == 4
        assert not mine & {id(image) for image in one.all_images}
        first, second = one.responses
        assert isinstance(first, Message) and isinstance(second, Message)
        assert (first.parts[0], first.parts[-1], second.text) == ("Here: ", ".", "")
        assert [turn.text for turn in one.history] == ["Like", "Yes."]
        brighter += len(first.images) == 1
    assert 10 < brighter < 30  # by lot: looking alone does not find the better one


@pytest.mark.parametrize(
    "shown",
    [
        [replace(p, images=()) for p in PREFERENCES],
        PREFERENCES[:1],
        [*painted(1), replace(PREFERENCES[0], images=())],
    ],
)
def test_without_images_to_exchange_the_control_is_left_out(
    shown: list[Preference], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subjects = [
        Subject(name="first", role="trained", judge=lambda votes: always_first),
        Subject(name="shuffled", role="control", judge=lambda votes: always_first, shuffle_images=True),
    ]
    measure(RunFolder(tmp_path), subjects, shown)
    assert [row["judge"] for row in content(RunFolder(tmp_path), "results.json")] == ["first"]
    assert "shuffled: left out, since no two of the" in capsys.readouterr().err


def test_a_judge_is_loaded_when_it_is_asked_and_decodes_as_the_paper(parrot: Path) -> None:
    judges = Judges(Hardware(device="cpu"), 24)
    judges.of("gone")
    judge = judges.of(parrot)
    single, many = judge(1), judge(5)
    assert single.engine is many.engine
    assert single.sampling is not None and many.sampling is not None
    assert (single.sampling.temperature, many.sampling.temperature) == (0.0, 1.0)
    assert single.sampling.max_completion_length == 24


def test_one_judge_is_in_memory_at_a_time(parrot: Path, tmp_path: Path) -> None:
    again = shutil.copytree(parrot, tmp_path / "again")
    judges = Judges(Hardware(device="cpu"), 24)
    first, second = judges.of(parrot), judges.of(again)
    engine = weakref.ref(first(1).engine)
    gc.collect()
    assert engine() is not None and first(3).engine is engine()
    second(1)
    gc.collect()
    assert engine() is None


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "judgements").write_text("a file where the folder should be")
    subject = Subject(name="first", role="control", judge=lambda votes: always_first)
    with pytest.raises(StorageError, match="cannot be written"):
        measure(RunFolder(tmp_path), [subject], PREFERENCES)
