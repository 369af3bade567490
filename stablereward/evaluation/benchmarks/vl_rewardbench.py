"""VL-RewardBench: https://arxiv.org/abs/2411.17451. 1,250 pairs of answers about an image.

Three ways to sort the pairs into categories are in use, so a category score means nothing without its map.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from stablereward.data.preferences import read_preferences
from stablereward.evaluation.benchmarks import STABLEREWARD, Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_rows, unknown_form
from stablereward.evaluation.records import UNREAD, is_own, own_rows, pair, rewarded
from stablereward.evaluation.rules import by_category, half, right_shown_first
from stablereward.evaluation.tables import Figure
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Preference, Row

_BETTER = re.compile(r"Answer\s*(\d+)\s*is\s*(?:the\s*)?(?:slightly\s*)?better", re.IGNORECASE)
_CONCLUSION = re.compile(r"Overall Judgment|Therefore", re.IGNORECASE)


def official_category(id: str, stored: str = "") -> str:
    """Where a pair comes from decides: POVID, RLAIF-V and RLHF-V are about hallucination."""
    if id.startswith(("mathverse", "mmmu")):
        return "reasoning"
    return "hallucination" if id.startswith(("hallucination_pair", "RLAIF-V", "RLHF-V")) else "general"


def r1_reward_category(id: str, stored: str = "") -> str:
    """R1-Reward's script looks for "rlhf" and "rlaif", but ids have capitals: only POVID is left."""
    if id.startswith(("mathverse", "mmmu")):
        return "reasoning"
    return "hallucination" if "hallucination" in id else "general"


def unified_reward_category(id: str, stored: str = "") -> str:
    """POVID falls through to general; so did the official script until May 2025."""
    if id.startswith(("mathverse", "mmmu")):
        return "reasoning"
    return "hallucination" if id.startswith(("RLAIF-V", "RLHF-V")) else "general"


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """The authors' file or R1-Reward's; categories by the official map."""
    rows = read_preferences(path, images_root=images_root, require_images=require_images)
    return (replace(preference, category=official_category(preference.id)) for preference in rows)


def majority(row: Row) -> list[float]:
    """The authors' way: more than half of the opinions must agree; a pair with an unread one is left out."""
    opinions = [j.choice for one in row.votes for j in one.judgements]
    if any(one.failures for one in row.votes):
        return []
    right = opinions.count(row.best)
    return [float(2 * right > len(opinions))] if 2 * right != len(opinions) else []


class _Id(BaseModel):
    id: str


class _Meta(BaseModel):
    random_number: Literal[0, 1]
    filter_choice: str


class _Judgement(BaseModel):
    """A row of the authors' inference script; an item may have several."""

    id: str
    query: str
    response: tuple[str, str]
    ranking: tuple[Literal[0, 1], Literal[0, 1]]
    meta: _Meta


def read(path: Path, data: Path | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """This package's rows, R1-Reward's `rewards`, or what the authors' inference script writes."""
    found = fields(path)
    if is_own(path):
        return own_rows(path), ()
    if {"id", "rewards"} <= found:
        ids = [row.id for row in read_rows(path, _Id)]
        return [pair([choice], id=i, best=0) for i, choice in zip(ids, rewarded(path), strict=True)], (
            "the file names no order; R1-Reward's script always shows the chosen answer first",
        )
    if {"id", "query", "response", "ranking", "meta"} <= found:
        return _grouped(read_rows(path, _Judgement)), ()
    raise unknown_form(path, "this package's rows, {id, rewards} and {id, query, response, ranking, meta}")


def _grouped(judgements: Sequence[_Judgement]) -> list[Row]:
    """Opinions on one item, which is id and texts together because 25 ids occur twice, become one row."""
    items: dict[tuple[str, ...], list[_Judgement]] = {}
    for judgement in judgements:
        key = (judgement.id, judgement.query, *sorted(judgement.response))
        items.setdefault(key, []).append(judgement)
    return [
        Row(
            id=key[0],
            category="",
            best=some[0].ranking.index(0),
            votes=(vote([_opinion(one) for one in some], 2),),
        )
        for key, some in items.items()
    ]


def _opinion(judgement: _Judgement) -> Judgement | Failure:
    text = judgement.meta.filter_choice
    order = (0, 1) if judgement.meta.random_number == 0 else (1, 0)
    number = parse(text)
    if number not in (1, 2):
        return Failure(reason=UNREAD, detail=text[-120:])
    return Judgement(choice=order[number - 1], order=order, text=text)


def parse(text: str) -> int | None:
    """The number in the last "Answer 2 is (slightly) better" after "Overall Judgment" or "Therefore"."""
    plain = text.replace("\n", "").replace("*", "")
    start = _CONCLUSION.search(plain)
    found = _BETTER.findall(plain, start.end()) if start else []
    return int(found[-1][:4]) if found else None


def _official(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return by_category(rows, majority)


def _chosen_first(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return by_category(rows, right_shown_first)


def _coin(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return by_category(rows, half)


RULES: Mapping[str, Rule[Row]] = {
    "official": Rule(
        "more than half of a pair's opinions; left out: pairs with an unread opinion or no majority",
        _official,
    ),
    "stablereward": STABLEREWARD,
    "vlmevalkit": Rule("as UnifiedReward too: unread and tied votes wrong", by_category),
    "lmms_eval": Rule("unread and tied votes worth one half, what its coin earns on average", _coin),
    "r1_reward": Rule("chosen answer always shown first; unread and tied votes wrong", _chosen_first),
}

BENCHMARK = Benchmark[Row](
    name="VL-RewardBench",
    data=(
        "1,250 pairs. Hugging Face dataset MMInstruction/VL-RewardBench (card: MIT), images included, or "
        "data.jsonl of the repository yfzhang114/r1_reward, folder inference/VL-Reward-Bench."
    ),
    rules=RULES,
    maps={
        "official": CategoryMap(
            about="the authors' since May 2025, and lmms-eval's",
            category=official_category,
            sizes={"general": 183, "hallucination": 749, "reasoning": 318},
        ),
        "r1_reward": CategoryMap(
            about="R1-Reward's get_acc.py: RLHF-V and RLAIF-V fall into general",
            category=r1_reward_category,
            sizes={"general": 484, "hallucination": 448, "reasoning": 318},
        ),
        "unified_reward": CategoryMap(
            about="UnifiedReward's, and the authors' until May 2025: POVID falls into general",
            category=unified_reward_category,
            sizes={"general": 631, "hallucination": 301, "reasoning": 318},
        ),
    },
    read=read,
    load=load,
    releases={"3b6c2a98d23073c3": "1,250 pairs of 2025"},
    ids_repeat=True,
)
