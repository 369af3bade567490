"""GenAI-Bench: https://arxiv.org/abs/2406.04485. Which of two generated images, edits or videos is better?

People say left, right, both good or both bad, and a judge must name the same class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from stablereward.evaluation.benchmarks import Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_rows, unknown_form
from stablereward.evaluation.media import Pictures
from stablereward.evaluation.records import Judged, is_own, judged_rows
from stablereward.evaluation.tables import Figure, mean, share
from stablereward.types import Preference, pictured

TASKS = {"image_generation": 1735, "image_edition": 919, "video_generation": 1069}
CLASSES = {"leftvote": "A>B", "rightvote": "B>A", "tievote": "A=B=Good", "bothbad_vote": "A=B=Bad"}

HumanVote = Literal["leftvote", "rightvote", "tievote", "bothbad_vote"]


class _VideoVote(BaseModel):
    id: int | str
    prompt: str
    video_left: str
    video_right: str
    vote_type: HumanVote


class _Judged(BaseModel):
    idx: int
    response: str | None
    model_vote: str | None
    human_vote: HumanVote


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """The video votes, `{id, prompt, video_left, video_right, vote_type}`.

    Frames are found as by `Pictures.video`; votes for neither side have equal ranks.
    """
    for number, row in enumerate(read_rows(path, _VideoVote), 1):
        found = Pictures(images_root or path.parent, f"{path}: row {number}", require_images=require_images)
        vote = row.vote_type
        yield Preference(
            question=f"Which video fits this description better and looks better?\n\n{row.prompt}",
            responses=(pictured(*found.video(row.video_left)), pictured(*found.video(row.video_right))),
            ranks=(0, 1) if vote == "leftvote" else (1, 0) if vote == "rightvote" else (0, 0),
            id=str(row.id),
            category="video_generation",
        )


def read(path: Path, data: Path | None = None) -> tuple[list[Judged], tuple[str, ...]]:
    """This package's rows, or the authors' pairwise.jsonl. Of rows that repeat an `idx` the first counts."""
    if is_own(path):
        return judged_rows(path, ("A>B", "B>A"), tie="A=B"), ()
    if not {"idx", "response", "model_vote", "human_vote"} <= fields(path):
        raise unknown_form(path, "this package's rows and {idx, response, model_vote, human_vote}")
    rows = read_rows(path, _Judged)
    first: dict[int, _Judged] = {}
    for row in rows:
        first.setdefault(row.idx, row)
    category = next((task for task in TASKS if task in path.absolute().parts), "")
    records = [
        Judged(
            id=str(row.idx),
            category=category,
            label=CLASSES[row.human_vote],
            verdict=parse(row.response or ""),
        )
        for row in first.values()
    ]
    notes = []
    if len(rows) > len(first):
        notes.append(
            f"{len(rows) - len(first)} rows repeat the idx of an earlier row and are not counted again"
        )
    differing = sum(_bare(row.model_vote) != parse(row.response or "") for row in first.values())
    if differing:
        notes.append(f"{differing} stored verdicts (model_vote) differ from what the response text says")
    return records, tuple(notes)


def parse(text: str) -> str | None:
    """What stands between the first "[[" and the last "]]" of the first line that has both.

    So two labels on one line are read as one, which is no class: the authors' greedy pattern does the same.
    """
    for line in text.split("\n"):
        start, end = line.find("[["), line.rfind("]]")
        if 0 <= start <= end - 2:
            return line[start + 2 : end]
    return None


def _bare(stored: str | None) -> str | None:
    return stored.removeprefix("[[").removesuffix("]]") if stored is not None else None


def agrees(record: Judged) -> bool:
    """Whether the judge named the class of the people; "A=B" stands for both kinds of tie, ">>" for ">"."""
    verdict = (record.verdict or "").replace(">>", ">")
    return verdict == record.label or (verdict == "A=B" and record.label.startswith("A=B"))


def _accuracy(name: str, records: Sequence[Judged]) -> Figure:
    return share(
        name,
        [float(agrees(record)) for record in records],
        unread=sum(record.verdict is None for record in records),
        ties=sum((record.verdict or "").startswith("A=B") for record in records),
    )


def _official(records: Sequence[Judged]) -> tuple[Figure, ...]:
    tasks = [
        _accuracy(task or "accuracy", [record for record in records if record.category == task])
        for task in sorted({record.category for record in records})
    ]
    return (*tasks, average(tasks)) if len(tasks) > 1 else tuple(tasks)


def average(tasks: Sequence[Figure]) -> Figure:
    """The table's average, which is taken of scores already rounded to two decimals."""
    return mean("average", [replace(t, value=round(t.value, 2)) for t in tasks if t.value is not None])


def _without_ties(records: Sequence[Judged]) -> tuple[Figure, ...]:
    return _official([record for record in records if not record.label.startswith("A=B")])


RULES: Mapping[str, Rule[Judged]] = {
    "official": Rule(
        "stored order, four classes; unread wrong; A=B stands for either tie; average of rounded tasks",
        _official,
    ),
    "without_ties": Rule(
        "as UnifiedReward-Think's script: pairs that people tied are left out, unread and tied verdicts "
        "wrong",
        _without_ties,
    ),
}

BENCHMARK = Benchmark[Judged](
    name="GenAI-Bench",
    data=(
        "1,735 image, 919 edit and 1,069 video votes. Hugging Face dataset TIGER-Lab/GenAI-Bench (MIT). "
        "The video votes can be judged, as data.json of the repository CodeGoat24/UnifiedReward has them; "
        "extract the frames of each video into a folder of the video's name without its ending."
    ),
    rules=RULES,
    maps={"official": CategoryMap(about="the task, from the folders of the path", sizes=TASKS)},
    read=read,
    load=load,
)
