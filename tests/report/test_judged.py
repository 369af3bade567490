import json
from pathlib import Path
from typing import Any

import pytest

from stablereward.report.judged import read_judged

GOOD: dict[str, Any] = {
    "id": "1",
    "category": "a",
    "best": 0,
    "votes": [
        {
            "choice": 0,
            "probabilities": [1.0, 0.0],
            "judgements": [{"choice": 0, "text": "long", "order": [0, 1]}],
        }
    ],
}


def write(folder: Path, name: str, *rows: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_judges_have_the_names_and_the_order_of_the_results(tmp_path: Path):
    for name in ("always-first-1.jsonl", "stray-3.jsonl", "trained-hidden-1.jsonl", ".partial-x.jsonl"):
        write(tmp_path, name, GOOD)
    notices: list[str] = []
    judged = read_judged(tmp_path, [("trained, hidden", 1), ("always first", 1), ("absent", 5)], notices)
    assert list(judged) == [("trained, hidden", 1), ("always first", 1), ("stray-3", 1)]
    assert judged["always first", 1][0].votes[0].judgements[0].text == ""
    assert notices == []


def test_no_folder_no_judges(tmp_path: Path):
    assert read_judged(tmp_path / "judgements", [("a", 1)], []) == {}


@pytest.mark.parametrize(
    "damage",
    [
        {"best": 2},
        {"best": "first"},
        {"votes": []},
        {"votes": [{**GOOD["votes"][0], "choice": 7}]},
        {"votes": [{**GOOD["votes"][0], "probabilities": [1.0]}]},
        {"votes": [{**GOOD["votes"][0], "judgements": [{"choice": 5, "order": [0, 1]}]}]},
        {"votes": [{**GOOD["votes"][0], "judgements": [{"choice": 1, "order": [0, 0]}]}]},
        {"votes": [GOOD["votes"][0], {"choice": 0, "probabilities": [0.5, 0.25, 0.25]}]},
    ],
)
def test_what_is_no_judged_pair_is_named_by_its_line(tmp_path: Path, damage: dict[str, Any]):
    write(tmp_path / "judgements", "trained-1.jsonl", GOOD, {**GOOD, **damage}, GOOD)
    notices: list[str] = []
    [rows] = read_judged(tmp_path / "judgements", [("trained", 1)], notices).values()
    assert len(rows) == 2
    assert notices == ["judgements/trained-1.jsonl:2 left out: not a judged pair"]
