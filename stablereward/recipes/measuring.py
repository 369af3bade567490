"""Held-out measurement of judges in both orders: `results.json`, `categories.json`, `examples.jsonl`."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

from stablereward.data.prompts import transcript
from stablereward.engines.hf import HFEngine
from stablereward.errors import DataError
from stablereward.evaluation import rows as row_files
from stablereward.evaluation.evaluate import at_votes, evaluate
from stablereward.evaluation.metrics import by_category, summarise
from stablereward.judges.controls import always_first, longer_wins
from stablereward.judges.generative import Generative, decoding
from stablereward.judges.protocol import PreferenceJudge
from stablereward.recipes.stages import Hardware, load_policy
from stablereward.runs.files import to_jsonl, write_atomic, writing
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import bar, say
from stablereward.types import ImageSource, Message, Part, Preference, Row, images_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A judge to measure: at one greedy vote, and from a pool of samples at each number of `votes` above 1.

    `judge(votes)` makes the judge that gives so many opinions.
    """

    name: str
    role: str
    judge: Callable[[int], PreferenceJudge]
    votes: tuple[int, ...] = (1,)
    shuffle_images: bool = False


class Judges:
    """Judges of model folders. One at a time is in memory: asking for another gives up the last."""

    def __init__(self, hardware: Hardware, max_completion_length: int) -> None:
        self.hardware, self.max_completion_length = hardware, max_completion_length
        self._path: str | Path | None = None
        self._engine: HFEngine | None = None

    def of(self, path: str | Path) -> Callable[[int], Generative]:
        """The judge of a model, loaded when it is first asked: greedy for one vote, else at temperature 1."""

        def judge(votes: int) -> Generative:
            sampling = replace(decoding(votes), max_completion_length=self.max_completion_length)
            return Generative(engine=self._loaded(path), sampling=sampling)

        return judge

    def _loaded(self, path: str | Path) -> HFEngine:
        if self._engine is None or self._path != path:
            self._engine = None  # before the next is loaded
            self._path, self._engine = path, HFEngine(load_policy(path, self.hardware, None))
        return self._engine


def before_and_after(
    hardware: Hardware,
    max_completion_length: int,
    start: str | Path,
    trained: Path,
    *,
    votes: tuple[int, ...],
    start_name: str,
) -> list[Subject]:
    """What is measured of a generative judge: before, after, after by so many votes, and three controls."""
    judges = Judges(hardware, max_completion_length)
    before, after = judges.of(start), judges.of(trained)
    return [
        Subject(name=start_name, role="start", judge=before),
        Subject(name="trained", role="trained", judge=after, votes=votes),
        Subject(name="trained, images shuffled", role="control", judge=after, shuffle_images=True),
        Subject(name="always first", role="control", judge=lambda votes: always_first),
        Subject(name="longer wins", role="control", judge=lambda votes: longer_wins),
    ]


def measure(
    run: RunFolder, subjects: Sequence[Subject], preferences: Sequence[Preference], *, num_examples: int = 48
) -> None:
    """Measures every subject on the same preferences. Rows already judged are read, not judged again."""
    results: list[dict[str, Any]] = []
    categories: dict[str, dict[str, float]] = {}
    for subject in subjects:
        shown = _with_shuffled_images(preferences) if subject.shuffle_images else preferences
        if shown is None:
            say(f"{subject.name}: left out, since no two of the {len(preferences)} have images to exchange")
            continue
        pooled = _rows(run, subject, shown, max(subject.votes)) if max(subject.votes) > 1 else []
        for votes in subject.votes:
            rows = _rows(run, subject, shown, 1) if votes == 1 else at_votes(pooled, votes)
            name = subject.name if votes == 1 else f"{subject.name}, {votes} votes"
            results.append({**asdict(summarise(rows, judge=subject.name)), "role": subject.role})
            categories[name] = {c: s.accuracy_mean for c, s in by_category(rows).items()}
        if subject.role == "trained" and pooled:
            examples = _examples(run, subject.name, preferences[:num_examples], pooled[:num_examples])
            write_atomic(run.path / "examples.jsonl", to_jsonl(list(examples)))
    write_atomic(run.path / "categories.json", _json(categories))
    write_atomic(run.path / "results.json", _json(results))


def _rows(run: RunFolder, subject: Subject, preferences: Sequence[Preference], votes: int) -> list[Row]:
    path = run.path / "judgements" / row_files.file_name(subject.name, votes)
    if path.exists():
        return _judged_before(path, preferences, votes)
    with writing(path):
        path.parent.mkdir(exist_ok=True)
    title = subject.name if votes == 1 else f"{subject.name}, {votes} votes"
    done: list[Row] = []
    with bar(title, len(preferences)) as progress:

        def advance(batch: Sequence[Row]) -> None:
            done.extend(batch)
            progress(len(done), "")

        evaluate(subject.judge(votes), preferences, votes=votes, progress=advance)
    partial = path.with_name(f".partial-{path.name}")
    partial.unlink(missing_ok=True)
    row_files.append(done, partial)
    partial.replace(path)
    return done


def _judged_before(path: Path, preferences: Sequence[Preference], votes: int) -> list[Row]:
    """The rows in the file. Raises DataError where they are not those of these preferences."""
    rows = row_files.read(path)
    if [_content(row) for row in rows] != [(one.id, one.best, [votes, votes]) for one in preferences]:
        raise DataError(
            f"{path}: not what was heard of these {len(preferences)} preferences; remove the file and resume"
        )
    return rows


def _content(row: Row) -> tuple[str, int, list[int]]:
    """The row's id, its label and how many opinions each order has."""
    return row.id, row.best, [len(one.judgements) + len(one.failures) for one in row.votes]


def _with_shuffled_images(preferences: Sequence[Preference]) -> list[Preference] | None:
    """Every question with another's images: a judge that looks falls to chance.

    Where responses hold pictures, they have those of the other's responses, dealt by lot, so that a better
    picture says nothing of which response is. Pictures of a history are left out for the other's, which come
    before the question. None where no preference has images, or none that may have another's.
    """
    found = list(preferences)
    exchanged = False
    rng = random.Random(0)
    for pictured in (False, True):
        order = [n for n, p in enumerate(preferences) if any(map(images_of, p.responses)) is pictured]
        rng.shuffle(order)
        for place, n in enumerate(order):
            other = preferences[order[(place + 1) % len(order)]]
            exchanged |= len(order) > 1 and bool(other.all_images)
            found[n] = _with_images_of(other, preferences[n], rng)
    return found if exchanged else None


def _with_images_of(other: Preference, own: Preference, rng: random.Random) -> Preference:
    given = [images for response in other.responses if (images := images_of(response))]
    rng.shuffle(given)
    dealt = cycle(given)
    return replace(
        own,
        images=other.asked_images,
        history=tuple(_in_place_of_images(turn, ()) for turn in own.history),
        responses=tuple(
            r if isinstance(r, str) or not r.images else _in_place_of_images(r, next(dealt))
            for r in own.responses
        ),
    )


def _in_place_of_images(message: Message, images: Sequence[ImageSource]) -> Message:
    """The message with these where its first image is, and without its own."""
    parts: list[Part] = [part for part in message.parts if isinstance(part, str)]
    first = next((n for n, part in enumerate(message.parts) if not isinstance(part, str)), 0)
    return replace(message, parts=(*parts[:first], *images, *parts[first:]))


def _examples(
    run: RunFolder, judge: str, preferences: Sequence[Preference], rows: Sequence[Row]
) -> Iterable[dict[str, Any]]:
    for preference, row in zip(preferences, rows, strict=True):
        given = row.votes[0]
        opinions = [vote.judgements[0] for vote in row.votes if vote.judgements]
        yield {
            "question": transcript(preference),
            "responses": [run.keep_response(response) for response in preference.responses],
            "images": [run.keep_image(image) for image in preference.asked_images],
            "best": row.best,
            "category": preference.category,
            "judgements": [
                {"judge": judge, "choice": o.choice, "text": o.text, "order": list(o.order), "failure": None}
                for o in opinions
            ],
            "vote": {
                "choice": given.choice,
                "probabilities": list(given.probabilities),
                "votes": len(given.judgements) + len(given.failures),
            },
        }


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
