"""Multimodal RewardBench 2 (MMRB2): https://arxiv.org/abs/2512.16899. 1,000 pairs for each of four tasks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks import STABLEREWARD, Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import read_document
from stablereward.evaluation.media import Pictures
from stablereward.evaluation.records import TIE, UNREAD, is_own, is_tie, own_rows, pair
from stablereward.evaluation.rules import by_category
from stablereward.evaluation.tables import Figure
from stablereward.types import Preference, Row

TASKS = {
    "t2i": ("evalmuse", "oneigbench", "r2ibench", "wise", "realunify_ueg"),
    "edit": ("emu-edit", "dreambench", "new_synthetic_edit", "text_heavy_edit", "risebench", "hq-edit"),
    "interleaved": ("isgbench", "chameleon", "interleavedeval", "mmmg"),
    "reasoning": ("mindcube", "blink", "muirbench", "realunify", "visulogic", "vstar"),
}
_TASK_OF = {source: task for task, sources in TASKS.items() for source in sources}
_SOURCE_SIZES = (
    *(390, 278, 128, 111, 93),
    *(329, 242, 178, 114, 84, 53),
    *(421, 284, 267, 28),
    *(367, 355, 137, 55, 49, 37),
)
_AS_SHOWN = {"A": "A", "B": "B"}
_OTHER = {"A": "B", "B": "A"}


def task_category(id: str, stored: str) -> str:
    """The task that a source of prompts belongs to."""
    return _TASK_OF.get(stored, stored)


class _Response(BaseModel):
    response_content: list[tuple[Literal["text", "image"], str]]


class _Pair(BaseModel):
    """A pair of the response-only files or of the files that the authors' script builds from them."""

    id: Annotated[str, Field(validation_alias=AliasChoices("id", "pair_id"))]
    chosen: Annotated[Literal["A", "B"], Field(validation_alias=AliasChoices("chosen", "human_preference"))]
    prompt_source: str
    prompt_content: list[tuple[Literal["text", "image"], str]] = []
    response_a: _Response
    response_b: _Response


class _Data(BaseModel):
    pairs: list[_Pair]


class _Judgement(BaseModel):
    judgement: str | None


class _Judged(BaseModel):
    forward: list[_Judgement] = []
    reverse: list[_Judgement] = []


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """A task's file as the authors' script builds it, with prompts.

    Raises `DataError` for a response-only file, which has none.
    """
    for number, row in enumerate(read_document(path, _Data).pairs, 1):
        where = f"{path}: pair {number}"
        if not row.prompt_content:
            raise DataError(
                f"{where}: has no prompt; build the whole file with the authors' build_from_hf.py"
            )
        found = Pictures(images_root or path.parent, where, require_images=require_images)
        question, images = found.named(row.prompt_content)
        yield Preference(
            question=question,
            responses=tuple(found.response(r.response_content) for r in (row.response_a, row.response_b)),
            ranks=(0, 1) if row.chosen == "A" else (1, 0),
            images=images,
            id=row.id,
            category=row.prompt_source,
        )


def read(path: Path, data: Path | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """This package's rows, or the authors' `{id: {forward, reverse}}`, whose labels are in `data`."""
    if is_own(path):
        return own_rows(path), ()
    if data is None:
        raise DataError(
            f"{path}: these judgements carry no labels; name the task's own file too, t2i_response_only.json"
        )
    judged = read_document(path, dict[str, _Judged])
    pairs = read_document(data, _Data).pairs
    rows = [
        pair(
            [_verdict(judged[p.id].forward, _AS_SHOWN), _verdict(judged[p.id].reverse, _OTHER)],
            id=p.id,
            best="AB".index(p.chosen),
            category=p.prompt_source,
        )
        for p in pairs
        if p.id in judged
    ]
    missing = len(pairs) - len(rows)
    return rows, (f"{missing} of {len(pairs)} pairs have no judgement and are left out",) if missing else ()


def _verdict(judgements: Sequence[_Judgement], shown: Mapping[str, str]) -> int | str:
    stored = judgements[0].judgement if judgements else None
    if not stored:
        return UNREAD
    return "AB".index(shown[stored]) if stored in shown else TIE


def _worth(row: Row) -> list[float]:
    return [float(one.choice == row.best) for one in row.votes if one.choice is not None or is_tie(one)]


def _official(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return by_category(rows, _worth)


RULES: Mapping[str, Rule[Row]] = {
    "official": Rule(
        "both orders; absent verdicts left out, others than A and B wrong; the table's Avg. is the macro "
        "average",
        _official,
    ),
    "stablereward": STABLEREWARD,
}

BENCHMARK = Benchmark[Row](
    name="MMRB2",
    data=(
        "4,000 pairs in four files. The repository facebookresearch/MMRB2 (CC BY-NC 4.0, not for "
        "training): its benchmark/build_from_hf.py makes t2i.json, edit.json, interleaved.json, "
        "reasoning.json and the images."
    ),
    rules=RULES,
    maps={
        "task": CategoryMap(
            about="the task that the source of the prompt belongs to",
            category=task_category,
            sizes=dict.fromkeys(TASKS, 1000),
        ),
        "source": CategoryMap(
            about="the source of the prompt",
            sizes=dict(zip(_TASK_OF, _SOURCE_SIZES, strict=True)),
        ),
    },
    read=read,
    load=load,
)
