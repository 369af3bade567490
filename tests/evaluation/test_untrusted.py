"""Whatever stands in a file of judgements, reading it ends in a table or in one line of ours."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stablereward.errors import DataError, StableRewardError
from stablereward.evaluation import bench, comparison
from stablereward.evaluation.bench import judge_all
from stablereward.evaluation.benchmarks import find, names
from stablereward.evaluation.benchmarks.rewardbench import SIZES
from stablereward.evaluation.rows import read
from stablereward.evaluation.score import score_file
from stablereward.evaluation.standings import standing
from stablereward.judges.controls import always_first
from stablereward.types import Preference

MUTANTS = 60
"""Of each valid file."""

PREFERENCES = [
    Preference(question=f"q{i}", responses=("a", "b"), ranks=(0, 1), id=f"RLAIF-V-{i}", category="c")
    for i in range(3)
]
JUDGEMENT = {"judgement": "A"}
PANDALM_PAIR = {"idx": 1, "instruction": "i", "input": "", "response1": "a", "response2": "b"}
PANDALM_PAIR |= {"annotator1": 1, "annotator2": 1, "annotator3": 2}
MMRB2_PAIR = {"id": "p", "chosen": "A", "prompt_source": "wise"}
MMRB2_PAIR |= {"response_a": {"response_content": [["text", "x"]]}}
MMRB2_PAIR |= {"response_b": {"response_content": [["text", "y"]]}}
VIDEO = {"path_A": "a.mp4", "path_B": "b.mp4", "VQ": "A", "reward_VQ_A": 1.5, "reward_VQ_B": 0.5}
VL = {"id": "mmmu_1", "query": "q", "response": ["a", "b"], "ranking": [0, 1]}
VL |= {"meta": {"random_number": 1, "filter_choice": "Therefore, Answer 2 is better"}}

FORMS: dict[str, tuple[str, Any]] = {
    "genai_bench": (
        "x.jsonl",
        {"idx": 1, "response": "[[A>B]]", "model_vote": "A>B", "human_vote": "leftvote"},
    ),
    "judgebench": (
        "x.jsonl",
        {"pair_id": "a", "source": "mmlu-pro-law", "label": "A>B", "judgments": [{"decision": "A>B"}, None]},
    ),
    "llmbar": (
        "x.json",
        [{"label": 1, "results": [{"swap = False": {"winner": "1"}, "swap = True": {"winner": None}}]}],
    ),
    "mj_bench": ("x.json", [{"id": 1, "label": "0", "score_0": 0.5, "score_1": 0.25, "pred": "0"}]),
    "mm_rlhf_rewardbench": ("x.jsonl", {"id": "a", "image": "mcq/1.jpg", "rewards": [1.0, 0.5]}),
    "mmrb2": ("x.json", {"p": {"forward": [JUDGEMENT], "reverse": [JUDGEMENT]}}),
    "mt_bench": ("x.jsonl", {"question_id": 81, "model": "m", "turn": 1, "score": 7.5}),
    "multimodal_rewardbench": (
        "x.jsonl",
        {"ID": "a", "Label": "A", "output": "[[A]]", "Meta": {"Category": "vqa"}},
    ),
    "pandalm": ("x.json", [{"idx": 1, "gpt_result": "1"}]),
    "rewardbench": (
        "x.jsonl",
        {"id": 1, "subset": "hep-go", "results": 1, "scores_chosen": [0.5], "scores_rejected": [0.25]},
    ),
    "rewardbench_2": (
        "x.jsonl",
        {"id": "tied:1", "subset": "Ties", "scores": [[3], [2], [1]], "num_correct": 2},
    ),
    "rm_bench": (
        "x.json",
        [{"id": 1, "domain": "chat", "score_chosen": [1, 2, 3], "score_rejected": [0, 1, 2.5]}],
    ),
    "rmb": (
        "x.json",
        [
            {
                "bon_uid": "7",
                "category_path": "BoN_set/Harmlessness/S1",
                "score_chosen": 0.5,
                "score_rejected": 0.25,
            }
        ],
    ),
    "videoalign": ("x.csv", VIDEO),
    "vl_rewardbench": ("x.jsonl", VL),
    "wildvision_bench": ("x.jsonl", {"question_id": "a", "games": [{"score": "B>A"}]}),
}
MORE: list[tuple[str, str, Any]] = [
    (
        "rewardbench",
        "x.json",
        {"results": [1, 0], "subset": ["hep-go", "hep-go"], "id": [1, 2], "model": "m"},
    ),
    ("rewardbench", "x.json", dict.fromkeys(SIZES, 0.5)),
    ("rewardbench_2", "x.json", {"id": ["1", "2"], "subset": ["Math", "Focus"], "results": [0.5, 0.25]}),
    ("rm_bench", "x.json", {"chat": 1.0, "code": 0.5, "math": 1, "safety": 0, "total_avg_acc": 0.625}),
    ("rmb", "x.json", [{"Overall_accuracy": 1.0}, {"Pairwise_set/Harmlessness/S1": 1.0}]),
    ("vl_rewardbench", "x.jsonl", {"id": "mmmu_1", "rewards": [1, 0.5]}),
]
DATA = {"mmrb2": {"pairs": [MMRB2_PAIR]}, "pandalm": [PANDALM_PAIR]}
STRANGE: list[Any] = [
    None, True, False, -1, 0, 2, 3.5, 10**30, 10**400, -(10**25), float("nan"), float("inf"), -0.0, "", "1",
    "A=B", "\ud800", "x" * 5000, [], {}, [[]], [None], {"a": {"b": []}}, [1, [2, [3]]],
    [1e308, -1e308, 1e308],
]  # fmt: skip


def written(path: Path, value: Any) -> None:
    if path.suffix == ".csv":
        rows = value if isinstance(value, list) else [value]
        kept = [row for row in rows if isinstance(row, dict)]
        out = io.StringIO()
        writer = csv.DictWriter(
            out, sorted({str(name) for row in kept for name in row}), extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(kept)
        path.write_text(out.getvalue(), encoding="utf-8", errors="replace")
    elif path.suffix == ".jsonl":
        rows = value if isinstance(value, list) else [value]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(value))


def mutant(value: Any, random: Random) -> Any:
    """The value with one thing in it dropped, doubled, renamed or made strange."""
    value = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []

    def walk(one: Any) -> None:
        for key in list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []:
            places.append((one, key))
            walk(one[key])

    walk(value)
    if not places:
        return random.choice(STRANGE)
    holder, key = random.choice(places)
    how = random.randrange(5)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, list):
        holder.append(holder[key])
    elif how == 2 and isinstance(holder, dict):
        holder[key + "x"] = holder.pop(key)
    else:
        holder[key] = random.choice(STRANGE)
    return mutant(value, random) if random.random() < 0.3 else value


def damaged(content: bytes, random: Random) -> bytes:
    """The file torn, with bytes changed, or with a line twice."""
    how, place = random.randrange(3), random.randrange(len(content))
    if how == 0:
        return content[:place]
    if how == 1:
        return content[:place] + bytes([random.randrange(256)]) + content[place + 1 :]
    return content + content.splitlines(keepends=True)[-1]


def ends_well(action: Callable[[], object]) -> bool:
    """Whether it gave a result; else it ended in one line of ours."""
    try:
        action()
    except StableRewardError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return False
    return True


CASES = [(name, *form) for name, form in FORMS.items()] + MORE


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{i}")
def test_no_file_of_judgements_ends_in_a_traceback(case: int, tmp_path: Path) -> None:
    name, file, value = CASES[case]
    path, data = tmp_path / file, None
    if name in DATA:
        data = tmp_path / "data.json"
        data.write_text(json.dumps(DATA[name]))
    written(path, value)
    assert score_file(path, name, data=data).figures
    valid = path.read_bytes()
    random = Random(case)
    # Thousands of rows are made of shares, and that rule redraws them; it meets damaged rows in other cases.
    rules = [rule for rule in find(name).rules if rule != "stablereward" or case < len(FORMS)]
    results = []
    for _ in range(MUTANTS):
        if random.random() < 0.2:
            path.write_bytes(damaged(valid, random))
        else:
            written(path, mutant(value, random))
        for rule in rules:
            results.append(ends_well(lambda rule=rule: score_file(path, name, rule, data=data)))  # type: ignore[misc]
    assert False in results


def test_every_benchmark_has_a_form_here() -> None:
    assert set(FORMS) == set(names())


def test_no_row_of_ours_ends_in_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    judge_all(always_first, PREFERENCES, path, votes=3)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    valid = path.read_bytes()
    random = Random(0)
    results = []
    for _ in range(150):
        if random.random() < 0.2:
            path.write_bytes(damaged(valid, random))
        else:
            written(path, mutant(rows, random))
        results.append(ends_well(lambda: score_file(path, "vl_rewardbench", "stablereward")))
        ends_well(lambda: score_file(path, "mj_bench"))
        ends_well(lambda: standing(read(path), "judge"))
        ends_well(lambda: comparison.read(path, "a"))
        ends_well(lambda: judge_all(always_first, PREFERENCES, path, votes=3))
        ends_well(lambda: bench.read(path))
    assert {True, False} == set(results)


def with_change(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(row))
    for where, value in changes.items():
        holder = copy
        *parts, last = where.split("__")
        for part in parts:
            holder = holder[int(part) if part.isdigit() else part]
        holder[last] = value
    return copy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"best": 2}, "best is 2, where responses count from 0 to 1"),
        ({"best": -1}, "best is -1, where"),
        ({"best": True}, "field 'best': "),
        ({"best": "0"}, "field 'best': "),
        ({"best": 0.0}, "field 'best': "),
        ({"best": None}, "field 'best': "),
        ({"votes": []}, "a row without votes"),
        ({"votes__0__choice": 7}, "choice is 7, where responses count from 0 to 1"),
        ({"votes__0__choice": 1}, "choice is 1, which has less probability"),
        ({"votes__0__probabilities": [1.0]}, "not on two or more responses each"),
        ({"votes__0__probabilities": [1.0, 0.0, 0.0]}, "not on two or more responses each"),
        ({"votes__0__probabilities": [1.5, -0.5]}, "probabilities outside 0 to 1"),
        ({"votes__0__judgements": []}, "a vote without opinions"),
        ({"votes__0__judgements__0__choice": -1}, "choice is -1, where"),
        ({"votes__0__judgements__0__order": [0, 0]}, "order [0, 0] does not name each of 2 responses once"),
        ({"votes__0__judgements__0__confidence": 1.01}, "a confidence outside 0 to 1"),
        ({"votes__0__judgements__0__num_tokens": -5}, "a negative number of tokens"),
    ],
)
def test_what_no_row_can_say_is_refused_with_its_line(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    judge_all(always_first, PREFERENCES, path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1] = with_change(rows[1], **changes)
    written(path, rows)
    for reading in (
        lambda: score_file(path, "vl_rewardbench"),
        lambda: comparison.read(path, "a"),
        lambda: judge_all(always_first, PREFERENCES, path),
    ):
        with pytest.raises(DataError) as raised:
            reading()
        assert str(raised.value).startswith(f"{path}:2: ") and said in str(raised.value)


def test_a_pair_judged_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    judge_all(always_first, PREFERENCES, path)
    first = path.read_text().splitlines(keepends=True)[0]
    path.write_text(path.read_text() + first)
    for reading in (lambda: comparison.read(path, "a"), lambda: bench.read(path)):
        with pytest.raises(DataError, match=r"rows\.jsonl:4: pair '.*' was judged before, in line 1"):
            reading()
