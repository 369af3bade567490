"""The cold start's annotation: at most three tries, only right verdicts, failures kept apart."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from stablereward.data.annotate import Annotation, annotate
from stablereward.data.parsing import strict_format, verdict
from stablereward.data.prompts import r1_reward
from stablereward.data.toy.analyses import looks
from stablereward.data.toy.annotator import NoisyReader, ToyAnnotator
from stablereward.data.toy.pairs import Pair, pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.scripted import Scripted
from stablereward.types import Completion, Failure, Preference, Prompt


def prompt(name: str, ranks: tuple[int, ...] | None = (0, 1)) -> Prompt:
    return r1_reward(Preference(question=name, responses=("a", "b"), ranks=ranks, id=name))


def says(choice: str) -> str:
    return f"<think>…</think><answer>{choice}</answer>"


@dataclass
class Recorded:
    """A scripted engine whose replies are written by name, one a round; it keeps what it was asked."""

    replies: dict[str, list[str | Failure]]
    asked: list[list[str]] = field(default_factory=list)
    samplings: list[Sampling] = field(default_factory=list)

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        number = len(self.asked)
        self.asked.append([p.preference.id for p in prompts if p.preference])
        self.samplings.append(sampling)
        engine = Scripted(lambda p, _: self.replies[p.preference.id if p.preference else ""][number])
        return await engine.generate(prompts, sampling)


def test_only_right_verdicts_are_kept_with_the_number_of_their_try() -> None:
    dead = Failure(reason="timeout", detail="60 s")
    engine = Recorded(
        {
            "first": [says("1")],
            "second": [says("2"), says("1")],
            "third": ["no verdict", says("1 or 2"), says("1")],
            "never": [says("2")] * 3,
            "down": [dead] * 3,
            "up again": [dead, says("1")],
            "unlabelled": [says("1")] * 3,
            "tagged": ["<think>No <answer>2</answer>.</think><answer>1</answer>", says("1")],
            "thoughtless": ["<think> </think><answer>1</answer>", "<answer>1</answer>", says("1")],
        }
    )
    prompts = [prompt(name, None if name == "unlabelled" else (0, 1)) for name in engine.replies]
    outcomes = dict(zip(engine.replies, asyncio.run(annotate(prompts, engine)), strict=True))
    never = Failure(reason="never_right", detail="3 tries")
    assert outcomes == {
        "first": Annotation(text=says("1"), tries=1),
        "second": Annotation(text=says("1"), tries=2),
        "third": Annotation(text=says("1"), tries=3),
        "never": never,
        "down": dead,
        "up again": Annotation(text=says("1"), tries=2),
        "unlabelled": never,
        "tagged": Annotation(text=says("1"), tries=2),
        "thoughtless": Annotation(text=says("1"), tries=3),
    }
    rest = ["second", "third", "never", "down", "up again", "unlabelled", "tagged", "thoughtless"]
    assert engine.asked == [["first", *rest], rest, ["third", "never", "down", "unlabelled", "thoughtless"]]
    assert [sampling.seed for sampling in engine.samplings] == [1, 2, 3]


@pytest.mark.parametrize(
    "written",
    [
        "<think>\nIt counts.\n</think>\n\n<answer> **1** </answer>\n",
        "Well. <think>It counts.</think> So: <answer>Response 1</answer> I hope this helps!",
        "It counts. <answer>1</answer>",
    ],
)
def test_what_is_kept_has_exactly_the_format_that_is_rewarded(written: str) -> None:
    [kept] = asyncio.run(annotate([prompt("?")], Scripted(lambda p, _: written)))
    assert isinstance(kept, Annotation) and strict_format(kept.text)
    assert kept.text.endswith("It counts.</think><answer>1</answer>")


@pytest.mark.parametrize("max_tries", [1, 2, 5])
def test_nobody_is_asked_more_often_than_allowed(max_tries: int) -> None:
    engine = Recorded({"never": [says("2")] * 9, "right": [says("1")] * 9})
    base = Sampling(num_generations=4, temperature=0.5, max_completion_length=77, seed=10)
    prompts = [prompt("never"), prompt("right")]
    outcomes = asyncio.run(annotate(prompts, engine, max_tries=max_tries, sampling=base))
    assert outcomes[0] == Failure(reason="never_right", detail=f"{max_tries} tries")
    assert Counter(name for names in engine.asked for name in names) == {"never": max_tries, "right": 1}
    for number, sampling in enumerate(engine.samplings, start=1):
        assert sampling == Sampling(temperature=0.5, max_completion_length=77, seed=10 + number)


def test_the_asking_ends_where_all_are_right() -> None:
    engine = Recorded({"first": [says("1")], "other": [says("1")]})
    asyncio.run(annotate([prompt("first"), prompt("other")], engine))
    assert len(engine.asked) == 1
    assert asyncio.run(annotate([], Recorded({}))) == []


def longer_is_right(pair: Pair) -> bool:
    return len(pair.responses[pair.right_index]) > len(pair.responses[1 - pair.right_index])


def annotated(reader: NoisyReader, made: list[Pair]) -> list[Annotation | Failure]:
    prompts = [r1_reward(pair.preference()) for pair in made]
    known = {p.preference.id: pair for p, pair in zip(prompts, made, strict=True) if p.preference}
    return asyncio.run(annotate(prompts, ToyAnnotator(reader, known)))


def near(count: int, total: int, share: float) -> bool:
    return abs(count - share * total) < 4 * (total * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("reader", [NoisyReader(), NoisyReader(habit=0.4, mistake=0.3)])
def test_what_the_noisy_reader_leaves_is_right_and_inherits_its_habit(reader: NoisyReader) -> None:
    """Where the longer response is the better one, habit is right too; elsewhere looking alone is."""
    made = pairs(1200, seed=1)
    outcomes = annotated(reader, made)
    looked = (1 - reader.habit) * (1 - reader.mistake)
    for expected, at_once in ((True, reader.habit + looked), (False, looked)):
        found = [o for pair, o in zip(made, outcomes, strict=True) if longer_is_right(pair) == expected]
        kept = [o for o in found if isinstance(o, Annotation)]
        assert len(found) == 600
        for tries in (1, 2, 3):
            assert near(sum(o.tries == tries for o in kept), 600, at_once * (1 - at_once) ** (tries - 1))
        habit = sum(not looks(o.text) for o in kept)
        assert near(habit, len(kept), reader.habit / at_once) if expected else habit == 0
    for pair, outcome in zip(made, outcomes, strict=True):
        if isinstance(outcome, Failure):
            assert outcome.reason == "never_right"
        else:
            opinion = verdict(outcome.text, 2)
            assert not isinstance(opinion, Failure) and opinion.choice == pair.right_index


def test_nearly_half_of_what_is_learnt_at_first_is_habit() -> None:
    kept = [o for o in annotated(NoisyReader(), pairs(600, seed=2)) if isinstance(o, Annotation)]
    assert sum(not looks(outcome.text) for outcome in kept) > 0.4 * len(kept)


def test_tries_that_bring_the_same_texts_again_are_said(caplog: pytest.LogCaptureFixture) -> None:
    names = ("a", "b", "c")
    prompts = [prompt(name) for name in names]
    asyncio.run(annotate(prompts, Recorded({name: [says("2")] * 3 for name in names})))
    [record] = caplog.records
    assert "the same 3 texts again" in record.getMessage()
    caplog.clear()
    asyncio.run(annotate(prompts, Recorded({name: [says("2"), f"{name}?", says("2")] for name in names})))
    assert not caplog.records
