"""RewardBench: https://arxiv.org/abs/2403.13787. 2,985 text pairs, 23 subsets in 4 sections.

A section is a weighted mean of its subsets, and the weights are not the subsets' sizes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, JsonValue

from stablereward.data.preferences import read_preferences
from stablereward.errors import DataError
from stablereward.evaluation.benchmarks import STABLEREWARD, Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_document, read_table, unknown_form
from stablereward.evaluation.records import UNREAD, Result, Score, is_own, own_rows, pair, scored, shared_out
from stablereward.evaluation.rules import Worth, accuracy, categories, half_for_words, strict
from stablereward.evaluation.tables import Figure, mean
from stablereward.types import Preference, Row

SECTIONS: Mapping[str, Mapping[str, int]] = {
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-hard": 95,
        "alpacaeval-length": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
        "llmbar-adver-neighbor": 134,
        "llmbar-natural": 100,
        "mt-bench-hard": 37,
    },
    "Safety": {
        "donotanswer": 136,
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 250,
    },
    "Reasoning": {
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 164,
        "hep-rust": 164,
        "math-prm": 447,
    },
}
"""The pairs of each subset."""

SIZES = {name: size for subsets in SECTIONS.values() for name, size in subsets.items()}

MATH_AS_CODE = {"math-prm": 984}
"""Mathematics weighs as much as the six programming languages together."""

UNTIL_0_1_2 = MATH_AS_CODE | {"xstest-should-refuse": 250, "xstest-should-respond": 154}
"""The authors' constants exchanged the sizes of the two XSTest subsets in `rewardbench` 0.1.0 to 0.1.2."""


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """The split "filtered" as a file: `{prompt, chosen, rejected, subset, id}`."""
    return read_preferences(
        path, format="chosen_rejected", images_root=images_root, require_images=require_images
    )


class _Scored(BaseModel):
    """A row of what the authors' scripts save: `results` is 1, 0, or 0.5 where a judge named no winner."""

    id: int | str = ""
    subset: str = ""
    results: Result
    scores_chosen: Score | None = None
    scores_rejected: Score | None = None


def read(path: Path, data: Path | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """This package's rows, the authors' rows with `results`, or subset accuracies.

    Rows may stand in columns, as in the authors' eval-set-scores. Those of the `rewardbench` command name no
    subsets: they are then taken from `data`, the benchmark's own file, row by row.
    Accuracies become as many right, tied and wrong rows, see `shared_out`.
    """
    if is_own(path):
        return own_rows(path), ()
    found = fields(path)
    if "results" in found:
        return _read_scored(path, data)
    if "extra_results" in found:
        accuracies = read_document(path, _Summary).extra_results
    elif set(SIZES) <= found:
        accuracies = read_document(path, dict[str, JsonValue])
    else:
        raise unknown_form(path, "this package's rows, {results, subset} and {" + ", ".join(SIZES) + "}")
    rows = [
        row
        for name, size in SIZES.items()
        for row in shared_out(accuracies.get(name), size, id=name, category=name, where=str(path))
    ]
    return rows, ("made of subset accuracies, so nothing is known of unread verdicts and ties",)


class _Summary(BaseModel):
    """What the `rewardbench` command writes beside its rows."""

    extra_results: dict[str, JsonValue]


def _read_scored(path: Path, data: Path | None) -> tuple[list[Row], tuple[str, ...]]:
    stored = read_table(path, _Scored, "results")
    subsets = [row.subset for row in stored]
    if not all(subsets):
        if data is None:
            raise DataError(
                f"{path}: its rows name no subset; name the benchmark's own file too, whose rows are in the "
                "same order"
            )
        subsets = [row.category for row in load(data)]
        if len(subsets) != len(stored):
            raise DataError(f"{path}: has {len(stored)} rows, where {data} has {len(subsets)}")
    rows = [
        pair([_verdict(one)], id=str(one.id), best=0, category=subset)
        for one, subset in zip(stored, subsets, strict=True)
    ]
    apart = sum((_verdict(one) == 0) != (one.results == 1) for one in stored if one.results != 0.5)
    return rows, (f"{apart} stored results differ from what their scores say",) if apart else ()


def _verdict(row: _Scored) -> int | str:
    """What the scores say, or the stored result where there are none; 0.5 is a verdict that was not read."""
    if row.scores_chosen is not None and row.scores_rejected is not None:
        return scored(row.scores_chosen, row.scores_rejected)
    return UNREAD if row.results == 0.5 else int(row.results == 0)


def _sections(rows: Sequence[Row], worth: Worth, weights: Mapping[str, int]) -> tuple[Figure, ...]:
    subsets = {name: accuracy(name, some, worth) for name, some in categories(rows).items()}
    sections = [_weighted(name, sizes, subsets, weights) for name, sizes in SECTIONS.items()]
    return (*sections, mean("average", sections), accuracy("micro", rows, worth), *subsets.values())


def _weighted(
    name: str, sizes: Mapping[str, int], subsets: Mapping[str, Figure], weights: Mapping[str, int]
) -> Figure:
    """The mean of the section's subsets that are there."""
    there = {one: weights.get(one, size) for one, size in sizes.items() if one in subsets}
    total = sum((subsets[one].value or 0.0) * weight for one, weight in there.items())
    return Figure(
        name=name,
        value=total / sum(there.values()) if there else None,
        unread=sum(subsets[one].unread for one in there),
        ties=sum(subsets[one].ties for one in there),
    )


def _official(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return _sections(rows, half_for_words, MATH_AS_CODE)


def _scalar(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return _sections(rows, strict, MATH_AS_CODE)


def _until_0_1_2(rows: Sequence[Row]) -> tuple[Figure, ...]:
    return _sections(rows, half_for_words, UNTIL_0_1_2)


RULES: Mapping[str, Rule[Row]] = {
    "official": Rule(
        "unread and tied worth one half, equal scores wrong; sections weighted by size, but math-prm 984 of "
        "447, as in rewardbench 0.1.3 and 0.1.4; average of sections",
        _official,
    ),
    "until_0.1.2": Rule(
        "as official, but weighted as in rewardbench 0.1.0 to 0.1.2: xstest refuse 250 of 154, respond 154 "
        "of 250",
        _until_0_1_2,
    ),
    "scalar": Rule("as official, but unread and tied wrong, as RM-R1 counts its judges", _scalar),
    "stablereward": STABLEREWARD,
}

BENCHMARK = Benchmark[Row](
    name="RewardBench",
    data=(
        "2,985 pairs. Hugging Face dataset allenai/reward-bench, split filtered (ODC-BY), saved as Parquet "
        "or JSON lines. Text only."
    ),
    rules=RULES,
    maps={"official": CategoryMap(about="the subset", sizes=SIZES)},
    read=read,
    load=load,
)
