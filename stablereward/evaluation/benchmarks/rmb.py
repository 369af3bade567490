"""RMB: https://arxiv.org/abs/2410.09893. Pairs and best-of-n items of 49 scenarios, helpful and harmless.

Text only. A best-of-n item is right where the best response beats each of the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks import STABLEREWARD, Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_document, read_rows, unknown_form
from stablereward.evaluation.records import (
    TIE,
    Result,
    Score,
    is_own,
    is_tie,
    own_rows,
    pair,
    scored,
    shared_out,
)
from stablereward.evaluation.rules import accuracy, categories, half_for_words, strict
from stablereward.evaluation.tables import Figure, mean
from stablereward.types import Preference, Row

PAIRS, ITEMS = "Pairwise_set", "BoN_set"
_OVERALL = {"Overall_accuracy", "BoN Final Accuracy"}

SCENARIOS: Mapping[str, tuple[int, int]] = {
    "Harmlessness/S1": (459, 111),
    "Harmlessness/S10": (360, 79),
    "Harmlessness/S11": (977, 215),
    "Harmlessness/S2": (1040, 249),
    "Harmlessness/S3": (739, 171),
    "Harmlessness/S4": (537, 136),
    "Harmlessness/S5": (561, 122),
    "Harmlessness/S6": (317, 83),
    "Harmlessness/S7": (510, 121),
    "Harmlessness/S8": (519, 127),
    "Harmlessness/S9": (543, 132),
    "Harmlessness/multi": (502, 131),
    "Helpfulness/Brainstorming/Idea Development": (849, 168),
    "Helpfulness/Brainstorming/Problem Solving": (100, 19),
    "Helpfulness/Chat/Casual Conversation": (306, 71),
    "Helpfulness/Chat/Discussion": (293, 59),
    "Helpfulness/Chat/Supportive Conversation": (114, 25),
    "Helpfulness/Classification/Content Categorization": (107, 18),
    "Helpfulness/Classification/Quality and Compliance Assessment": (57, 13),
    "Helpfulness/Closed QA/ContextBased": (447, 86),
    "Helpfulness/Closed QA/OptionBased": (473, 100),
    "Helpfulness/Code/Data Management": (376, 81),
    "Helpfulness/Code/Development and Implementation": (399, 92),
    "Helpfulness/Code/Documentation": (65, 15),
    "Helpfulness/Code/Quality and Optimization": (384, 92),
    "Helpfulness/Generation/Creative Writing": (762, 151),
    "Helpfulness/Generation/Professional Content Generation": (347, 74),
    "Helpfulness/Open QA/Factual": (664, 153),
    "Helpfulness/Open QA/General Explanation": (413, 80),
    "Helpfulness/Open QA/Hypothetical Scenarios": (42, 8),
    "Helpfulness/Open QA/Interpretative Analysis": (107, 18),
    "Helpfulness/Open QA/Personal Opinion and Advice": (78, 14),
    "Helpfulness/Open QA/Technical and Practical Support": (238, 47),
    "Helpfulness/Reasoning/Analytical Reasoning": (596, 133),
    "Helpfulness/Reasoning/Critical Thinking": (200, 39),
    "Helpfulness/Reasoning/Human Decision Making": (165, 32),
    "Helpfulness/Reasoning/Logical Deduction": (222, 46),
    "Helpfulness/Reasoning/Pattern Recognition": (52, 14),
    "Helpfulness/Rewrite/Paraphrasing": (83, 17),
    "Helpfulness/Rewrite/PostQuality Assessment Rewriting": (222, 46),
    "Helpfulness/Rewrite/Textual ExpansionReduction": (50, 9),
    "Helpfulness/Rewrite/Tone Adjustment": (103, 17),
    "Helpfulness/Role Playing/General Character": (163, 32),
    "Helpfulness/Role Playing/Specific Character": (209, 46),
    "Helpfulness/Summarization/Specialized Summaries": (189, 42),
    "Helpfulness/Summarization/Standard Summaries": (341, 71),
    "Helpfulness/Translation/GeneralExcerpt Language Translation": (483, 109),
    "Helpfulness/Translation/Literary and Cultural Translation": (176, 34),
    "Helpfulness/Translation/Technical and Scientific Translation": (192, 38),
}
"""Pairs and best-of-n items of each scenario; those of pairs add up to the released total."""

SIZES = {
    f"{kind}/{scenario}": sizes[i]
    for i, kind in enumerate((PAIRS, ITEMS))
    for scenario, sizes in SCENARIOS.items()
}
SECTIONS = {
    f"{PAIRS}/Helpfulness": "Pairwise Helpfulness",
    f"{PAIRS}/Harmlessness": "Pairwise Harmlessness",
    f"{ITEMS}/Helpfulness": "BoN Helpfulness",
    f"{ITEMS}/Harmlessness": "BoN Harmlessness",
}


def section(id: str, stored: str) -> str:
    """Of which of the four sections a `category_path` is part."""
    return next((name for start, name in SECTIONS.items() if stored.startswith(f"{start}/")), stored)


class _Turn(BaseModel):
    role: str
    content: str


class _Answer(BaseModel):
    answer: str


class _Pair(BaseModel):
    pair_uid: str
    category_path: str
    conversation_input: list[_Turn]
    chosen: _Answer
    reject: _Answer


class _Item(BaseModel):
    bon_uid: str
    category_path: str
    conversation_input: list[_Turn]
    bon_best: _Answer
    loser_list: Annotated[list[_Answer], Field(min_length=1)]


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """A file of `RMB_dataset`, or a folder of such files; the right response first."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: holds no .json files; name RMB_dataset or a folder of it")
    for file in files:
        if "bon_uid" in fields(file):
            for item in read_rows(file, _Item):
                losers = tuple(loser.answer for loser in item.loser_list)
                yield _preference(
                    item.bon_uid, item.category_path, item.conversation_input, item.bon_best.answer, *losers
                )
        else:
            for row in read_rows(file, _Pair):
                yield _preference(
                    row.pair_uid,
                    row.category_path,
                    row.conversation_input,
                    row.chosen.answer,
                    row.reject.answer,
                )


def _preference(id: str, category: str, turns: Sequence[_Turn], best: str, *others: str) -> Preference:
    said = [turn.content if len(turns) == 1 else f"{turn.role}: {turn.content}" for turn in turns]
    ranks = (0, *(1 for _ in others))
    return Preference(
        question="\n\n".join(said), responses=(best, *others), ranks=ranks, id=id, category=category
    )


class _Judged(BaseModel):
    """A row of a comparison; of a best-of-n item there is one for each of the others."""

    category_path: str
    pair_uid: str = ""
    bon_uid: str = ""
    chosen_reward: Annotated[
        Score | None, Field(validation_alias=AliasChoices("chosen_reward", "score_chosen"))
    ] = None
    reject_reward: Annotated[
        Score | None, Field(validation_alias=AliasChoices("reject_reward", "score_rejected"))
    ] = None
    results: Result | None = None
    is_correct: Result | None = None


def read(path: Path, data: Path | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """This package's rows, rewards or verdicts row by row, or the accuracies of scenarios.

    `{pair_uid, category_path, chosen_reward, reject_reward, is_correct}` is what the authors' script writes,
    `{pair_uid or bon_uid, category_path, results}` what RM-R1's scripts do; Final_score.json is theirs too.
    """
    if is_own(path):
        return own_rows(path), ()
    found = fields(path)
    if found & _OVERALL:
        return _read_shares(path)
    if "category_path" not in found or not found & {"pair_uid", "bon_uid"}:
        known = "this package's rows, {pair_uid or bon_uid, category_path, chosen_reward and reject_reward "
        raise unknown_form(path, known + "or results} and the two objects of Final_score.json")
    pairs: list[Row] = []
    items: dict[str, tuple[str, list[int | str]]] = {}
    for number, row in enumerate(read_rows(path, _Judged), 1):
        verdict = _verdict(row, f"{path}: row {number}")
        if row.bon_uid:
            items.setdefault(row.bon_uid, (row.category_path, []))[1].append(verdict)
        else:
            pairs.append(pair([verdict], id=row.pair_uid, best=0, category=row.category_path))
    best_of_n = [
        pair([int(set(verdicts) != {0})], id=name, best=0, category=category)
        for name, (category, verdicts) in items.items()
    ]
    return [*pairs, *best_of_n], ()


def _verdict(row: _Judged, where: str) -> int | str:
    if row.chosen_reward is not None and row.reject_reward is not None:
        return scored(row.chosen_reward, row.reject_reward)
    result = row.results if row.results is not None else row.is_correct
    if result is None:
        raise DataError(f"{where}: has neither two rewards nor a result; correct the row")
    return TIE if result == 0.5 else int(result == 0)


def _read_shares(path: Path) -> tuple[list[Row], tuple[str, ...]]:
    try:
        _, shares = read_document(path, list[dict[str, float]])
    except ValueError:
        raise DataError(f"{path}: not the two objects of Final_score.json; check the file") from None
    unknown = sorted(set(shares) - set(SIZES))
    if unknown:
        raise DataError(f"{path}: {unknown[0][:80]!r} is no scenario of RMB; correct the row")
    rows = [
        row
        for name, share in shares.items()
        for row in shared_out(share, SIZES[name], id=name, category=name, where=str(path))
    ]
    return rows, ("made of the scenarios' accuracies, so nothing is known of unread verdicts",)


def worth(row: Row) -> list[float]:
    """A tie of a pair is worth one half; equal rewards, unread verdicts and ties of best-of-n nothing."""
    if not row.category.startswith("Pairwise"):
        return strict(row)
    return [
        points if is_tie(one) else float(one.choice == row.best)
        for points, one in zip(half_for_words(row), row.votes, strict=True)
    ]


def _official(rows: Sequence[Row]) -> tuple[Figure, ...]:
    figures = [accuracy(name, some, worth) for name, some in categories(rows).items()]
    return (*figures, mean("average", figures))


RULES: Mapping[str, Rule[Row]] = {
    "official": Rule(
        "pairs: a tied verdict worth one half, equal rewards and unread wrong; best of n: right where it "
        "beats every other; average of the categories, which RM-R1 takes of the four sections",
        _official,
    ),
    "stablereward": STABLEREWARD,
}

BENCHMARK = Benchmark[Row](
    name="RMB",
    data=(
        "17,131 pairs and 3,786 best-of-n items. The folder RMB_dataset of the repository "
        "Zhou-Zoey/RMB-Reward-Model-Benchmark (no licence stated), which RM-R1-UIUC/RM-R1 (Apache-2.0) "
        "passes on; a file, or a folder of them. Text only."
    ),
    rules=RULES,
    maps={
        "official": CategoryMap(
            about="pairs and best of n, helpful and harmless",
            category=section,
            sizes={
                name: sum(size for one, size in SIZES.items() if one.startswith(f"{start}/"))
                for start, name in SECTIONS.items()
            },
        ),
        "scenario": CategoryMap(about="the category_path", sizes=SIZES),
    },
    read=read,
    load=load,
)
