"""VideoGen-RewardBench of VideoAlign: https://arxiv.org/abs/2501.13918. Pairs of generated videos.

Visual quality (VQ), motion quality (MQ), text alignment (TA) and, in the benchmark itself, overall.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks import Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_rows, unknown_form
from stablereward.evaluation.media import Pictures
from stablereward.evaluation.records import Judged, is_own, judged_rows
from stablereward.evaluation.tables import Figure, share
from stablereward.types import Preference, pictured

SAME = "same"
ASPECTS = {
    "VQ": "Which video has the better visual quality?",
    "MQ": "Which video has the better motion quality?",
    "TA": "Which video fits the description better?",
    "Overall": "Which video is better overall?",
}

Label = Literal["A", "B", "same"]


class _Aspect(BaseModel):
    label: Label
    rewards: tuple[FiniteFloat, FiniteFloat] | tuple[()] = ()


class _Pair(BaseModel):
    path_A: str
    path_B: str
    prompt: str = ""
    aspects: dict[str, _Aspect] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, row: dict[str, object]) -> dict[str, object]:
        """The columns VQ, reward_VQ_A and reward_VQ_B, and so on, as one entry an aspect."""
        aspects: dict[str, object] = {}
        for aspect in ASPECTS:
            rewards = (row.get(f"reward_{aspect}_A"), row.get(f"reward_{aspect}_B"))
            if row.get(aspect):
                aspects[aspect] = {"label": row[aspect], "rewards": () if None in rewards else rewards}
        return {**row, "aspects": aspects}


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """A preference per pair and aspect; frames in folders named as the videos. "same" has equal ranks."""
    for number, row in enumerate(read_rows(path, _Pair), 1):
        found = Pictures(images_root or path.parent, f"{path}: row {number}", require_images=require_images)
        responses = (pictured(*found.video(row.path_A)), pictured(*found.video(row.path_B)))
        for name, aspect in row.aspects.items():
            yield Preference(
                question=f"{ASPECTS[name]}\n\n{row.prompt}",
                responses=responses,
                ranks={"A": (0, 1), "B": (1, 0), SAME: (0, 0)}[aspect.label],
                id=str(number),
                category=name,
            )


def read(path: Path, data: Path | None = None) -> tuple[list[Judged], tuple[str, ...]]:
    """This package's rows, or the authors' pairs with `reward_VQ_A`, `reward_VQ_B` and so on."""
    if is_own(path):
        return judged_rows(path, ("A", "B"), tie=SAME), ()
    if not {"path_A", "path_B", "reward_VQ_A"} <= fields(path):
        raise unknown_form(path, "this package's rows and {path_A, path_B, VQ, reward_VQ_A, reward_VQ_B, …}")
    return [
        Judged(
            id=str(number),
            category=name,
            label=aspect.label,
            verdict=_called(aspect.rewards[0], aspect.rewards[1]),
            scores=aspect.rewards,
        )
        for number, row in enumerate(read_rows(path, _Pair), 1)
        for name, aspect in row.aspects.items()
        if aspect.rewards
    ], ()


def _called(first: float, second: float) -> str:
    return "A" if first > second else "B" if first < second else SAME


def _without_ties(name: str, records: Sequence[Judged]) -> Figure:
    labelled = [record for record in records if record.label != SAME]
    return share(
        name,
        [float(record.verdict == record.label) for record in labelled],
        unread=sum(record.verdict is None for record in labelled),
        ties=sum(record.verdict == SAME for record in labelled),
    )


def _with_ties(name: str, records: Sequence[Judged]) -> Figure:
    """The accuracy at the threshold under which it is highest: https://arxiv.org/abs/2305.14324.

    A pair is called a tie where the rewards differ by no more than the threshold, one of the differences.
    """
    if any(len(record.scores) != 2 for record in records):
        raise DataError("accuracy with ties needs two rewards in every row; use the rule without_ties")
    gaps = sorted((abs(r.scores[0] - r.scores[1]), r.label == SAME, r.verdict == r.label) for r in records)
    right = sum(verdict_right and not tied for _, tied, verdict_right in gaps)
    best = 0
    for i, (gap, tied, verdict_right) in enumerate(gaps):
        right += tied - (verdict_right and not tied)
        if i + 1 == len(gaps) or gaps[i + 1][0] > gap:
            best = max(best, right)
    return share(name, [1.0] * best + [0.0] * (len(gaps) - best))


def _by_aspect(
    records: Sequence[Judged], figure: Callable[[str, Sequence[Judged]], Figure]
) -> tuple[Figure, ...]:
    there = [name for name in ASPECTS if any(record.category == name for record in records)]
    return tuple(figure(name, [record for record in records if record.category == name]) for name in there)


RULES: Mapping[str, Rule[Judged]] = {
    "without_ties": Rule(
        "pairs that people call the same are left out, equal or unread verdicts wrong",
        lambda records: _by_aspect(records, _without_ties),
    ),
    "with_ties": Rule(
        "three classes; a tie where rewards differ by at most the threshold that gives the highest accuracy",
        lambda records: _by_aspect(records, _with_ties),
    ),
}

BENCHMARK = Benchmark[Judged](
    name="VideoAlign",
    data=(
        "VideoGen-RewardBench: Hugging Face dataset KwaiVGI/VideoGen-RewardBench, videogen-rewardbench.csv "
        "and its videos; the form is that of datasets/train/example.csv in the repository "
        "KwaiVGI/VideoAlign (MIT). Extract the frames of each video into a folder of the video's name "
        "without its ending."
    ),
    rules=RULES,
    maps={"official": CategoryMap(about="the aspect that was asked for")},
    read=read,
    load=load,
)
